//! Committed offsets.

use std::collections::HashMap;

use brokerless::engine::Engine;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, TopicPartition};

use crate::support::{ORDERS, append, open, partition};

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
