//! Committed offsets.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use brokerless::engine::{Engine, with_patience};
use brokerless::env::mem::{MemDisk, Repeat};
use brokerless::env::point;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::damage::warnings;
use crate::expiry::join;
use crate::support::{ORDERS, append, open, partition};
use crate::topics::open_mem;

fn commit(engine: &Engine, group: &str, offset: i64) {
    engine.commit_offsets(group, &[(TopicPartition::new(ORDERS, 0), at(offset))]).unwrap();
}

fn at(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata { offset, metadata: format!("up to {offset}"), leader_epoch: 0 }
}

fn committed(offset: i64) -> HashMap<TopicPartition, OffsetAndMetadata> {
    HashMap::from([(TopicPartition::new(ORDERS, 0), at(offset))])
}

#[test]
fn a_commit_is_seen_by_every_handle_and_survives_closing() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    append(&partition(&one), &["a", "b", "c"]);

    commit(&one, "g", 1);
    commit(&two, "g", 3);
    commit(&one, "other", 2);

    assert_eq!(one.committed_offsets("g").unwrap(), committed(3));
    assert_eq!(two.committed_offsets("other").unwrap(), committed(2));
    assert!(two.committed_offsets("nobody").unwrap().is_empty());
    drop((one, two));
    assert_eq!(open(dir.path()).committed_offsets("g").unwrap(), committed(3));
}

#[test]
fn commits_that_make_no_sense_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a"]);
    let orders = |number| TopicPartition::new(ORDERS, number);
    let long = OffsetAndMetadata { metadata: "x".repeat(5000), ..at(1) };

    let commit = |partition, offset| engine.commit_offsets("g", &[(partition, offset)]);

    assert!(matches!(commit(orders(0), at(-1)), Err(Error::InvalidArgument(_))));
    assert!(matches!(commit(orders(0), long), Err(Error::OffsetMetadataTooLarge { .. })));
    assert!(matches!(commit(orders(1), at(0)), Err(Error::UnknownTopicOrPartition(_))));
    assert!(engine.committed_offsets("g").unwrap().is_empty());
}

#[test]
fn a_topic_made_again_has_nothing_of_what_was_committed_before() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    append(&partition(&one), &["a", "b", "c"]);
    one.create_topic("other", None, &[]).unwrap();
    let other = TopicPartition::new("other", 0);
    commit(&one, "g", 3);
    commit(&one, "h", 2);
    one.commit_offsets("g", &[(other.clone(), at(0))]).unwrap();

    two.delete_topic(ORDERS).unwrap();
    append(&partition(&two), &["d", "e", "f"]);

    for engine in [&one, &two] {
        let left = engine.committed_offsets("g").unwrap();
        assert!(left.len() == 1 && left.contains_key(&other), "{left:?}");
        assert!(engine.committed_offsets("h").unwrap().is_empty());
    }
}

#[test]
fn nothing_is_committed_after_the_topic_of_offsets_was_deleted_but_what_came_since() {
    let disk = MemDisk::new();
    let (one, two) = (open_mem(&disk), open_mem(&disk.process()));
    append(&partition(&one), &["a", "b", "c"]);
    one.create_topic("other", None, &[]).unwrap();
    one.commit_offsets("g", &[(TopicPartition::new("other", 0), at(0))]).unwrap();
    // The new log is longer than what was read of the old one, and then it is shorter.
    for (before, since) in [(1, 0..4), (3, 2..3)] {
        (0..=before).for_each(|offset| commit(&one, "g", offset));
        for engine in [&one, &two] {
            assert_eq!(engine.committed_offsets("g").unwrap()[partition(engine).id()], at(before));
        }

        two.delete_topic("__consumer_offsets").unwrap();

        for engine in [&one, &two] {
            assert!(engine.committed_offsets("g").unwrap().is_empty());
        }
        since.clone().for_each(|offset| commit(&two, "g", offset));
        for engine in [&one, &two] {
            assert_eq!(engine.committed_offsets("g").unwrap(), committed(since.end - 1));
        }
    }
}

