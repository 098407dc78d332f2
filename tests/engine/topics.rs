//! The set of topics, as several handles see it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::mem::{Call, MemDisk};
use brokerless::env::{Access, Env, Storage as _, point};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::damage::warnings;
use crate::support::{ORDERS, append, batch_at, numbered, open, partition, read};

#[test]
fn a_topic_made_by_one_handle_is_there_for_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let before = two.topics_generation();

    let made = one.create_topic(ORDERS, Some(3), &[]).unwrap();

    assert_ne!(two.topics_generation(), before);
    assert_eq!(two.topic(ORDERS).unwrap(), Some(made));
    let again = two.create_topic(ORDERS, None, &[]);
    assert!(matches!(again, Err(Error::TopicAlreadyExists(_))), "{again:?}");
}

/// Has a process die at a point of its work, the second time it comes there if `skip` is 1.
pub(crate) fn die_at(disk: &MemDisk, name: &'static str, skip: u32, work: impl Fn(&Engine)) {
    let dying = disk.process();
    let engine = open_mem(&dying);
    let left = Cell::new(skip);
    let die = move |point| {
        if point == name && left.replace(left.get().wrapping_sub(1)) == 0 {
            dying.kill();
            panic!("killed at {name}");
        }
    };
    let work = AssertUnwindSafe(|| point::with_hook(die, || work(&engine)));
    catch_unwind(work).expect_err("it has died");
}

/// After it died: as the living find the disk, and after crashes that take what was not synced, or
/// nothing.
pub(crate) fn afterwards(
    disk: &MemDisk,
    survivor: Arc<Engine>,
) -> Vec<(&'static str, Arc<Engine>)> {
    let crashed = |seed| open_mem(&disk.after_crash(seed));
    vec![("alive", survivor), ("all unsynced lost", crashed(0)), ("nothing lost", crashed(1))]
}

#[test]
fn a_topic_whose_maker_died_is_there_whole_or_can_be_made() {
    let settings = [("segment.bytes".to_owned(), "5000".to_owned())];
    for (point, skip) in [("topics.written", 0), ("topics.folder", 0), ("topics.folder", 1)] {
        let disk = MemDisk::new();
        let survivor = open_mem(&disk);

        die_at(&disk, point, skip, |engine| {
            engine.create_topic(ORDERS, Some(3), &settings).unwrap();
        });

        for (when, engine) in afterwards(&disk, survivor) {
            let topic = engine.topic(ORDERS).unwrap();
            let made = || engine.create_topic(ORDERS, Some(3), &settings).unwrap();
            let topic = topic.unwrap_or_else(made);
            assert_eq!(topic.partition_count(), 3, "{point} {when}");
            assert_eq!(topic.config.segment_bytes, 5000, "{point} {when}");
            append(&engine.partition(&TopicPartition::new(ORDERS, 2)).unwrap(), &["a"]);
            assert_eq!(engine.topics_generation() % 2, 0, "the change is over");
        }
    }
}

#[test]
fn a_topic_whose_deletion_began_is_gone_with_its_offsets_though_who_deleted_it_died() {
    let points =
        ["delete.listed", "delete.renamed", "delete.forgotten", "topics.written", "delete.renamed"];
    for (point, skip) in points.into_iter().zip([0, 0, 0, 1, 1]) {
        let disk = MemDisk::new();
        let survivor = open_mem(&disk);
        survivor.create_topic(ORDERS, Some(2), &[]).unwrap();
        let partition = survivor.partition(&TopicPartition::new(ORDERS, 1)).unwrap();
        append(&partition, &["old"]);
        let commit = OffsetAndMetadata { offset: 1, metadata: String::new(), leader_epoch: 0 };
        survivor.commit_offsets("g", &[(partition.id().clone(), commit)]).unwrap();

        die_at(&disk, point, skip, |engine| engine.delete_topic(ORDERS).unwrap());

        for (when, engine) in afterwards(&disk, survivor) {
            assert_eq!(engine.topic(ORDERS).unwrap(), None, "{point} {when}");
            engine.create_topic(ORDERS, Some(2), &[]).unwrap();
            let again = engine.partition(&TopicPartition::new(ORDERS, 1)).unwrap();
            assert_eq!(read(&again), [], "{point} {when}");
            assert!(engine.committed_offsets("g").unwrap().is_empty(), "{point} {when}");
        }
    }
}

