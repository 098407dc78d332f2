//! Doors for the fuzz targets into decoders that only this crate can call: any bytes give a value
//! or nothing, and what was read once reads the same again. No part of the interface: only debug
//! builds and those of `cargo fuzz` have them.

mod indexes;

use std::path::Path;

use crate::coord::group::State;
use crate::coord::offsets::Offsets;
use crate::coord::schema;
use crate::engine::read_topics_again;
use crate::env::mem::MemDisk;
use crate::env::{Access, Storage};
use crate::log::aborted;
use crate::log::checkpoint::{self, LeaderEpochs};
use crate::log::producers::Producers;

pub use indexes::{index_files, indexes};

/// Reads a snapshot of producers.
pub fn snapshot(bytes: &[u8]) {
    if let Some(producers) = Producers::parse(bytes) {
        assert_eq!(Producers::parse(&producers.encode()), Some(producers));
    }
}

/// Reads both kinds of checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    let disk = disk_with("leader-epoch-checkpoint", bytes);
    let epochs = LeaderEpochs::read(&disk, Path::new("/")).expect("it is there");
    epochs.write(&disk, Path::new("/")).expect("memory takes it");
    assert_eq!(LeaderEpochs::read(&disk, Path::new("/")).expect("it is there"), epochs);

    let disk = disk_with("offsets", bytes);
    let path = Path::new("/offsets");
    let offsets = checkpoint::read_offsets(&disk, path).expect("it is there");
    if offsets.keys().all(|id| !id.topic.contains(char::is_whitespace)) {
        checkpoint::write_offsets(&disk, path, &offsets).expect("memory takes it");
        assert_eq!(checkpoint::read_offsets(&disk, path).expect("it is there"), offsets);
    }
}

/// Reads an index of aborted transactions.
pub fn aborted_transactions(bytes: &[u8]) {
    let disk = disk_with("00000000000000000000.txnindex", bytes);
    let read = || aborted::read(&disk, Path::new("/"), 0).expect("it is there");
    let Some(entries) = read() else { return };
    aborted::write(&disk, Path::new("/"), 0, &entries).expect("memory takes it");
    assert_eq!(read(), Some(entries));
}

/// Reads a key and a value of `__consumer_offsets`, split at the first byte.
pub fn group_record(bytes: &[u8]) {
    let [at, bytes @ ..] = bytes else { return };
    let (key, value) = bytes.split_at(usize::from(*at).min(bytes.len()));
    let mut offsets = Offsets::default();
    offsets.replay(Some(key), Some(value));
    offsets.replay(Some(key), None);
    commit(key, value);
    group(key, value);
}

fn commit(key: &[u8], value: &[u8]) {
    if let Some(key) = schema::parse_key(key) {
        let again = schema::encode_key(&key.group, &key.partition);
        assert_eq!(schema::parse_key(&again), Some(key));
    }
    if let Some(value) = schema::parse_value(value) {
        let again = schema::encode_value(&value.commit, value.timestamp);
        let value = schema::CommitValue { expires: None, ..value };
        assert_eq!(schema::parse_value(&again), Some(value));
    }
}

fn group(key: &[u8], value: &[u8]) {
    if let Some(group) = schema::parse_group_key(key) {
        assert_eq!(schema::parse_group_key(&schema::encode_group_key(&group)), Some(group));
    }
    if let Some(group) = schema::parse_group_value(value) {
        assert_eq!(schema::parse_group_value(&schema::encode_group_value(&group)), Some(group));
    }
}

/// Reads what members of consumer groups tell each other.
pub fn consumer_protocol(bytes: &[u8]) {
    if let Some(subscription) = schema::parse_subscription(bytes) {
        let ordered = schema::encode_subscription(&subscription);
        let again = schema::parse_subscription(&ordered).expect("it was just written");
        assert_eq!(schema::encode_subscription(&again), ordered);
    }
    if let Some(assignment) = schema::parse_assignment(bytes) {
        let grouped = schema::encode_assignment(&assignment);
        let again = schema::parse_assignment(&grouped).expect("it was just written");
        assert_eq!(schema::encode_assignment(&again), grouped);
    }
}

/// Reads a group's state.
pub fn group_state(bytes: &[u8]) {
    if let Some(state) = State::decode(bytes) {
        let again = state.encode();
        assert_eq!(State::decode(&again).expect("it was just written").encode(), again);
    }
}

/// Reads the list of topics.
pub fn topics(bytes: &[u8]) {
    read_topics_again(&disk_with(".brokerless-topics", bytes), Path::new("/"));
}

fn disk_with(name: &str, bytes: &[u8]) -> MemDisk {
    let disk = MemDisk::new();
    let file = disk.open(&Path::new("/").join(name), Access::Write).expect("a disk in memory");
    file.write_at(0, bytes).expect("memory takes it");
    disk
}
