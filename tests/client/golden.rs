//! The directory of a real broker gives what that broker's consumers were given.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use brokerless::client::{Consumer, Step, directory};
use brokerless::config::{ConsumerConfig, OffsetReset};
use brokerless::engine::OpenOptions;
use brokerless::{IsolationLevel, TopicPartition};

type Place = (String, i32, i64);

/// Where the broker's consumer was given records; with `committed`, one that reads committed.
fn given(file: &str, committed: bool) -> BTreeSet<Place> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka").join(file);
    let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    let records = text.lines().filter(|line| line.starts_with("{\"is\":\"record\""));
    let wanted = records.filter(|line| !committed || line.contains("\"committed\":true"));
    wanted.map(place).collect()
}

fn place(line: &str) -> Place {
    let after = |name: &str| &line[line.find(&format!("\"{name}\":")).unwrap() + name.len() + 3..];
    let number = |name| after(name).split(',').next().unwrap();
    let topic = after("topic").split('"').nth(1).unwrap();
    (topic.into(), number("partition").parse().unwrap(), number("offset").parse().unwrap())
}

fn read(folder: &str, isolation_level: IsolationLevel) -> BTreeSet<Place> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka").join(folder);
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let engine = directory::open(&dir, options).unwrap();
    let consumer = Consumer::new(
        engine.clone(),
        ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            isolation_level,
            ..ConsumerConfig::default()
        },
    )
    .unwrap();
    let topics = engine.topics().unwrap();
    let partitions: Vec<_> = topics
        .iter()
        .flat_map(|topic| {
            let name = topic.name.clone();
            (0..topic.partition_count())
                .map(move |number| TopicPartition::new(name.clone(), number))
        })
        .collect();
    consumer.assign(&partitions).unwrap();
    drain(&consumer)
}

fn drain(consumer: &Consumer) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    loop {
        let Step::Records(polled) = consumer.poll(Duration::ZERO, 7).unwrap() else { panic!() };
        if polled.is_empty() {
            return found;
        }
        for some in &polled {
            let TopicPartition { topic, partition } = some.topic_partition();
            for record in some.records() {
                let new = found.insert((topic.to_string(), *partition, record.unwrap().offset));
                assert!(new, "a record came twice");
            }
        }
    }
}

#[test]
fn every_record_is_given_once() {
    for folder in ["clean", "killed", "old"] {
        let found = read(folder, IsolationLevel::ReadUncommitted);

        let expected = given(&format!("{folder}.jsonl"), false);
        assert_eq!(found, expected, "{folder}");
    }
}

#[test]
fn what_was_aborted_or_is_open_is_not_read_committed() {
    for folder in ["clean", "killed"] {
        let found = read(folder, IsolationLevel::ReadCommitted);

        assert_eq!(found, given(&format!("{folder}.jsonl"), true), "{folder}");
    }
}
