//! What the engine's tests share: a directory, batches, and reading everything back.

use std::path::Path;
use std::sync::Arc;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::Env;
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, IsolationLevel, TopicPartition};

pub(crate) const ORDERS: &str = "orders";

/// Opens a directory as a process of its own would.
pub(crate) fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

pub(crate) fn open_read_only(dir: &Path) -> Arc<Engine> {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    Engine::open(dir, options, Env::system()).unwrap()
}

pub(crate) fn partition(engine: &Engine) -> Arc<Partition> {
    engine.topic_or_create(ORDERS).unwrap();
    engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap()
}

/// A batch of records with these values, written at `timestamp` and the milliseconds after it.
pub(crate) fn batch_at(timestamp: i64, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    for (index, value) in values.iter().enumerate() {
        builder.append(timestamp + index as i64, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.finish().unwrap()
}

pub(crate) fn append(partition: &Partition, values: &[&str]) -> i64 {
    partition.append(&mut batch_at(1_000, values)).unwrap().base_offset
}

/// Offsets and values from `from` to the end.
pub(crate) fn read_from(partition: &Partition, from: i64) -> Vec<(i64, String)> {
    let mut cursor = Cursor::new(from);
    let mut found = Vec::new();
    loop {
        let chunk = partition.read(&mut cursor, 1000, IsolationLevel::ReadUncommitted).unwrap();
        if chunk.bytes.is_empty() {
            return found;
        }
        let mut rest = chunk.bytes;
        while !rest.is_empty() {
            let size = BatchInfo::parse(&rest).unwrap().size;
            let batch = Batch::decode(rest.split_to(size), usize::MAX).unwrap();
            for record in batch.records().map(Result::unwrap).filter(|r| r.offset >= from) {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                found.push((record.offset, value));
            }
        }
    }
}

pub(crate) fn read(partition: &Partition) -> Vec<(i64, String)> {
    read_from(partition, 0)
}

/// The values, numbered from 0.
pub(crate) fn numbered(values: &[&str]) -> Vec<(i64, String)> {
    (0..).zip(values.iter().map(|value| (*value).to_owned())).collect()
}

/// Copies a folder and all in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
