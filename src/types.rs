//! The small values that every layer speaks of.

use std::fmt;
use std::sync::Arc;

/// Milliseconds since the Unix epoch; [`NO_TIMESTAMP`] where a record has none.
pub type Timestamp = i64;

/// What Kafka writes for an absent timestamp.
pub const NO_TIMESTAMP: Timestamp = -1;

/// One partition of one topic: the unit of order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

/// `topic-partition`, as Kafka names the folder.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A process of this machine, as a hint: ids are used again, and mean nothing in another
/// namespace. What is true of a process, locks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// Its id, in its namespace.
    pub pid: u32,
    /// The namespace of process ids it lives in; 0 where there is none, or none is known.
    pub namespace: u64,
}

/// How the records section of a batch is compressed; the value is the batch's attribute bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// Not at all.
    #[default]
    None = 0,
    /// gzip (RFC 1952).
    Gzip = 1,
    /// snappy, in the framing of xerial's snappy-java.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// Kafka's name: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of that name, if Kafka has it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd]
            .into_iter()
            .find(|codec| codec.name() == name)
    }

    /// The codec with that number in a batch's attributes, if Kafka has it.
    pub const fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }
}

/// Who set a record's timestamp (KIP-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The log, at append.
    LogAppendTime,
}

/// Whether a reader sees records of transactions that are open or aborted (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum IsolationLevel {
    /// It sees every record.
    #[default]
    ReadUncommitted,
    /// It sees records outside transactions and of committed ones, up to the last stable offset.
    ReadCommitted,
}

/// When an append is acknowledged: Kafka's `acks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// `acks=0`: when the record is in the producer's open batch.
    Accepted,
    /// `acks=1`: when it is written, so that it outlives the process.
    Written,
    /// `acks=all`: when it is on stable storage.
    #[default]
    Durable,
}

/// A committed offset with what its owner stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to read.
    pub offset: i64,
    /// Any text, at most 4,096 bytes.
    pub metadata: String,
    /// The leader epoch of the last record read, or -1.
    pub leader_epoch: i32,
}

/// Checks a topic's name against Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
pub fn valid_topic_name(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
