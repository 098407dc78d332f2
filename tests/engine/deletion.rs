//! What is left of a topic that is deleted: nothing, and nobody is held up by it.

use std::cell::Cell;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brokerless::config::Change;
use brokerless::engine::{Engine, with_patience};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Access, point};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::damage::warnings;
use crate::support::{ORDERS, append, partition};
use crate::topics::open_mem;

type Work<'a> = &'a dyn Fn(&Arc<Engine>) -> brokerless::Result<()>;

/// A machine on which all groups share one partition.
fn machine() -> MemDisk {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    storage.create_dir(Path::new("/data")).unwrap();
    let path = Path::new("/data/brokerless.properties");
    let text = b"offsets.topic.num.partitions=1\n";
    storage.open(path, Access::Write).unwrap().write_at(0, text).unwrap();
    disk
}

fn at(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 }
}

fn commit(engine: &Engine, group: &str, topic: &str, partition: i32) -> brokerless::Result<()> {
    engine.commit_offsets(group, &[(TopicPartition::new(topic, partition), at(0))])
}

fn names(disk: &MemDisk) -> Vec<String> {
    let entries = disk.env().storage.list(Path::new("/data")).unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

/// Runs `work` in a group that has committed for another topic, and has another process delete the
/// topic of orders when that comes to the point of number `place`; whether it came there.
fn deleted_at(place: usize, work: Work<'_>) -> (Arc<Engine>, bool) {
    let disk = machine();
    let (engine, other) = (open_mem(&disk), open_mem(&disk.process()));
    append(&partition(&engine), &["a"]);
    engine.create_topic("other", None, &[]).unwrap();
    commit(&engine, "g", "other", 0).unwrap();
    let passed = Rc::new(Cell::new(0));
    let delete = {
        let (passed, other) = (passed.clone(), other.clone());
        move |_| {
            if passed.replace(passed.get() + 1) == place {
                // At some points the work holds locks that this would wait for.
                with_patience(Duration::ZERO, || other.delete_topic(ORDERS)).unwrap();
            }
        }
    };
    // It may be refused.
    let _ = point::with_hook(delete, || work(&engine));
    (other, passed.get() > place)
}

#[test]
fn a_first_commit_does_not_outlive_its_topic_wherever_it_meets_the_deletion() {
    let offsets = [(TopicPartition::new(ORDERS, 0), at(1))];
    let in_group = |engine: &Arc<Engine>| engine.group("g").unwrap().commit(&offsets);
    let alone = |engine: &Arc<Engine>| engine.commit_offsets("g", &offsets);
    let works: [Work<'_>; 2] = [&in_group, &alone];
    for work in works {
        for place in 0.. {
            let (engine, met) = deleted_at(place, work);
            if !met {
                assert!(place > 10, "it comes to {place} points");
                break;
            }

            engine.create_topic(ORDERS, None, &[]).unwrap();

            let found = engine.committed_offsets("g").unwrap();
            assert_eq!(found.get(&offsets[0].0), None, "deleted at point {place}");
        }
    }
}

/// A group that has committed for the topic of orders, and nobody can take that back.
fn with_poisoned_commits(disk: &MemDisk) -> Arc<Engine> {
    let engine = open_mem(disk);
    append(&partition(&engine), &["a"]);
    commit(&engine, "g", ORDERS, 0).unwrap();
    disk.fail_call(Call::SyncData, 1, ErrorKind::Other, Repeat::Once);
    let poisoned = commit(&engine, "g", ORDERS, 0);
    assert!(matches!(poisoned, Err(Error::Poisoned(_))), "{poisoned:?}");
    engine
}

#[test]
fn what_cannot_be_taken_away_of_one_group_lets_that_of_others_go() {
    let engine = with_poisoned_commits(&MemDisk::new());
    // It has the next partition.
    commit(&engine, "h", ORDERS, 0).unwrap();

    engine.delete_topic(ORDERS).unwrap();

    assert!(engine.committed_offsets("h").unwrap().is_empty());
}

#[test]
fn a_deletion_that_cannot_be_ended_lets_others_end() {
    let engine = with_poisoned_commits(&machine());
    engine.create_topic("other", None, &[]).unwrap();
    engine.delete_topic(ORDERS).unwrap();

    engine.delete_topic("other").unwrap();

    engine.create_topic("other", None, &[]).unwrap();
}

#[test]
fn a_deletion_that_cannot_be_ended_holds_no_change_of_topics_up() {
    let disk = machine();
    let engine = with_poisoned_commits(&disk);
    let late = disk.process();

    let (deleted, warned) = warnings::of(|| engine.delete_topic(ORDERS));
    let other = open_mem(&late).create_topic("other", None, &[]);
    let again = engine.create_topic(ORDERS, None, &[]);

    deleted.unwrap();
    other.unwrap();
    assert!(warned.iter().any(|it| it.contains(ORDERS)), "{warned:?}");
    assert!(matches!(again, Err(Error::Timeout { .. })), "its offsets are still there: {again:?}");
    let left: Vec<_> = names(&disk).into_iter().filter(|name| name.ends_with("-delete")).collect();
    assert_eq!(left, [""; 0]);
    drop(engine);
    let engine = open_mem(&disk.process());
    engine.create_topic(ORDERS, None, &[]).unwrap();
    assert!(engine.committed_offsets("g").unwrap().is_empty());
}

/// A group that has committed for many partitions, and batches may be smaller since.
fn with_many_commits() -> Arc<Engine> {
    let engine = open_mem(&machine());
    engine.create_topic(ORDERS, Some(40), &[]).unwrap();
    (0..40).for_each(|number| commit(&engine, "g", ORDERS, number).unwrap());
    let small = Change::Set("500".to_owned());
    let changes = [("max.message.bytes".to_owned(), small)];
    engine.alter_topic("__consumer_offsets", &changes, false).unwrap();
    engine
}

#[test]
fn more_offsets_are_taken_away_than_one_batch_can_hold() {
    let ids: Vec<_> = (0..40).map(|number| TopicPartition::new(ORDERS, number)).collect();
    let delete_topic = |engine: &Arc<Engine>| engine.delete_topic(ORDERS);
    let delete_group = |engine: &Arc<Engine>| engine.group("g")?.delete();
    let delete_offsets = |engine: &Arc<Engine>| {
        engine.group("g")?.delete_offsets(&ids)?.into_iter().collect::<brokerless::Result<()>>()
    };
    let works: [Work<'_>; 3] = [&delete_topic, &delete_group, &delete_offsets];
    for (number, work) in works.into_iter().enumerate() {
        let engine = with_many_commits();

        let (done, warned) = warnings::of(|| work(&engine));

        assert!(done.is_ok() && warned.is_empty(), "{number}: {done:?} {warned:?}");
        assert!(engine.committed_offsets("g").unwrap().is_empty(), "{number}");
    }
}

/// Else every process reads the list anew for each thing it does, for as long as it takes.
#[test]
fn a_deletion_is_no_change_of_topics_any_more_while_it_takes_offsets_away() {
    let disk = machine();
    let (engine, other) = (open_mem(&disk), open_mem(&disk.process()));
    append(&partition(&engine), &["a"]);
    commit(&engine, "g", ORDERS, 0).unwrap();
    let met = Rc::new(Cell::new(0));
    let look = {
        let met = met.clone();
        move |point| {
            if ["delete.listed", "delete.tombstones", "delete.forgotten"].contains(&point) {
                assert_eq!(other.topics_generation() % 2, 0, "at {point}");
                assert_eq!(other.topic(ORDERS).unwrap(), None, "at {point}");
                met.set(met.get() + 1);
            }
        }
    };

    point::with_hook(look, || engine.delete_topic(ORDERS)).unwrap();

    assert_eq!(met.get(), 3);
}

/// The syncs of the deletion of a topic for which so many groups have committed.
fn syncs(groups: usize) -> u64 {
    let disk = machine();
    let syncs = Arc::new(AtomicU64::new(0));
    let hook = {
        let syncs = syncs.clone();
        move |call| {
            syncs.fetch_add(u64::from(call == Call::SyncData), Ordering::Relaxed);
        }
    };
    let engine = open_mem(&disk.clone().with_hook(Arc::new(hook)));
    append(&partition(&engine), &["a"]);
    (0..groups).for_each(|number| commit(&engine, &number.to_string(), ORDERS, 0).unwrap());
    let before = syncs.load(Ordering::Relaxed);

    engine.delete_topic(ORDERS).unwrap();

    syncs.load(Ordering::Relaxed) - before
}

#[test]
fn the_deletion_of_a_topic_syncs_as_often_for_many_groups_as_for_one() {
    assert_eq!(syncs(9), syncs(1));
}

#[test]
fn the_deletion_of_a_topic_makes_no_files_of_groups_that_nobody_uses() {
    let disk = machine();
    let engine = open_mem(&disk);
    append(&partition(&engine), &["a"]);
    commit(&engine, "g", ORDERS, 0).unwrap();

    engine.delete_topic(ORDERS).unwrap();

    let of_group = |name: &String| name.starts_with(".brokerless-group-");
    assert_eq!(names(&disk).iter().find(|name| of_group(name)), None);
}

/// To open all of them takes long, and nobody has written to most.
#[test]
fn the_deletion_of_a_topic_opens_no_log_of_offsets_that_was_never_used() {
    let disk = MemDisk::new();
    let engine = open_mem(&disk);
    append(&partition(&engine), &["a"]);
    commit(&engine, "g", ORDERS, 0).unwrap();

    engine.delete_topic(ORDERS).unwrap();

    let offsets = engine.topic("__consumer_offsets").unwrap().unwrap();
    let numbers = (0..offsets.partition_count()).filter(|number| {
        let id = TopicPartition::new(offsets.name.clone(), *number);
        engine.partition(&id).unwrap().is_recovered()
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [3], "that of the group");
}
