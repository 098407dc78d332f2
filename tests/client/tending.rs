//! Logs that are looked after in the background, by whatever client there is.

use std::time::{Duration, Instant};

use brokerless::client::{Consumer, directory};
use brokerless::config::{Change, ConsumerConfig, OffsetReset};
use brokerless::engine::{OpenOptions, Partition};
use brokerless::record::BatchBuilder;
use brokerless::{Compression, Error, TopicPartition};

use crate::shared::{Reader, SECOND, World};

/// Rounds of milliseconds.
const OFTEN: &str = "log.retention.check.interval.ms=5\nlog.cleaner.backoff.ms=5\n";

/// A record of long ago.
fn old(key: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1_000, Some(key.as_bytes()), Some(&[b'x'; 100]), &[]);
    builder.finish().unwrap()
}

fn make(world: &World, name: &str, policy: &str) -> std::sync::Arc<Partition> {
    let settings = [("cleanup.policy", policy), ("segment.bytes", "1000")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.engine.create_topic(name, None, &settings).unwrap();
    let partition = world.engine.partition(&TopicPartition::new(name, 0)).unwrap();
    for n in 0..100 {
        partition.append(&mut old(&format!("k{}", n % 3))).unwrap();
    }
    partition
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < until, "in vain was waited for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn whoever_has_a_directory_open_sees_to_every_log() {
    let world = World::with_properties(OFTEN);
    drop((make(&world, "stream", "delete"), make(&world, "table", "compact")));
    let world = world.reopened();

    let log = |name| world.engine.partition(&TopicPartition::new(name, 0)).unwrap();
    eventually("retention", || log("stream").ends().unwrap().log_start_offset == 100);
    eventually("compaction", || log("table").size().unwrap() < 3_000);
}

#[test]
fn a_directory_is_let_go_of_in_the_middle_of_a_compaction() {
    let world = World::with_properties(&format!("{OFTEN}log.cleaner.enable=false\n"));
    let engine = world.engine.clone();
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "1000000")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic("table", None, &settings).unwrap();
    let partition = engine.partition(&TopicPartition::new("table", 0)).unwrap();
    // Long enough for a compaction of seconds.
    for n in 0..200 {
        let mut builder = BatchBuilder::new(Compression::None, None);
        for m in 0..2_000 {
            builder.append(1, Some(format!("{n} {m}").as_bytes()), Some(b"v"), &[]);
        }
        partition.append(&mut builder.finish().unwrap()).unwrap();
    }
    let folder = world.path().join("table-0");
    let consumer = Consumer::new(engine.clone(), ConsumerConfig::default()).unwrap();
    let begin = ("log.cleaner.enable".to_owned(), Change::Set("true".to_owned()));
    engine.alter_directory(&[begin], false).unwrap();
    let World { engine: mine, dir } = world;
    drop((partition, engine, mine));
    eventually("a compaction", || {
        let mut names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.any(|name| name.to_string_lossy().ends_with(".cleaned"))
    });

    consumer.close(false).unwrap();

    assert!(dir.path().join(".kafka_cleanshutdown").exists());
    let again = directory::open(dir.path(), OpenOptions::default()).unwrap();
    let partition = again.partition(&TopicPartition::new("table", 0)).unwrap();
    assert_eq!(partition.ends().unwrap().log_end_offset, 400_000);
}

#[test]
fn a_consumer_whose_place_is_gone_goes_where_it_is_told_to_or_says_so() {
    let world =
        World::with_topic("t", 1, &[("segment.bytes", "300"), ("file.delete.delay.ms", "0")]);
    world.fill("t", 0, 0..100);
    let log = world.engine.partition(&TopicPartition::new("t", 0)).unwrap();
    let readers = [OffsetReset::Earliest, OffsetReset::Latest, OffsetReset::None].map(|reset| {
        let config = ConsumerConfig { auto_offset_reset: reset, ..ConsumerConfig::default() };
        let reader = world.consumer(config);
        reader.0.assign(&[TopicPartition::new("t", 0)]).unwrap();
        reader.0.seek(&TopicPartition::new("t", 0), 0).unwrap();
        assert_eq!(reader.poll(SECOND, 10).len(), 10);
        reader
    });

    assert_eq!(log.delete_records(60).unwrap(), 60);
    world.fill("t", 0, 100..103);

    // What they have read already they may still give.
    let [earliest, latest, none] = readers;
    let offsets = |reader: &Reader| reader.drain().iter().map(|it| it.1).collect::<Vec<_>>();
    assert!(offsets(&earliest).ends_with(&(60..103).collect::<Vec<_>>()));
    assert!(offsets(&latest).iter().all(|offset| *offset < 60));
    let refused = loop {
        if let Err(error) = none.0.poll(SECOND, 10) {
            break error;
        }
    };
    assert!(matches!(refused, Error::OffsetOutOfRange { start: 60, .. }), "{refused}");
}