/// Runs `work` in a directory with a commit of offset 1, and has another process delete the topic of
/// offsets when that comes to the point of number `place`; what came of it, and whether it came there.
fn deleted_at<T>(place: usize, work: impl FnOnce(&Arc<Engine>) -> T) -> (T, Arc<Engine>, bool) {
    let disk = MemDisk::new();
    let (engine, other) = (open_mem(&disk), open_mem(&disk.process()));
    append(&partition(&engine), &["a", "b", "c"]);
    commit(&engine, "g", 1);
    let passed = Rc::new(Cell::new(0));
    let delete = {
        let passed = passed.clone();
        move |_| {
            if passed.replace(passed.get() + 1) == place {
                // At some points the work holds locks that this would wait for.
                let _ = with_patience(Duration::ZERO, || other.delete_topic("__consumer_offsets"));
            }
        }
    };
    let done = point::with_hook(delete, || work(&engine));
    (done, engine, passed.get() > place)
}

/// At each point that `work` comes to in turn.
fn deleted_at_each<T>(work: impl Fn(&Arc<Engine>) -> T, check: impl Fn(usize, T, &Engine)) {
    for place in 0.. {
        let (done, engine, met) = deleted_at(place, &work);
        check(place, done, &engine);
        if !met {
            assert_ne!(place, 0, "it comes to no point");
            return;
        }
    }
}

fn to_commit(offset: i64) -> [(TopicPartition, OffsetAndMetadata); 1] {
    [(TopicPartition::new(ORDERS, 0), at(offset))]
}

#[test]
fn a_commit_goes_on_wherever_it_meets_the_deletion_of_the_topic_of_offsets() {
    let in_group = |engine: &Arc<Engine>| engine.group("g").unwrap().commit(&to_commit(3));
    let alone = |engine: &Arc<Engine>| engine.commit_offsets("g", &to_commit(3));
    let is_done = |place, done: Result<(), Error>, _: &Engine| {
        assert!(done.is_ok(), "deleted at point {place}: {done:?}");
    };

    deleted_at_each(in_group, is_done);
    deleted_at_each(alone, is_done);
}

#[test]
fn who_looks_at_what_is_committed_while_it_is_deleted_finds_it_or_nothing() {
    let of_group = |engine: &Arc<Engine>| engine.committed_offsets("g");
    let groups = |engine: &Arc<Engine>| engine.groups();

    deleted_at_each(of_group, |place, found, _| {
        let found = found.unwrap_or_else(|error| panic!("deleted at point {place}: {error}"));
        assert!(found.is_empty() || found == committed(1), "deleted at point {place}: {found:?}");
    });
    deleted_at_each(groups, |place, found, _| {
        let found = found.unwrap_or_else(|error| panic!("deleted at point {place}: {error}"));
        assert!(found.len() < 2, "deleted at point {place}: {found:?}");
    });
}

#[test]
fn what_is_to_be_taken_back_may_go_with_the_topic_of_offsets() {
    let orders = [TopicPartition::new(ORDERS, 0)];
    let offsets = |engine: &Arc<Engine>| engine.group("g").unwrap().delete_offsets(&orders);
    let group = |engine: &Arc<Engine>| engine.group("g").unwrap().delete();
    let check = |place, done: Result<(), Error>, engine: &Engine| {
        let is_gone = matches!(done, Ok(()) | Err(Error::GroupIdNotFound(_)));
        assert!(is_gone, "deleted at point {place}: {done:?}");
        assert!(engine.committed_offsets("g").unwrap().is_empty(), "deleted at point {place}");
    };

    deleted_at_each(offsets, |place, done, engine| check(place, done.map(drop), engine));
    deleted_at_each(group, check);
}

