//! The commits of the group, in the order of the log: that is the order in which they happened.

use std::collections::HashMap;

use brokerless::engine::{Cursor, Engine, Partition};
use brokerless::record::{Batch, BatchInfo};
use brokerless::{IsolationLevel, TopicPartition};

use crate::member::GROUP;

const TOPIC: &str = "__consumer_offsets";

/// One partition's offset, committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    /// Whose it is: the member's name, and which of its commits.
    pub(crate) member: String,
    pub(crate) number: u64,
}

pub(crate) type Log = HashMap<TopicPartition, Vec<Commit>>;

/// Every commit there is, by partition.
pub(crate) fn read(engine: &Engine) -> Log {
    let mut log = Log::new();
    let Some(topic) = engine.topic(TOPIC).unwrap() else { return log };
    for number in 0..topic.partition_count() {
        let partition = engine.partition(&TopicPartition::new(TOPIC, number)).unwrap();
        for batch in batches(&partition) {
            for record in batch.records().map(Result::unwrap) {
                let found = record.key.and_then(parse_key).zip(record.value.and_then(parse_value));
                if let Some((partition, commit)) = found {
                    log.entry(partition).or_default().push(commit);
                }
            }
        }
    }
    log
}

fn batches(partition: &Partition) -> Vec<Batch> {
    let mut cursor = Cursor::new(partition.ends().unwrap().log_start_offset);
    let mut found = Vec::new();
    loop {
        let level = IsolationLevel::ReadUncommitted;
        let mut bytes = partition.read(&mut cursor, 1 << 20, level).unwrap().bytes;
        if bytes.is_empty() {
            return found;
        }
        while !bytes.is_empty() {
            let size = BatchInfo::parse(&bytes).unwrap().size;
            found.push(Batch::decode(bytes.split_to(size), 1 << 30).unwrap());
        }
    }
}

/// `OffsetCommitKey`: version, group, topic, partition. Other keys, and other groups', are not
/// looked at.
fn parse_key(key: &[u8]) -> Option<TopicPartition> {
    let rest = key.strip_prefix(&1_i16.to_be_bytes())?;
    let (group, rest) = string(rest)?;
    let (topic, rest) = string(rest)?;
    let number = i32::from_be_bytes(rest.try_into().ok()?);
    (group == GROUP).then(|| TopicPartition::new(topic, number))
}

/// `OffsetCommitValue`: version, offset, leader epoch, metadata, and more.
fn parse_value(value: &[u8]) -> Option<Commit> {
    let (_version, rest) = value.split_at_checked(2)?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (_leader_epoch, rest) = rest.split_at_checked(4)?;
    let (metadata, _) = string(rest)?;
    let (member, number) = metadata.split_once(' ')?;
    let number = number.parse().ok()?;
    Some(Commit { offset: i64::from_be_bytes(*offset), member: member.to_owned(), number })
}

fn string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}