#[test]
fn more_partitions_leave_the_old_ones_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);

    engine.create_partitions(ORDERS, 3).unwrap();

    assert_eq!(read(&partition(&engine)), numbered(&["a"]));
    append(&engine.partition(&TopicPartition::new(ORDERS, 2)).unwrap(), &["b"]);
    assert!(matches!(engine.create_partitions(ORDERS, 3), Err(Error::InvalidPartitions(_))));
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.topic(ORDERS).unwrap().unwrap().partition_count(), 3);
    let third = engine.partition(&TopicPartition::new(ORDERS, 2)).unwrap();
    assert_eq!(read(&third), numbered(&["b"]));
}

#[test]
fn a_deleted_topic_is_gone_for_every_handle_and_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let old = partition(&two);
    append(&old, &["a"]);

    one.delete_topic(ORDERS).unwrap();

    assert!(matches!(old.ends(), Err(Error::UnknownTopicOrPartition(_))));
    assert_eq!(two.topic(ORDERS).unwrap(), None);
    assert!(!dir.path().join("orders-0").exists());
    assert_eq!(append(&partition(&two), &["b"]), 0);
    assert_eq!(read(&partition(&one)), numbered(&["b"]));
}

#[test]
fn who_appends_while_a_topic_is_deleted_leaves_nothing_in_its_place() {
    let disk = MemDisk::new();
    let deleter = open_mem(&disk.process());
    deleter.create_topic(ORDERS, None, &[]).unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    let hook = {
        let (deleter, armed) = (deleter.clone(), armed.clone());
        Arc::new(move |call| {
            if call == Call::Lock && armed.swap(false, Ordering::Relaxed) {
                deleter.delete_topic(ORDERS).unwrap();
            }
        })
    };
    let engine = open_mem(&disk.with_hook(hook));
    let old = partition(&engine);
    old.ends().unwrap();

    armed.store(true, Ordering::Relaxed);
    let refused = old.append(&mut batch_at(0, &["a"]));

    assert!(matches!(refused, Err(Error::UnknownTopicOrPartition(_))), "{refused:?}");
    assert_eq!(append(&partition(&engine), &["b"]), 0);
}

#[test]
fn the_topic_of_committed_offsets_gets_no_more_partitions() {
    let engine = open_mem(&MemDisk::new());
    let offsets = engine.topic_or_create("__consumer_offsets").unwrap();
    let more = offsets.partition_count() + 1;

    let checked = engine.check_partitions("__consumer_offsets", more);
    let refused = engine.create_partitions("__consumer_offsets", more);

    assert!(matches!(checked, Err(Error::InvalidPartitions(_))), "{checked:?}");
    assert!(matches!(refused, Err(Error::InvalidPartitions(_))), "{refused:?}");
    assert_eq!(engine.topic("__consumer_offsets").unwrap().unwrap().partition_count(), more - 1);
}

#[test]
fn a_listed_partition_without_a_folder_does_not_keep_the_directory_from_closing() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).create_topic(ORDERS, Some(2), &[]).unwrap();
    // As after the death of who made the topic.
    std::fs::remove_dir(dir.path().join("orders-1")).unwrap();
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();

    drop(open(dir.path()));

    assert!(dir.path().join(".kafka_cleanshutdown").exists());
    assert!(dir.path().join("orders-1").is_dir());
}

