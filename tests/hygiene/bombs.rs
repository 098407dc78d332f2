//! Small batches that stand for gigabytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Consumer, Polled, Step};
use brokerless::config::{ConsumerConfig, OffsetReset};
use brokerless::engine::{Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{BatchBuilder, codec};
use brokerless::{Compression, Error, Result, TopicPartition};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::support::{Process, arg};

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

const TOPIC: &str = "t";
const LIMIT: usize = 8 << 20;
/// What a process may take beyond what it has at its start; less than a bomb takes.
const MEMORY: u64 = 256 << 20;
/// Each part of a bomb stands for so many zeros.
const PART: usize = 1 << 20;
const PARTS: usize = 1024;

/// What stands for 1 GiB of zeros.
fn a_gibibyte(codec: Compression) -> Vec<u8> {
    let mut part = Vec::new();
    codec::compress(codec, None, &vec![0; PART], &mut part).unwrap();
    // A frame of lz4 is all there is; of the others one may follow the other.
    let (begin, end) = if codec == Compression::Lz4 { (7, 4) } else { (0, 0) };
    let middle = &part[begin..part.len() - end];
    [&part[..begin], &middle.repeat(PARTS), &part[part.len() - end..]].concat()
}

/// A batch of one record whose compressed part is replaced.
fn bomb(codec: Compression) -> Vec<u8> {
    const RECORDS: usize = 61;

    let mut batch = batch(codec, b"");
    batch.truncate(RECORDS);
    batch.extend(a_gibibyte(codec));
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

fn batch(codec: Compression, value: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec, None);
    builder.append(1_000, Some(b"key"), Some(value), &[]);
    builder.finish().unwrap()
}

/// A message set of old brokers: of magic 0 or 1, with an offset of 0.
fn legacy_bomb(codec: Compression, magic: u8) -> Vec<u8> {
    let value = a_gibibyte(codec);
    let mut rest = vec![magic, codec as u8];
    rest.extend(if magic == 1 { 1_000_i64.to_be_bytes().to_vec() } else { Vec::new() });
    rest.extend((-1_i32).to_be_bytes());
    rest.extend((value.len() as i32).to_be_bytes());
    rest.extend(value);
    let mut checksum = flate2::Crc::new();
    checksum.update(&rest);
    let mut message = 0_i64.to_be_bytes().to_vec();
    message.extend((rest.len() as i32 + 4).to_be_bytes());
    message.extend(checksum.sum().to_be_bytes());
    message.extend(rest);
    message
}

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

fn partition(engine: &Engine, settings: &[(&str, &str)]) -> Arc<Partition> {
    let large = [("max.message.bytes", "1000000000")];
    let settings: Vec<_> = large
        .iter()
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    engine.create_topic(TOPIC, None, &settings).unwrap();
    engine.partition(&TopicPartition::new(TOPIC, 0)).unwrap()
}

/// Reads the topic with little memory: past a bomb at offset 0, to the record behind it.
pub(crate) fn careful_reader() {
    limit_memory();
    let engine = open(Path::new(&arg("dir")));
    let consumer = consumer(&engine);

    let error = consumer.poll(Duration::ZERO, 500).unwrap_err();
    let Error::DecompressedTooLarge { next_offset: Some(next), limit: LIMIT, .. } = error else {
        panic!("{error}");
    };
    let text = error.to_string();
    assert!(text.contains("raise max_decompressed_bytes, or seek past it, to 1"), "{text}");
    consumer.seek(&TopicPartition::new(TOPIC, 0), next).unwrap();

    assert_eq!(polled(&consumer), 1);
}

/// Reads many batches with little memory, each of which is within the limit.
pub(crate) fn patient_reader() {
    limit_memory();
    let engine = open(Path::new(&arg("dir")));
    let consumer = consumer(&engine);
    let mut found = 0;
    while found < arg("count").parse().unwrap() {
        let some = polled(&consumer);
        assert!(some <= 2, "{some} batches of 6 MiB in one poll");
        found += some;
    }
}

/// Of the one poll the records, all of which are held until the next.
fn polled(consumer: &Consumer) -> usize {
    match consumer.poll(Duration::from_secs(1), 500).unwrap() {
        Step::Records(polled) => polled.iter().map(Polled::len).sum(),
        other => panic!("{other:?}"),
    }
}

fn consumer(engine: &Arc<Engine>) -> Consumer {
    let config = ConsumerConfig {
        auto_offset_reset: OffsetReset::Earliest,
        max_decompressed_bytes: LIMIT,
        ..ConsumerConfig::default()
    };
    let consumer = Consumer::new(engine.clone(), config).unwrap();
    consumer.assign(&[TopicPartition::new(TOPIC, 0)]).unwrap();
    consumer
}

fn limit_memory() {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let most = Some(pages * 4096 + MEMORY);
    setrlimit(Resource::As, Rlimit { current: most, maximum: most }).unwrap();
}

fn play(role: &str, dir: &Path, count: &str) {
    Process::start(role, &[("dir", dir.to_str().unwrap()), ("count", count)]).finish();
}

#[cfg(target_os = "linux")]
#[test]
fn a_bomb_is_refused_within_the_limit_and_can_be_passed() {
    for codec in CODECS {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        let partition = partition(&engine, &[]);
        partition.append(&mut bomb(codec)).unwrap();
        partition.append(&mut batch(codec, b"behind")).unwrap();

        play("careful_reader", dir.path(), "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_bomb_of_an_old_broker_is_refused_too() {
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
        for magic in [0, 1] {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join(format!("{TOPIC}-0"));
            std::fs::create_dir(&folder).unwrap();
            let log = folder.join("00000000000000000000.log");
            std::fs::write(log, legacy_bomb(codec, magic)).unwrap();
            let engine = open(dir.path());
            let id = TopicPartition::new(TOPIC, 0);
            engine.partition(&id).unwrap().append(&mut batch(codec, b"behind")).unwrap();

            play("careful_reader", dir.path(), "");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_poll_takes_little_memory_however_many_batches_it_could_take() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let partition = partition(&engine, &[]);
    let value = vec![0; 6 << 20];
    for _ in 0..80 {
        partition.append(&mut batch(Compression::Zstd, &value)).unwrap();
    }

    play("patient_reader", dir.path(), "80");
}

/// The error names the setting of the directory.
fn check_refused<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::DecompressedTooLarge { limit: 1_000_000, .. }), "{error}");
    assert!(error.to_string().contains("raise max.decompressed.bytes (brokerless.properties)"));
}

fn strict(dir: &Path) -> Arc<Engine> {
    std::fs::write(dir.join("brokerless.properties"), "max.decompressed.bytes=1000000\n").unwrap();
    open(dir)
}

#[test]
fn the_log_itself_looks_into_no_bomb() {
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "1000000")];
    let dir = tempfile::tempdir().unwrap();
    let engine = strict(dir.path());
    let partition = partition(&engine, &settings);
    let size = bomb(Compression::Zstd).len() as u64;
    partition.append(&mut bomb(Compression::Zstd)).unwrap();
    for _ in 0..3 {
        partition.append(&mut batch(Compression::None, &vec![1; 600_000])).unwrap();
    }

    check_refused(partition.offset_for_time(1_000));
    check_refused(partition.compact(i64::MAX / 2));

    let first = dir.path().join("t-0/00000000000000000000.log");
    assert!(first.metadata().unwrap().len() >= size, "nothing of it is gone");
}

#[test]
fn a_bomb_is_not_compressed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let engine = strict(dir.path());
    let partition = partition(&engine, &[("compression.type", "gzip")]);

    for codec in [Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        check_refused(partition.append(&mut bomb(codec)));
    }

    assert_eq!(partition.ends().unwrap().log_end_offset, 0);
}

#[test]
fn recovery_passes_over_a_bomb() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    partition(&engine, &[]).append(&mut bomb(Compression::Lz4)).unwrap();
    drop(engine);
    std::fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
    std::fs::remove_file(dir.path().join(".brokerless-control")).unwrap();

    let engine = strict(dir.path());

    let partition = engine.partition(&TopicPartition::new(TOPIC, 0)).unwrap();
    assert_eq!(partition.ends().unwrap().log_end_offset, 1);
}
