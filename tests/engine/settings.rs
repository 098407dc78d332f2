//! `brokerless.properties`.

use std::time::Duration;

use brokerless::Error;
use brokerless::config::DirectoryConfig;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::types::{OffsetAndMetadata, TopicPartition};

use crate::support::{open, open_read_only};

#[test]
fn a_directory_without_the_file_has_the_defaults_and_gets_none() {
    let dir = tempfile::tempdir().unwrap();

    assert_eq!(*open(dir.path()).config(), DirectoryConfig::default());

    assert!(!dir.path().join("brokerless.properties").exists());
}

#[test]
fn the_settings_of_the_file_hold_from_the_next_open_on() {
    let dir = tempfile::tempdir().unwrap();
    let text = "group.initial.rebalance.delay.ms=7\noffsets.topic.num.partitions=3\n\
                offsets.topic.segment.bytes=9000";
    std::fs::write(dir.path().join("brokerless.properties"), text).unwrap();

    let engine = open(dir.path());
    let topic = engine.topic_or_create("__consumer_offsets").unwrap();

    assert_eq!(engine.config().group_initial_rebalance_delay, Duration::from_millis(7));
    assert_eq!((topic.partition_count(), topic.config.segment_bytes), (3, 9000));
    assert_eq!(open_read_only(dir.path()).config(), engine.config());
}

#[test]
fn a_directory_says_how_much_text_a_commit_may_carry() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("brokerless.properties"), "offset.metadata.max.bytes=3")
        .unwrap();
    let engine = open(dir.path());
    engine.create_topic("t", Some(1), &[]).unwrap();
    let group = engine.group("g").unwrap();
    let commit = |metadata: &str| {
        let metadata = metadata.to_owned();
        let offset = OffsetAndMetadata { offset: 0, metadata, leader_epoch: -1 };
        group.alter_offsets(&[(TopicPartition::new("t", 0), offset)]).unwrap().pop().unwrap()
    };

    assert!(matches!(commit("four"), Err(Error::OffsetMetadataTooLarge { size: 4, max: 3 })));
    commit("two").unwrap();
}

#[test]
fn a_setting_that_there_is_not_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let text = "\u{feff}offsets.topic.num.partitions=3\noffsets.retention.minuts=7";
    std::fs::write(dir.path().join("brokerless.properties"), text).unwrap();

    let engine = open(dir.path());

    let expected = DirectoryConfig {
        offsets_topic_num_partitions: 3,
        given: [("offsets.topic.num.partitions".to_owned(), "3".to_owned())].into(),
        ..DirectoryConfig::default()
    };
    assert_eq!(*engine.config(), expected);
}

#[test]
fn a_directory_with_a_setting_that_is_wrong_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("brokerless.properties");
    std::fs::write(&path, "\noffsets.retention.minutes=never").unwrap();

    let refused = Engine::open(dir.path(), OpenOptions::default(), Env::system());

    assert!(
        matches!(&refused, Err(Error::InvalidProperty { path: at, line: 2, what })
            if *at == path && what.contains("offsets.retention.minutes=never: a whole number")),
        "{refused:?}"
    );
}
