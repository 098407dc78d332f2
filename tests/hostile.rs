//! Bytes that ask for more memory than there is: a process that may have 512 MiB refuses them and
//! lives on. Each case runs in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use brokerless::engine::{Cursor, Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, codec};
use brokerless::{Compression, Corruption, IsolationLevel, TopicPartition};
use rustix::process::{Resource, Rlimit, setrlimit};

const MEMORY: u64 = 512 << 20;
/// The default of `max.decompressed.bytes`: more than the process may have.
const LIMIT: usize = 1 << 30;
const HUGE: u64 = 3 << 30;

const CASES: [(&str, fn()); 7] = [
    ("a bomb of zstd", a_bomb_of_zstd),
    ("a bomb of gzip", a_bomb_of_gzip),
    ("a size at the end of gzip", a_size_at_the_end_of_gzip),
    ("bombs of snappy and lz4", bombs_of_snappy_and_lz4),
    ("counts and lengths", counts_and_lengths),
    ("small files that are huge", small_files_that_are_huge),
    ("a batch as large as its file", a_batch_as_large_as_its_file),
];

#[test]
fn no_bytes_take_more_memory_than_there_is() {
    for (name, _) in CASES {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "one_case"])
            .env("HOSTILE_CASE", name)
            .output()
            .unwrap();

        let text = String::from_utf8_lossy(&child.stdout);
        let told = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && text.contains("1 passed"), "{name}: {text}{told}");
    }
}

#[test]
#[ignore = "the process of a case"]
fn one_case() {
    let name = std::env::var("HOSTILE_CASE").unwrap();
    let limit = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::As, limit).unwrap();
    CASES.iter().find(|(known, _)| *known == name).unwrap().1();
}

/// A frame of blocks that each repeat one byte 128 Ki times.
fn a_bomb_of_zstd() {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for _ in 0..1 << 18 {
        frame.extend([0x02, 0x00, 0x10, 0]);
    }
    frame.extend([0x03, 0x00, 0x10, 0]);

    let small = codec::decompress(Compression::Zstd, &frame, 1 << 20);
    let large = codec::decompress(Compression::Zstd, &frame, LIMIT);

    assert_eq!(small, Err(Corruption::TooLarge { limit: 1 << 20 }));
    assert_eq!(large, Err(Corruption::Memory { need: LIMIT }));
}

fn a_bomb_of_gzip() {
    let mut member = Vec::new();
    codec::compress(Compression::Gzip, None, &vec![0; 8 << 20], &mut member).unwrap();
    let members = member.repeat(400);

    let result = codec::decompress(Compression::Gzip, &members, 16 << 20);

    assert_eq!(result, Err(Corruption::TooLarge { limit: 16 << 20 }));
}

fn a_size_at_the_end_of_gzip() {
    let mut bytes = vec![0; 2 << 20];
    bytes.extend([0xff; 4]);

    let result = codec::decompress(Compression::Gzip, &bytes, LIMIT);

    assert_eq!(result, Err(Corruption::Memory { need: LIMIT }));
}

fn bombs_of_snappy_and_lz4() {
    for codec in [Compression::Snappy, Compression::Lz4] {
        let mut packed = Vec::new();
        codec::compress(codec, None, &vec![0; 32 << 20], &mut packed).unwrap();

        let result = codec::decompress(codec, &packed, 16 << 20);

        assert_eq!(result, Err(Corruption::TooLarge { limit: 16 << 20 }), "{codec:?}");
    }
}

/// Every four bytes of a batch say that there is more than can be.
fn counts_and_lengths() {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1, Some(b"key"), Some(&[7; 90]), &[("header", Some(b"value"))]);
    let batch = builder.finish().unwrap();
    for at in 0..batch.len() - 5 {
        for number in [[0x7f, 0xff, 0xff, 0xff, 0x0f], [0xfe, 0xff, 0xff, 0xff, 0x0f]] {
            let mut bad = batch.clone();
            bad[at..at + 5].copy_from_slice(&number);
            let Ok(batch) = Batch::decode(bad.into(), LIMIT) else { continue };

            let records = batch.records().take_while(Result::is_ok).count();

            assert!(records <= 1);
        }
    }
}

/// A directory with one batch in it.
fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path()).unwrap();
    engine.create_topic("a", Some(1), &[]).unwrap();
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1, None, Some(b"value"), &[]);
    let partition = engine.partition(&TopicPartition::new("a", 0)).unwrap();
    partition.append(&mut builder.finish().unwrap()).unwrap();
    dir
}

fn open(dir: &Path) -> brokerless::Result<std::sync::Arc<Engine>> {
    Engine::open(dir, OpenOptions::default(), Env::system())
}

/// Opens the directory and reads the first batch.
fn read(dir: &Path) -> brokerless::Result<usize> {
    let partition = open(dir)?.partition(&TopicPartition::new("a", 0))?;
    partition.ends()?;
    let mut cursor = Cursor::new(0);
    Ok(partition.read(&mut cursor, 1 << 20, IsolationLevel::ReadUncommitted)?.bytes.len())
}

fn small_files_that_are_huge() {
    for name in [
        "a-0/leader-epoch-checkpoint",
        "a-0/00000000000000000000.index",
        "a-0/00000000000000000000.timeindex",
        "a-0/00000000000000000000.txnindex",
        "a-0/00000000000000000001.snapshot",
        "a-0/partition.metadata",
        ".brokerless-control",
        ".brokerless-format",
        ".brokerless-topics",
        "brokerless.properties",
        "meta.properties",
        "recovery-point-offset-checkpoint",
        "log-start-offset-checkpoint",
        ".kafka_cleanshutdown",
    ] {
        let dir = directory();
        let path = dir.path().join(name);
        let file = File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        file.set_len(HUGE).unwrap();

        let told = read(dir.path()).map_err(|error| error.to_string());
        let last = path.file_name().unwrap().to_string_lossy();
        assert!(
            told.as_ref().map_or_else(|error| error.contains(&*last), |size| *size > 0),
            "{name}: {told:?}"
        );
    }
}

fn a_batch_as_large_as_its_file() {
    let dir = directory();
    let path = dir.path().join("a-0/00000000000000000000.log");
    let log = File::options().write(true).open(&path).unwrap();
    log.write_at(&(i32::MAX - 12).to_be_bytes(), 8).unwrap();
    log.set_len(HUGE).unwrap();

    let clean = read(dir.path()).unwrap_err();
    std::io::stdout().flush().unwrap();
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let engine = Engine::open(dir.path(), options, Env::system()).unwrap();
    let only_read = engine.partition(&TopicPartition::new("a", 0)).and_then(|it| it.ends());

    assert!(clean.to_string().contains("00000000000000000000.log"), "{clean}");
    assert!(only_read.is_ok() || only_read.unwrap_err().to_string().contains(".log"));
}
