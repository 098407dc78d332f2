//! The inputs that every target begins with, from the files of real brokers and from our own.
//! `tests/data/fuzz` is made of them, and of what the long runs found worth keeping.

use std::path::{Path, PathBuf};
use std::time::Duration;

use brokerless::engine::{Engine, OpenOptions};
use brokerless::fuzz;
use brokerless::record::{Batch, BatchInfo};
use bytes::Bytes;

use super::directory::{DIR, Left, files, join, sample};

/// A target and an input for it.
pub type Seed = (&'static str, Vec<u8>);

/// All of them.
pub fn seeds() -> Vec<Seed> {
    let mut seeds = vec![
        ("control", vec![4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7]),
        ("properties", b"# all\noffsets.retention.minutes=1\na\\u0041 : \\\n b\n".to_vec()),
        ("properties", b"group.initial.rebalance.delay.ms=3\noffsets.topic.num.partitions 4".to_vec()),
        ("shared_memory", words(&[(32, 1), (40, 7), (41, u64::MAX), (56, u64::MAX), (3, 5)])),
        ("shared_memory", words(&[(33, 3), (48, 1 << 63), (49, 77), (53, 9), (32 + 40, 1), (6, 9)])),
        ("group_record", b"\x15\0\x01\0\x01g\0\x06orders\0\0\0\x03\0\x03\0\0\0\0\0\0\0\x2a\0\0\0\x07\0\x03who\0\0\0\0\0\0\0\x01".to_vec()),
    ];
    for (which, bytes) in fuzz::index_files().into_iter().enumerate() {
        seeds.push(("indexes", [&[which as u8], &bytes[..]].concat()));
    }
    seeds.extend(batches());
    seeds.extend(brokers());
    seeds.extend(directories());
    seeds.extend(groups());
    seeds
}

fn words(all: &[(u8, u64)]) -> Vec<u8> {
    all.iter().flat_map(|(place, value)| [&[*place][..], &value.to_le_bytes()].concat()).collect()
}

fn data() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join(if here.ends_with("fuzz") { "../tests/data" } else { "tests/data" })
}

fn read(path: &Path) -> Vec<u8> {
    let text = format!("{} is part of the repository", path.display());
    std::fs::read(path).expect(&text)
}

/// The middle batch of each magic and codec.
fn batches() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for magic in ["v0", "v1", "v2"] {
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let path = data().join(format!("record/{magic}-{codec}.bin"));
            if !path.is_file() {
                continue;
            }
            let mut all = split(read(&path));
            all.sort_by_key(Vec::len);
            let batch = all.swap_remove(all.len() / 2);
            let payload = match batch[16] {
                2 => 61,
                1 => 34,
                _ => 26,
            };
            if codec != "none" {
                seeds.push((codec, batch[payload..].to_vec()));
            }
            seeds.push(("batch_info", batch.clone()));
            seeds.push(("batch_decode", batch));
        }
    }
    seeds
}

fn split(bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let (mut rest, mut all) = (Bytes::from(bytes), Vec::new());
    while !rest.is_empty() {
        let size = BatchInfo::parse(&rest).expect("a golden batch").size;
        all.push(rest.split_to(size).to_vec());
    }
    all
}

/// From the directory of a broker.
fn brokers() -> Vec<Seed> {
    let file = |name: &str| read(&data().join("kafka/clean").join(name));
    let log = |name: &str| split(file(name));
    let mut seeds = vec![
        ("aborted_transactions", file("transactions-0/00000000000000000000.txnindex")),
        ("checkpoint", file("compacted-0/leader-epoch-checkpoint")),
        ("checkpoint", file("recovery-point-offset-checkpoint")),
        ("snapshot", file("idempotent-0/00000000000000000030.snapshot")),
        ("snapshot", file("transactions-0/00000000000000000044.snapshot")),
    ];
    for partition in 0..2 {
        for batch in log(&format!("__consumer_offsets-{partition}/00000000000000000000.log")) {
            seeds.extend(records(batch));
        }
    }
    seeds
}

fn records(batch: Vec<u8>) -> Vec<Seed> {
    let batch = Batch::decode(batch.into(), 1 << 20).expect("a golden batch");
    let mut seeds = Vec::new();
    for record in batch.records().map_while(Result::ok) {
        let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
        let end = value.len();
        seeds.push(("group_record", [&[key.len() as u8], key, value].concat()));
        // A group's value ends with what its last member said.
        let inner = value.windows(4).position(|it| it[..3] == [0, 0, 0] && it[3] > 12);
        if let Some(at) = inner.filter(|_| end > 60) {
            seeds.push(("consumer_protocol", value[at + 4..].to_vec()));
        }
    }
    seeds
}

/// Each kind of file, and the directory left in each way.
fn directories() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (how, left) in [Left::Closed, Left::Killed, Left::Crashed].into_iter().enumerate() {
        for (which, (name, bytes)) in files(sample(left)).into_iter().enumerate() {
            let many = bytes.len() > 1500 || bytes.is_empty();
            // One segment is like another.
            let other = name.to_string_lossy().contains("-1/") || which % 3 != how;
            if !many && !other {
                seeds.push(("directory", [&[how as u8, which as u8], &bytes[..]].concat()));
            }
            if name.ends_with(".brokerless-topics") {
                seeds.push(("topics", bytes));
            }
        }
    }
    seeds
}

/// The state of a group with one member.
fn groups() -> Vec<Seed> {
    let disk = sample(Left::Closed).copy();
    let engine = Engine::open(Path::new(DIR), OpenOptions::default(), disk.env());
    let group = engine.and_then(|engine| engine.group("g")).expect("a healthy directory");
    let member = group.join(join()).expect("a healthy directory");
    group.sweep(Duration::ZERO).expect("a healthy directory");
    let mut seeds = Vec::new();
    for (name, bytes) in files(&disk) {
        if name.extension().is_some_and(|it| it == "state") {
            let live =
                &bytes[bytes.windows(5).rposition(|it| *it == *b"\x01\0\0\0g").unwrap_or(0)..];
            seeds.push(("group_state", live[5..].to_vec()));
            seeds.push(("group_files", [&[0], live].concat()));
        }
    }
    drop(member);
    seeds
}