#[test]
fn a_topic_whose_folders_were_removed_keeps_its_settings_and_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("retention.ms".to_owned(), "1234".to_owned())];
    open(dir.path()).create_topic(ORDERS, Some(2), &settings).unwrap();
    for folder in ["orders-0", "orders-1"] {
        std::fs::remove_dir(dir.path().join(folder)).unwrap();
    }

    let (engine, warned) = warnings::of(|| open(dir.path()));

    let topic = engine.topic(ORDERS).unwrap().expect("it is listed");
    assert_eq!(topic.config.retention_ms, 1234);
    let told = warned.iter().any(|it| it.contains("orders-0, orders-1 begin anew"));
    assert!(told, "{warned:?}");
    assert_eq!(append(&partition(&engine), &["a"]), 0);
}

#[test]
fn a_partition_whose_folder_was_removed_with_its_records_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).create_topic(ORDERS, Some(2), &[]).unwrap();
    append(&partition(&open(dir.path())), &["a", "b"]);
    std::fs::rename(dir.path().join("orders-0"), dir.path().join("elsewhere")).unwrap();

    let (engine, warned) = warnings::of(|| open(dir.path()));
    let refused = partition(&engine).append(&mut batch_at(0, &["c"]));
    drop(engine);

    assert!(matches!(refused, Err(Error::RecordsMissing { .. })), "{refused:?}");
    let told = warned.iter().any(|it| it.starts_with("orders-0 had records up to offset 2"));
    assert!(told, "{warned:?}");
    std::fs::remove_dir_all(dir.path().join("orders-0")).unwrap();
    std::fs::rename(dir.path().join("elsewhere"), dir.path().join("orders-0")).unwrap();
    assert_eq!(read(&partition(&open(dir.path()))), numbered(&["a", "b"]));
}

#[test]
fn lists_of_offsets_that_were_removed_are_warned_of() {
    for name in ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"] {
        for read_only in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            append(&partition(&open(dir.path())), &["a"]);
            let options = OpenOptions { read_only, ..OpenOptions::default() };
            let again = || Engine::open(dir.path(), options, Env::system()).unwrap();
            let (_, before) = warnings::of(again);
            std::fs::remove_file(dir.path().join(name)).unwrap();

            let (engine, warned) = warnings::of(again);

            assert_eq!(before, [""; 0]);
            assert!(warned.len() == 1 && warned[0].contains(name), "{warned:?}");
            assert_eq!(read(&partition(&engine)), numbered(&["a"]));
        }
    }
}

#[test]
fn names_that_kafka_refuses_are_refused_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());

    for name in ["", ".", "..", "a/b", "../x", "a b", "\u{e9}", &"x".repeat(250)] {
        let refused = engine.topic_or_create(name);
        assert!(matches!(refused, Err(Error::InvalidTopic(_))), "{name:?}");
    }
    let reserved = engine.topic_or_create("__cluster_metadata");
    assert!(matches!(reserved, Err(Error::ReservedTopic(_))), "{reserved:?}");
    assert_eq!(engine.topics().unwrap().iter().count(), 0);
    assert!(matches!(engine.create_topic("a", Some(0), &[]), Err(Error::InvalidPartitions(_))));
}

/// A pair of names that Kafka takes for one.
const COLLIDING: [&str; 2] = ["a.b_c", "a_b.c"];

#[test]
fn of_two_names_that_differ_by_dots_and_underscores_one_is_taken_whoever_comes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let engines = [open(dir.path()), open(dir.path())];

    let made = thread::scope(|scope| {
        let make = |at: usize| {
            let engine = &engines[at];
            scope.spawn(move || engine.topic_or_create(COLLIDING[at]))
        };
        [0, 1].map(make).map(|thread| thread.join().unwrap())
    });

    let first = usize::from(made[0].is_err());
    let refused = made[1 - first].as_ref().unwrap_err().to_string();
    let [existing, name] = [COLLIDING[first], COLLIDING[1 - first]];
    assert!(made[first].is_ok());
    assert!(refused.contains(&format!("{name:?} collides with")), "{refused}");
    let checked = engines[first].check_topic(name, None, &[]);
    assert!(
        matches!(&checked, Err(Error::TopicCollision { existing: it, .. }) if it == existing),
        "{checked:?}"
    );
    engines[first].delete_topic(existing).unwrap();
    engines[first].create_topic(name, None, &[]).unwrap();
}

