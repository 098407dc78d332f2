//! Readers after a crash of the machine that took what they had read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Consumer, Polled, Step};
use brokerless::config::{ConsumerConfig, OffsetReset};
use brokerless::engine::{Engine, OpenOptions, Partition};
use brokerless::env::mem::MemDisk;
use brokerless::record::BatchBuilder;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, Error};

use crate::shared::{earliest, in_group, tp};

/// So many crashes, each with another fate of what was not synced.
const SEEDS: u64 = 40;

fn open(disk: &MemDisk) -> Arc<Engine> {
    let engine = Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap();
    engine.topic_or_create("t").unwrap();
    engine
}

fn partition(engine: &Engine) -> Arc<Partition> {
    engine.partition(&tp(0)).unwrap()
}

/// Appends `count` records, each a batch of its own whose value is `life` and its number.
fn append(partition: &Partition, life: u32, count: u32) {
    for number in 0..count {
        let mut builder = BatchBuilder::new(Compression::None, None);
        let value = format!("{life} {number}");
        builder.append(1_000, None, Some(value.as_bytes()), &[]);
        partition.append(&mut builder.finish().unwrap()).unwrap();
    }
}

/// What a reader has seen, and where it is: offset and leader epoch.
#[derive(Clone, Debug, Default)]
struct Seen {
    values: Vec<String>,
    position: (i64, i32),
}

impl Seen {
    fn take(&mut self, polled: &[Polled]) {
        for some in polled {
            for record in some.records() {
                let record = record.unwrap();
                self.values.truncate(record.offset as usize);
                self.values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
            self.position = (some.next_offset(), some.leader_epoch().unwrap());
        }
    }
}

fn reader(engine: &Arc<Engine>, config: ConsumerConfig) -> Consumer {
    let consumer = Consumer::new(engine.clone(), config).unwrap();
    consumer.assign(&[tp(0)]).unwrap();
    consumer
}

/// Reads to the end.
fn drain(consumer: &Consumer, seen: &mut Seen) {
    loop {
        let Step::Records(polled) = consumer.poll(Duration::ZERO, 500).unwrap() else { panic!() };
        if polled.is_empty() {
            return;
        }
        seen.take(&polled);
    }
}

fn read(engine: &Arc<Engine>) -> Seen {
    let mut seen = Seen::default();
    drain(&reader(engine, earliest()), &mut seen);
    seen
}

/// A log of 20 records, of which the first 5 are synced.
fn written() -> (MemDisk, Arc<Engine>) {
    let disk = MemDisk::new();
    let engine = open(&disk);
    append(&partition(&engine), 0, 5);
    partition(&engine).sync(5).unwrap();
    append(&partition(&engine), 1, 15);
    (disk, engine)
}

fn agreement(one: &[String], other: &[String]) -> i64 {
    one.iter().zip(other).take_while(|(one, other)| one == other).count() as i64
}

#[test]
fn a_reader_goes_back_to_where_what_it_read_ends_after_any_crash() {
    let (disk, engine) = written();
    let before = read(&engine);
    for seed in 0..SEEDS {
        let disk = disk.after_crash(seed);
        let engine = open(&disk);
        append(&partition(&engine), 2, 30);
        let middle = read(&engine);
        let disk = disk.after_crash(seed + 1);
        let engine = open(&disk);
        append(&partition(&engine), 3, 60);
        let now = read(&engine);

        for old in [&before, &middle] {
            let mut seen = old.clone();
            let consumer = reader(&engine, earliest());
            let (offset, epoch) = seen.position;
            consumer.seek_to(&tp(0), offset, epoch).unwrap();

            let left = agreement(&old.values, &now.values);
            assert_eq!(consumer.position(&tp(0)).unwrap(), left, "SEED={seed}");
            drain(&consumer, &mut seen);
            assert_eq!(seen.values, now.values, "SEED={seed}");
        }
    }
}

#[test]
fn a_log_that_lost_all_of_its_records_is_noticed_too() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    append(&partition(&engine), 0, 3);
    let (offset, epoch) = read(&engine).position;
    let mut disk = disk;
    let mut engines = vec![engine];
    for crash in 1..=3 {
        disk = disk.after_crash(0);
        // Closed in good order it would lose nothing.
        engines.push(open(&disk));
        let engine = &engines[engines.len() - 1];
        append(&partition(engine), crash, 10);

        let consumer = reader(engine, earliest());
        consumer.seek_to(&tp(0), offset, epoch).unwrap();
        assert_eq!(consumer.position(&tp(0)).unwrap(), 0, "crash {crash}");
        let at = read(engine).position;
        assert_eq!(at.1, crash as i32);
    }
}