/// Else the number of a generation is lost when nobody is left who knows it.
#[test]
fn a_generation_is_noted_wherever_it_meets_the_deletion_of_the_topic_of_offsets() {
    let join = |engine: &Arc<Engine>| {
        warnings::of(|| engine.group("g").unwrap().join(join(ORDERS)).unwrap().leave().unwrap()).1
    };
    // The other's own words are about the locks it would have to wait for.
    let is_of_group = |warning: &&String| warning.contains("could not be noted");

    deleted_at_each(join, |place, told, _| {
        assert_eq!(told.iter().find(is_of_group), None, "deleted at point {place}");
    });
}

#[test]
fn a_commit_is_there_after_the_topic_of_offsets_was_deleted_while_it_was_made() {
    for name in ["commit.prepared", "commit.locked", "commit.appended", "commit.unlocked"] {
        let disk = MemDisk::new();
        let (engine, other) = (open_mem(&disk), open_mem(&disk.process()));
        append(&partition(&engine), &["a", "b", "c"]);
        commit(&engine, "g", 1);
        let deleted = Cell::new(false);
        let delete = move |point| {
            if point == name && !deleted.replace(true) {
                other.delete_topic("__consumer_offsets").unwrap();
            }
        };

        let done = point::with_hook(delete, || engine.group("g").unwrap().commit(&to_commit(3)));

        assert!(done.is_ok(), "deleted at {name}: {done:?}");
        assert_eq!(engine.committed_offsets("g").unwrap(), committed(3), "deleted at {name}");
    }
}

#[test]
fn no_call_that_fails_takes_away_what_was_committed() {
    for n in 1.. {
        let disk = MemDisk::new();
        let writer = open_mem(&disk);
        append(&partition(&writer), &["a", "b", "c"]);
        commit(&writer, "g", 1);
        let process = disk.process();
        let reader = open_mem(&process);
        let before = process.calls();
        process.fail(n, ErrorKind::StorageFull, Repeat::Once);

        let met = reader.committed_offsets("g");

        let all_calls = process.calls() - before < n;
        process.heal();
        assert!(met.is_err() || met.unwrap() == committed(1), "call {n}");
        assert_eq!(reader.committed_offsets("g").unwrap(), committed(1), "after call {n}");
        if all_calls {
            assert!(n > 5, "it makes calls that can fail");
            return;
        }
    }
}

/// Who opens a log looks at its active segment; what is in older ones, or is damaged later, nobody
/// has looked at.
#[test]
fn a_commit_of_which_a_bit_was_flipped_is_damage_and_no_offset() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a", "b", "c"]);
    commit(&engine, "g", 3);
    let log = dir.path().join("__consumer_offsets-3/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let text = bytes.windows(7).position(|window| window == b"up to 3").unwrap();
    bytes[text + 6] ^= 1;
    std::fs::write(&log, bytes).unwrap();

    let found = open(dir.path()).committed_offsets("g");

    let is_named = matches!(&found, Err(Error::CorruptRecord { path, .. }) if *path == log);
    assert!(is_named, "{found:?}");
}

/// What a stopped process would hold for ever.
fn held(path: &std::path::Path) -> std::fs::File {
    let file = std::fs::File::open(path).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn a_process_that_was_stopped_while_it_syncs_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);
    let end = append(&orders, &["a", "b", "c"]) + 3;
    let _stopped = held(&dir.path().join("orders-0/partition.metadata"));

    orders.sync(end).unwrap();

    commit(&engine, "g", 3);
}

#[test]
fn a_commit_does_not_wait_for_ever_for_a_process_that_was_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a", "b", "c"]);
    let group = engine.group("g").unwrap();
    let offsets = [(TopicPartition::new(ORDERS, 0), at(1))];
    group.commit(&offsets).unwrap();
    let partitions = (0..50).map(|number| dir.path().join(format!("__consumer_offsets-{number}")));
    let stopped: Vec<_> = partitions.map(|path| held(&path)).collect();

    let refused = group.commit(&offsets);

    assert!(matches!(refused, Err(Error::Timeout { .. })), "{refused:?}");
    drop(stopped);
    group.commit(&offsets).unwrap();
}