#[test]
fn names_that_collide_go_on_working_where_both_are_there() {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    for name in COLLIDING {
        let folder = Path::new("/data").join(format!("{name}-0"));
        storage.create_dir(&folder).unwrap();
        storage.open(&folder.join("00000000000000000000.log"), Access::Write).unwrap();
    }

    let engine = open_mem(&disk);

    for name in COLLIDING {
        append(&engine.partition(&TopicPartition::new(name, 0)).unwrap(), &[name]);
        engine.create_partitions(name, 2).unwrap();
    }
    engine.topic_or_create("__consumer.offsets").unwrap();
    engine.topic_or_create("__consumer_offsets").expect("commits need it");
}

#[test]
fn a_directory_of_a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::write(dir.path().join(".brokerless-format"), "2\n").unwrap();

    for read_only in [false, true] {
        let options = OpenOptions { read_only, ..OpenOptions::default() };
        let refused = Engine::open(dir.path(), options, Env::system());
        assert!(matches!(refused, Err(Error::NewerFormat { found: 2, .. })), "{refused:?}");
    }
}

#[test]
fn damaged_files_of_our_own_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a"]);
    for name in [".brokerless-topics", ".brokerless-format"] {
        let path = dir.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, "garbage\n").unwrap();

        let refused = Engine::open(dir.path(), OpenOptions::default(), Env::system());

        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_directory_whose_list_of_topics_was_removed_is_refused_and_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a"]);
    let path = dir.path().join(".brokerless-topics");
    let list = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();

    let refused = Engine::open(dir.path(), OpenOptions::default(), Env::system());
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let (looked, warned) =
        warnings::of(|| Engine::open(dir.path(), options, Env::system()).unwrap());

    assert!(matches!(&refused, Err(Error::Missing { path: named, .. }) if *named == path));
    assert!(!path.exists(), "nothing was put in its place");
    assert_eq!(read(&partition(&looked)), numbered(&["a"]));
    assert!(warned.iter().any(|it| it.contains(".brokerless-topics is missing")), "{warned:?}");
    std::fs::write(&path, list).unwrap();
    assert_eq!(read(&partition(&open(dir.path()))), numbered(&["a"]));
}

#[test]
fn no_topic_is_changed_while_the_list_is_gone_that_somebody_removed_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let path = dir.path().join(".brokerless-topics");
    std::fs::remove_file(&path).unwrap();

    let refused = engine.create_topic("new", None, &[]);

    assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
    assert!(!path.exists(), "a list without the other topics");
    append(&partition(&engine), &["b"]);
}

#[test]
fn a_directory_without_topics_needs_no_list() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a"]);
    open(dir.path()).delete_topic(ORDERS).unwrap();
    std::fs::remove_file(dir.path().join(".brokerless-topics")).unwrap();

    assert_eq!(open(dir.path()).topics().unwrap().iter().count(), 0);
}

/// Whoever opens a broker's directory dies, or the machine crashes, at each call in turn.
#[test]
fn taking_a_directory_over_can_be_done_again_wherever_it_was_broken_off() {
    let brokers = MemDisk::new();
    append(&partition(&open_mem(&brokers)), &["a"]);
    for name in [".brokerless-format", ".brokerless-topics"] {
        brokers.remove(&Path::new("/data").join(name)).unwrap();
    }
    brokers.sync_dir(Path::new("/data")).unwrap();
    let mut broken_off = 0;
    for call in 0..60 {
        for crash in [false, true] {
            let disk = brokers.copy();
            let owner = disk.process();
            let left = Arc::new(AtomicI64::new(call));
            let hook = {
                let (left, owner) = (left.clone(), owner.clone());
                move |_| {
                    if left.fetch_sub(1, Ordering::SeqCst) == 0 {
                        owner.kill();
                    }
                }
            };
            let opened = Engine::open(
                Path::new("/data"),
                OpenOptions::default(),
                owner.with_hook(Arc::new(hook)).env(),
            );
            broken_off += u32::from(opened.is_err());
            drop(opened);
            let disk = if crash { disk.after_crash(call as u64) } else { disk.copy() };

            let again = Engine::open(Path::new("/data"), OpenOptions::default(), disk.env());

            let again = again.unwrap_or_else(|error| panic!("call {call}, {crash}: {error}"));
            assert_eq!(read(&partition(&again)), numbered(&["a"]), "call {call}, {crash}");
        }
    }
    assert!(broken_off > 40, "{broken_off}");
}

