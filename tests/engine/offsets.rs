//! Committed offsets.

use std::collections::HashMap;

use brokerless::engine::Engine;
use brokerless::env::mem::MemDisk;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

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