#[test]
fn what_was_committed_is_never_behind_what_a_crash_leaves() {
    let disk = MemDisk::new();
    let engine = open(&disk);
    append(&partition(&engine), 0, 20);
    let consumer = reader(&engine, ConsumerConfig { enable_auto_commit: false, ..in_group("g") });
    while consumer.position(&tp(0)).unwrap() < 7 {
        consumer.poll(Duration::ZERO, 1).unwrap();
    }
    consumer.commit(None).unwrap();
    append(&partition(&engine), 1, 20);
    for seed in 0..SEEDS {
        let engine = open(&disk.after_crash(seed));

        let committed = engine.committed_offsets("g").unwrap().remove(&tp(0)).unwrap();
        let end = partition(&engine).ends().unwrap().log_end_offset;
        assert_eq!((committed.offset, committed.leader_epoch), (7, 0), "SEED={seed}");
        assert!(committed.offset <= end, "SEED={seed}: {committed:?} of {end}");
    }
}

fn committed_at(engine: &Engine, offset: i64, leader_epoch: i32) {
    let commit = OffsetAndMetadata { offset, metadata: String::new(), leader_epoch };
    engine.commit_offsets("g", &[(tp(0), commit)]).unwrap();
}

#[test]
fn a_committed_offset_behind_the_end_is_not_a_reason_to_read_the_whole_log() {
    let (disk, _before) = written();
    let engine = open(&disk.after_crash(0));
    append(&partition(&engine), 2, 5);
    // By epoch the history ends at 5; without one only the log's end is known.
    for (offset, epoch, expected) in [(8, 0, 5), (50, 0, 5), (50, 1, 10), (50, -1, 10), (8, -1, 8)]
    {
        committed_at(&engine, offset, epoch);

        let consumer = reader(&engine, in_group("g"));

        assert_eq!(consumer.position(&tp(0)).unwrap(), expected, "{offset} of epoch {epoch}");
    }
}

#[test]
fn without_a_rule_a_lost_history_is_an_error_until_the_user_seeks() {
    let (disk, _before) = written();
    let engine = open(&disk.after_crash(0));
    append(&partition(&engine), 2, 5);
    committed_at(&engine, 8, 0);
    let config = ConsumerConfig { auto_offset_reset: OffsetReset::None, ..in_group("g") };
    let consumer = reader(&engine, config);

    for _ in 0..2 {
        let refused = consumer.poll(Duration::ZERO, 500);
        let named = matches!(
            refused,
            Err(Error::LogTruncation { offset: 8, leader_epoch: 0, end: 5, end_epoch: 0, .. })
        );
        assert!(named, "{refused:?}");
    }
    consumer.seek_to(&tp(0), 5, 0).unwrap();
    let mut seen = Seen::default();
    drain(&consumer, &mut seen);
    assert_eq!(seen.position, (10, 1));
}

#[test]
fn a_commit_carries_the_leader_epoch_of_what_was_read_last() {
    let (disk, _before) = written();
    let engine = open(&disk.after_crash(0));
    append(&partition(&engine), 2, 5);
    let consumer = reader(&engine, in_group("g"));
    let epochs = [3, 10].map(|count| {
        while consumer.position(&tp(0)).unwrap() < count {
            consumer.poll(Duration::ZERO, 1).unwrap();
        }
        consumer.commit(None).unwrap();
        consumer.committed(&tp(0)).unwrap().unwrap().leader_epoch
    });

    assert_eq!(epochs, [0, 1]);
}