#[test]
fn a_directory_that_was_moved_takes_no_new_topics() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let engine = open(&dir);
    append(&partition(&engine), &["a"]);
    std::fs::rename(&dir, parent.path().join("moved")).unwrap();

    let refused = engine.create_topic("new", None, &[]);

    assert!(matches!(refused, Err(Error::Replaced { .. })), "{refused:?}");
    let commit = brokerless::types::OffsetAndMetadata {
        offset: 1,
        metadata: String::new(),
        leader_epoch: 0,
    };
    assert!(engine.commit_offsets("g", &[(TopicPartition::new(ORDERS, 0), commit)]).is_err());
    assert!(!dir.exists());
}

/// Files are opened by their paths: what an old process notes must not get into a new directory.
#[test]
fn who_has_a_moved_directory_open_writes_nothing_to_the_one_in_its_place() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let old = open(&dir);
    for _ in 0..50 {
        append(&partition(&old), &["old"]);
    }
    partition(&old).sync(50).unwrap();
    std::fs::rename(&dir, parent.path().join("moved")).unwrap();
    let new = open(&dir);
    for _ in 0..3 {
        append(&partition(&new), &["new"]);
    }
    let list = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    };
    let before = list();

    let chores = old.do_chores(i64::MAX);
    drop(old);

    assert!(matches!(chores, Err(Error::Replaced { .. })), "{chores:?}");
    assert_eq!(list(), before);
    drop(new);
    let again = open(&dir);
    assert_eq!(read(&partition(&again)), numbered(&["new", "new", "new"]));
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();

    for path in [file.clone(), file.join("below")] {
        let refused = Engine::open(&path, OpenOptions::default(), Env::system());
        assert!(matches!(refused, Err(Error::NotADirectory(_))), "{refused:?}");
    }
}

pub(crate) fn open_mem(disk: &MemDisk) -> Arc<Engine> {
    Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap()
}

#[test]
fn a_control_file_that_was_removed_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let _engine = open(dir.path());
    std::fs::remove_file(dir.path().join(".brokerless-control")).unwrap();

    let refused = Engine::open(dir.path(), OpenOptions::default(), Env::system());

    assert!(matches!(refused, Err(Error::Replaced { .. })), "{refused:?}");
    assert!(!dir.path().join(".brokerless-control").exists(), "nothing was put in its place");
}

/// Somebody deletes the topic before each call of the work in turn.
#[test]
fn what_meets_a_deletion_says_that_the_topic_is_no_more() {
    let works: [fn(&Partition) -> brokerless::Result<()>; 3] = [
        |log| log.append(&mut batch_at(1, &["b"])).map(drop),
        |log| log.sync(log.ends()?.log_end_offset),
        |log| log.read(&mut Cursor::new(0), 1000, IsolationLevel::ReadUncommitted).map(drop),
    ];
    let mut refused = 0;
    for (work, call) in works.iter().flat_map(|work| (0..12).map(move |call| (work, call))) {
        let disk = MemDisk::new();
        append(&partition(&open_mem(&disk)), &["a"]);
        let other = open_mem(&disk.process());
        partition(&other).ends().unwrap();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let hook = {
            let left = left.clone();
            move |_| {
                if left.fetch_sub(1, Ordering::SeqCst) == 0 {
                    other.delete_topic(ORDERS).unwrap();
                }
            }
        };
        let engine = open_mem(&disk.process().with_hook(Arc::new(hook)));
        let log = partition(&engine);
        left.store(call, Ordering::SeqCst);

        let done = work(&log);

        let gone = matches!(done, Err(Error::UnknownTopicOrPartition(_)));
        assert!(done.is_ok() || gone, "call {call}: {done:?}");
        refused += u32::from(gone);
    }
    assert!(refused > 2, "{refused}");
}

