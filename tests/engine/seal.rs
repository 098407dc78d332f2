//! The end of the active segment before its time.

use std::path::Path;
use std::sync::Arc;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::mem::MemDisk;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};

fn open(disk: &MemDisk, read_only: bool) -> Arc<Engine> {
    let options = OpenOptions { read_only, ..OpenOptions::default() };
    Engine::open(Path::new("/data"), options, disk.env()).unwrap()
}

fn partition(engine: &Engine) -> Arc<Partition> {
    let settings = [("cleanup.policy".to_owned(), "compact".to_owned())];
    if engine.topics().unwrap().get("t").is_none() {
        engine.create_topic("t", None, &settings).unwrap();
    }
    engine.partition(&TopicPartition::new("t", 0)).unwrap()
}

fn append(partition: &Partition, key: &str) {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1000, Some(key.as_bytes()), Some(b"value"), &[]);
    partition.append(&mut builder.finish().unwrap()).unwrap();
}

/// Offset and key of every record.
fn read(partition: &Partition) -> Vec<(i64, String)> {
    let (mut cursor, mut found) = (Cursor::new(0), Vec::new());
    while cursor.offset() < partition.ends().unwrap().log_end_offset {
        let mut rest = partition.read(&mut cursor, 4096, IsolationLevel::default()).unwrap().bytes;
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            let batch = Batch::decode(rest.split_to(size), usize::MAX).unwrap();
            found.extend(batch.records().map(|record| {
                let record = record.unwrap();
                (record.offset, String::from_utf8(record.key.unwrap().to_vec()).unwrap())
            }));
        }
    }
    found
}

#[test]
fn what_was_in_the_active_segment_is_compacted_after_it_was_sealed() {
    let disk = MemDisk::new();
    let engine = open(&disk, false);
    let partition = partition(&engine);
    for key in ["a", "b", "a"] {
        append(&partition, key);
    }
    assert!(!partition.compact(2000).unwrap());

    assert!(partition.seal().unwrap());
    assert!(partition.compact(2000).unwrap());

    append(&partition, "c");
    let expected = [(1, "b"), (2, "a"), (3, "c")].map(|(at, key)| (at, key.to_owned()));
    assert_eq!(read(&partition), expected);
}

#[test]
fn an_empty_segment_is_not_sealed() {
    let disk = MemDisk::new();
    let engine = open(&disk, false);
    let partition = partition(&engine);
    assert!(!partition.seal().unwrap());

    append(&partition, "a");

    assert!(partition.seal().unwrap());
    assert!(!partition.seal().unwrap());
    assert_eq!(read(&partition), [(0, "a".to_owned())]);
}

#[test]
fn nothing_is_sealed_in_a_directory_that_is_only_read() {
    let disk = MemDisk::new();
    let engine = open(&disk, false);
    append(&partition(&engine), "a");
    drop(engine);

    let engine = open(&disk, true);

    assert!(matches!(partition(&engine).seal(), Err(Error::ReadOnly(_))));
}
