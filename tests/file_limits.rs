//! A process on the real disk that may not make its files longer: as on a full disk, an append
//! fails, nothing is lost, others go on, and so does it when there is room again.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::Arc;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, IsolationLevel, TopicPartition};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Process, arg, say};

support::roles!(limited);

const ORDERS: &str = "orders";

fn open(dir: &Path) -> (Arc<Engine>, Arc<Partition>) {
    let engine = Engine::open(dir, OpenOptions::default(), Env::system()).unwrap();
    engine.topic_or_create(ORDERS).unwrap();
    let partition = engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap();
    (engine, partition)
}

fn batch(value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(0, None, Some(value.as_bytes()), &[]);
    builder.finish().unwrap()
}

/// The first letter of each record.
fn letters(partition: &Partition) -> String {
    let mut cursor = Cursor::new(0);
    let mut found = String::new();
    loop {
        let level = IsolationLevel::ReadUncommitted;
        let mut rest = partition.read(&mut cursor, 100_000, level).unwrap().bytes;
        if rest.is_empty() {
            return found;
        }
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            let batch = Batch::decode(rest.split_to(size), 1 << 20).unwrap();
            let values = batch.records().map(|record| record.unwrap().value.unwrap()[0] as char);
            found.extend(values);
        }
    }
}

/// Appends up to a limit of file sizes, past it, and again without it.
fn limited() {
    let (engine, partition) = open(Path::new(&arg("dir")));
    partition.append(&mut batch("a")).unwrap();
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(70_000), ..before }).unwrap();
    partition.append(&mut batch(&"b".repeat(60_000))).unwrap();
    let failed = partition.append(&mut batch(&"c".repeat(20_000)));
    // Its pages are behind the limit; they are allocated, not merely mapped.
    engine.create_topic("more", Some(200), &[]).unwrap();
    let page = engine.partition(&TopicPartition::new("more", 199));
    say(&format!("{} {}", failed.is_err(), page.is_err()));
    // A shorter one has room.
    let appended = partition.append(&mut batch("d")).unwrap();
    partition.sync(appended.end_offset).unwrap();
    say(&letters(&partition));
    setrlimit(Resource::Fsize, before).unwrap();
    partition.append(&mut batch(&"e".repeat(20_000))).unwrap();
    say(&letters(&partition));
}

#[test]
fn a_limit_of_file_sizes_fails_an_append_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (_engine, partition) = open(&data);
    let args = [("dir", data.to_str().unwrap())];

    let mut limited = Process::start_with_file_limits("limited", &args);

    assert_eq!(limited.hear(), "true true", "the append has failed, and the making of pages");
    assert_eq!(limited.hear(), "abd");
    partition.append(&mut batch("f")).unwrap();
    assert!(letters(&partition).starts_with("abd"));
    assert_eq!(limited.hear().replace('f', ""), "abde");
    limited.finish();
    assert_eq!(letters(&partition).len(), 5);
}