/// Found by the simulator: a folder that is no more cannot be synced, and no sync has failed.
#[test]
fn what_is_synced_while_its_topic_is_deleted_poisons_nothing() {
    let mut refused = 0;
    for call in 0..12 {
        let disk = MemDisk::new();
        let other = open_mem(&disk);
        other.create_topic(ORDERS, None, &[]).unwrap();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let hook = {
            let left = left.clone();
            move |_| {
                if left.fetch_sub(1, Ordering::SeqCst) == 0 {
                    other.delete_topic(ORDERS).unwrap();
                }
            }
        };
        let engine = open_mem(&disk.process().with_hook(Arc::new(hook)));
        let log = partition(&engine);
        let end = log.append(&mut batch_at(0, &["a"])).unwrap().end_offset;
        left.store(call, Ordering::SeqCst);

        let done = log.sync(end);

        let gone = matches!(done, Err(Error::UnknownTopicOrPartition(_)));
        assert!(done.is_ok() || gone, "call {call}: {done:?}");
        refused += u32::from(gone);
    }
    assert!(refused > 0);
}

/// Who opens a partition makes its folder if there is none; found by the simulator.
#[test]
fn no_folder_comes_back_of_a_topic_that_is_deleted_while_it_is_opened() {
    for call in 0..12 {
        let disk = MemDisk::new();
        let (engine, other) = (open_mem(&disk), open_mem(&disk.process()));
        engine.create_topic(ORDERS, None, &[]).unwrap();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let hook = {
            let left = left.clone();
            move |_| {
                if left.fetch_sub(1, Ordering::SeqCst) == 0 {
                    other.delete_topic(ORDERS).unwrap();
                }
            }
        };
        let opening = open_mem(&disk.process().with_hook(Arc::new(hook)));
        let log = partition(&opening);
        left.store(call, Ordering::SeqCst);

        let _ = log.ends();

        // Ends a deletion that had to wait.
        engine.create_topic("next", None, &[]).unwrap();
        if engine.topic(ORDERS).unwrap().is_none() {
            let names = disk.env().storage.list(Path::new("/data")).unwrap();
            let back = names.iter().any(|entry| entry.name == "orders-0");
            assert!(!back, "call {call}");
        }
    }
}

/// Who makes the folder of a listed topic may die before he sees that the topic was deleted.
#[test]
fn an_empty_folder_of_no_listed_topic_makes_none() {
    let disk = MemDisk::new();
    drop(open_mem(&disk));
    let folders =
        ["left-0", "left-1", "kept-0", "kept-1"].map(|name| Path::new("/data").join(name));
    for folder in &folders {
        disk.create_dir(folder).unwrap();
    }
    disk.open(&folders[3].join("leader-epoch-checkpoint"), Access::Write).unwrap();

    let engine = open_mem(&disk);

    assert_eq!(engine.topic("left").unwrap(), None);
    assert_eq!(engine.topic("kept").unwrap().unwrap().partition_count(), 2);
    engine.create_topic("left", Some(1), &[]).unwrap();
    append(&engine.partition(&TopicPartition::new("left", 0)).unwrap(), &["a"]);
}

