//! A process on the real disk that may not make its files longer: as on a full disk, an append
//! fails, nothing is lost, others go on, and so does it when there is room again. And one that may
//! have few files open: it works with many partitions, and where there is none left nothing is
//! lost either.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::iter;
use std::path::Path;
use std::sync::Arc;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, IsolationLevel, TopicPartition};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Process, arg, say};

support::roles!(limited, narrow, crowded);

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

fn allow_files(count: u64) {
    let limit = Rlimit { current: Some(count), maximum: Some(count) };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Partitions that are more than a process may have files, each of which is used.
const MANY: i32 = 450;

/// How many of them are compacted.
const SEALED: usize = 260;

fn partitions(engine: &Engine) -> Vec<Arc<Partition>> {
    let partition = |number| engine.partition(&TopicPartition::new("many", number)).unwrap();
    (0..MANY).map(partition).collect()
}

fn read_on(partition: &Partition, cursor: &mut Cursor) -> usize {
    partition.read(cursor, 1000, IsolationLevel::ReadUncommitted).unwrap().bytes.len()
}

/// Appends to many partitions, reads them on and on, compacts them, and closes the directory.
fn narrow() {
    allow_files(560);
    let dir = arg("dir");
    let engine = Engine::open(Path::new(&dir), OpenOptions::default(), Env::system()).unwrap();
    let settings = [("cleanup.policy".to_owned(), "compact".to_owned())];
    engine.create_topic("many", Some(MANY), &settings).unwrap();
    let all = partitions(&engine);
    let mut cursors: Vec<Cursor> = all.iter().map(|_| Cursor::new(0)).collect();
    for round in 0..3 {
        for (partition, cursor) in all.iter().zip(&mut cursors) {
            partition.append(&mut keyed("a")).unwrap();
            assert!(read_on(partition, cursor) > 0);
            assert_eq!((read_on(partition, cursor), cursor.offset()), (0, round + 1));
        }
    }
    say("read");
    for partition in &all[..SEALED] {
        assert!(partition.seal().unwrap());
        assert!(partition.compact(0).unwrap());
        say("compacted");
    }
    for (partition, cursor) in all.iter().zip(&mut cursors).take(SEALED) {
        partition.append(&mut keyed("b")).unwrap();
        assert!(read_on(partition, cursor) > 0);
    }
    say("compacted and read");
    drop((all, cursors, engine));
    say("closed");
}

fn keyed(value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(0, Some(b"k"), Some(value.as_bytes()), &[]);
    builder.finish().unwrap()
}

#[test]
fn more_partitions_are_used_than_files_may_be_open() {
    // In memory, where there is such a place: thousands of files are synced.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let data = dir.path().join("data");

    let mut narrow = Process::start("narrow", &[("dir", data.to_str().unwrap())]);

    while narrow.hear() != "closed" {}
    narrow.finish();
    assert!(data.join(".kafka_cleanshutdown").exists(), "it was closed in good order");
    let engine = Engine::open(&data, OpenOptions::default(), Env::system()).unwrap();
    let found: Vec<String> = partitions(&engine).iter().map(|it| letters(it)).collect();
    assert!(found[..SEALED].iter().all(|letters| letters == "ab"), "{found:?}");
    assert!(found[SEALED..].iter().all(|letters| letters == "aaa"), "{found:?}");
}

/// Works while no more file can be opened, and says what failed.
fn crowded() {
    let (engine, partition) = open(Path::new(&arg("dir")));
    engine.create_topic("second", Some(2), &[]).unwrap();
    let of_second = |number| engine.partition(&TopicPartition::new("second", number)).unwrap();
    let second = [of_second(0), of_second(1)];
    allow_files(64);
    let taken: Vec<File> = iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let failures = [
        engine.create_topic("third", None, &[]).map(drop),
        partition.append(&mut batch("a")).map(drop),
        second[0].append(&mut batch("b")).map(drop),
        second[0].sync(0),
        second[1].seal().map(drop),
        engine.delete_topic("second"),
    ];
    for failure in failures {
        let failure = failure.expect_err("no file can be opened").to_string();
        say(if failure.contains("`ulimit -n`") { "told" } else { &failure });
    }
    drop(taken);
    let appended = second[0].append(&mut batch("c")).unwrap();
    second[0].sync(appended.end_offset).unwrap();
    partition.append(&mut batch("d")).unwrap();
    second[1].seal().unwrap();
    engine.create_topic("third", None, &[]).unwrap();
    say(&format!("{} {}", letters(&partition), letters(&second[0])));
}

#[test]
fn where_no_file_can_be_opened_each_call_says_why_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();

    let mut crowded = Process::start("crowded", &[("dir", dir.path().to_str().unwrap())]);

    for _ in 0..6 {
        assert_eq!(crowded.hear(), "told");
    }
    assert_eq!(crowded.hear(), "d c");
    crowded.finish();
}