#[test]
fn a_folder_of_other_things_is_no_topic_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orders-1/precious.txt");
    std::fs::create_dir(dir.path().join("orders-1")).unwrap();
    std::fs::write(&file, "precious").unwrap();
    let engine = open(dir.path());

    assert_eq!(engine.topics().unwrap().iter().count(), 0);
    let refused = engine.create_topic(ORDERS, Some(3), &[]);

    assert!(matches!(refused, Err(Error::InTheWay(_))), "{refused:?}");
    assert!(!dir.path().join("orders-0").exists());
    engine.create_topic(ORDERS, Some(1), &[]).unwrap();
    assert!(matches!(engine.create_partitions(ORDERS, 2), Err(Error::InTheWay(_))));
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.topic(ORDERS).unwrap().unwrap().partition_count(), 1);
    engine.delete_topic(ORDERS).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn folders_that_were_exchanged_are_not_taken_for_one_another() {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    let engine = open_mem(&disk);
    for name in ["a", "b"] {
        engine.create_topic(name, None, &[]).unwrap();
        append(&engine.partition(&TopicPartition::new(name, 0)).unwrap(), &[name]);
    }
    drop(engine);
    for (from, to) in [("a-0", "aside"), ("b-0", "a-0"), ("aside", "b-0")] {
        storage.rename(&Path::new("/data").join(from), &Path::new("/data").join(to)).unwrap();
    }

    let engine = open_mem(&disk);

    for name in ["a", "b"] {
        let ends = engine.partition(&TopicPartition::new(name, 0)).unwrap().ends();
        assert!(matches!(ends, Err(Error::Damaged { .. })), "{name}: {ends:?}");
    }
    drop(engine);
    for (from, to) in [("a-0", "aside"), ("b-0", "a-0"), ("aside", "b-0")] {
        storage.rename(&Path::new("/data").join(from), &Path::new("/data").join(to)).unwrap();
    }
    let engine = open_mem(&disk);
    let a = engine.partition(&TopicPartition::new("a", 0)).unwrap();
    assert_eq!(read(&a), [(0, "a".to_owned())]);
}

#[test]
fn a_topic_that_was_made_again_and_not_used_is_not_taken_for_the_one_before() {
    let disk = MemDisk::new();
    append(&partition(&open_mem(&disk)), &["a", "b"]);
    let engine = open_mem(&disk.process());
    engine.delete_topic(ORDERS).unwrap();
    engine.create_topic(ORDERS, None, &[]).unwrap();
    drop(engine);

    let engine = open_mem(&disk.process());
    let again = partition(&engine);

    assert_eq!(again.ends().unwrap().log_end_offset, 0);
    assert_eq!(append(&again, &["c"]), 0);
}

#[test]
fn a_folder_that_was_moved_in_use_takes_no_new_segment_and_nobody_new() {
    let dir = tempfile::tempdir().unwrap();
    let (engine, late) = (open(dir.path()), open(dir.path()));
    let settings = [("segment.bytes".to_owned(), "100".to_owned())];
    engine.create_topic(ORDERS, None, &settings).unwrap();
    let log = partition(&engine);
    append(&log, &["a"]);
    std::fs::rename(dir.path().join("orders-0"), dir.path().join("moved")).unwrap();

    let rolled = log.append(&mut batch_at(1, &["b"]));
    let others = partition(&late).append(&mut batch_at(1, &["c"]));

    assert!(matches!(rolled, Err(Error::Io { .. })), "{rolled:?}");
    assert!(others.is_err());
    assert!(!dir.path().join("orders-0").exists(), "nothing was put in its place");
    std::fs::rename(dir.path().join("moved"), dir.path().join("orders-0")).unwrap();
    drop((log, engine, late));
    assert_eq!(read(&partition(&open(dir.path()))), numbered(&["a"]));
}

#[test]
fn more_partitions_than_one_request_may_make_are_refused_before_any_is_made() {
    let disk = MemDisk::new();
    let engine = open_mem(&disk);
    engine.create_topic("few", Some(1), &[]).unwrap();

    let refused = [
        engine.create_topic(ORDERS, Some(i32::MAX), &[]).map(drop),
        engine.check_topic(ORDERS, Some(10_001), &[]).map(drop),
        engine.create_partitions("few", 10_002).map(drop),
        engine.check_partitions("few", i32::MAX),
    ];

    for (number, refused) in refused.iter().enumerate() {
        assert!(matches!(refused, Err(Error::TooManyPartitions { .. })), "{number}: {refused:?}");
    }
    engine.check_topic(ORDERS, Some(10_000), &[]).unwrap();
    engine.check_partitions("few", 10_001).unwrap();
}
