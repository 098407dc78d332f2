//! A topic's settings (Kafka's `TopicConfig` and `LogConfig`).

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::config::DirectoryConfig;
use crate::config::names::nearest;
use crate::error::{Error, Result};
use crate::types::{Compression, TimestampType};

/// The settings of a topic that the log obeys; names and defaults are Kafka's.
///
/// Settings that were given and are not fields here (`cleanup.policy`, `retention.ms`, ...) are
/// kept in [`given`](Self::given).
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `segment.bytes`: a segment is rolled before it grows past this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when a batch is this much younger than its first.
    pub segment_ms: i64,
    /// `segment.index.bytes`: a segment is rolled when an index has this size.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: an index entry is made when this many bytes came since the last.
    pub index_interval_bytes: u32,
    /// `max.message.bytes`: the largest batch, in bytes, as it lies in the log.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `compression.type`; `None` is Kafka's `producer`: batches stay as they come.
    pub compression_type: Option<Compression>,
    /// Whether `cleanup.policy` has `compact`.
    pub compacted: bool,
    /// `delete.retention.ms`: how long compaction keeps a tombstone that it has seen.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction is due when more than this part of the log was
    /// not compacted yet.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: younger records are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: compaction is due when a record has waited this long.
    pub max_compaction_lag_ms: i64,
    /// `preallocate`: the file of a new segment is made as long as it may become, and written with
    /// zeros ahead of the log's end, which makes a sync cheaper.
    pub preallocate: bool,
    /// `flush.messages`: an append that leaves this many records unsynced syncs.
    pub flush_messages: i64,
    /// `flush.ms`: what was appended is synced when the last sync is this long ago.
    pub flush_ms: i64,
    /// Every setting that was given, under Kafka's name.
    pub given: BTreeMap<String, String>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            max_message_bytes: 1024 * 1024 + 12,
            message_timestamp_type: TimestampType::CreateTime,
            compression_type: None,
            compacted: false,
            delete_retention_ms: 24 * 60 * 60 * 1000,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            preallocate: false,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            given: BTreeMap::new(),
        }
    }
}

impl TopicConfig {
    /// The settings given, over the defaults. An unknown name or an impossible value is refused.
    pub fn parse<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut config = Self::default();
        for (name, value) in given {
            config.set(name, value)?;
        }
        Ok(config)
    }

    /// The largest batch that an append takes, and the setting that says so.
    pub(crate) fn largest_batch(&self) -> (usize, &'static str) {
        let by_segment = (self.segment_bytes as usize, "segment.bytes");
        by_segment.min((self.max_message_bytes as usize, "max.message.bytes"))
    }

    /// The same, with the directory's settings where the topic has none of its own.
    #[must_use]
    pub fn within(&self, directory: &DirectoryConfig) -> Self {
        let mut config = self.clone();
        let is_given = |name| self.given.contains_key(name);
        if !is_given("preallocate") {
            config.preallocate = directory.log_preallocate;
        }
        if !is_given("flush.messages") {
            config.flush_messages = directory.log_flush_interval_messages;
        }
        if !is_given("flush.ms") {
            config.flush_ms = directory.log_flush_interval_ms;
        }
        config
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "segment.bytes" => self.segment_bytes = number(name, value, 14, i64::from(i32::MAX))?,
            "segment.ms" => self.segment_ms = number(name, value, 1, i64::MAX)?,
            "segment.index.bytes" => {
                self.segment_index_bytes = number(name, value, 4, i64::from(i32::MAX))?;
            }
            "index.interval.bytes" => {
                self.index_interval_bytes = number(name, value, 0, i64::from(i32::MAX))?;
            }
            "max.message.bytes" => {
                self.max_message_bytes = number(name, value, 0, i64::from(i32::MAX))?;
            }
            "message.timestamp.type" => {
                self.message_timestamp_type = timestamp_type(name, value)?;
            }
            "compression.type" => self.compression_type = compression(name, value)?,
            "cleanup.policy" => self.compacted = cleanup_policy(name, value)?,
            "delete.retention.ms" => self.delete_retention_ms = number(name, value, 0, i64::MAX)?,
            "min.cleanable.dirty.ratio" => self.min_cleanable_dirty_ratio = ratio(name, value)?,
            "min.compaction.lag.ms" => {
                self.min_compaction_lag_ms = number(name, value, 0, i64::MAX)?;
            }
            "max.compaction.lag.ms" => {
                self.max_compaction_lag_ms = number(name, value, 1, i64::MAX)?;
            }
            "preallocate" => self.preallocate = boolean(name, value)?,
            "flush.messages" => self.flush_messages = number(name, value, 1, i64::MAX)?,
            "flush.ms" => self.flush_ms = number(name, value, 0, i64::MAX)?,
            _ if NUMBERS.contains(&name) => drop(number::<i64>(name, value, -1, i64::MAX)?),
            _ if OTHERS.contains(&name) => {}
            _ => return Err(unknown(name, value)),
        }
        self.given.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

/// Settings that are whole numbers and do not yet change what the log does.
const NUMBERS: [&str; 10] = [
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "file.delete.delay.ms",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "min.insync.replicas",
    "retention.bytes",
    "retention.ms",
    "segment.jitter.ms",
];

/// Settings of other kinds that do not yet change what the log does.
const OTHERS: [&str; 7] = [
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "message.downconversion.enable",
    "remote.storage.enable",
    "unclean.leader.election.enable",
];

const READ_HERE: [&str; 15] = [
    "cleanup.policy",
    "compression.type",
    "delete.retention.ms",
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "preallocate",
    "segment.bytes",
    "segment.index.bytes",
    "segment.ms",
];

fn number<T: TryFrom<i64>>(name: &str, value: &str, min: i64, max: i64) -> Result<T> {
    i64::from_str(value.trim())
        .ok()
        .filter(|n| (min..=max).contains(n))
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| invalid(name, value, format!("a whole number from {min} to {max} is due")))
}

/// As Kafka's type `BOOLEAN` has it.
fn boolean(name: &str, value: &str) -> Result<bool> {
    match value.trim() {
        value if value.eq_ignore_ascii_case("true") => Ok(true),
        value if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(invalid(name, value, "true or false is due")),
    }
}

fn timestamp_type(name: &str, value: &str) -> Result<TimestampType> {
    match value {
        "CreateTime" => Ok(TimestampType::CreateTime),
        "LogAppendTime" => Ok(TimestampType::LogAppendTime),
        _ => Err(invalid(name, value, "CreateTime or LogAppendTime is due")),
    }
}

fn compression(name: &str, value: &str) -> Result<Option<Compression>> {
    match value {
        "producer" => Ok(None),
        "uncompressed" => Ok(Some(Compression::None)),
        _ => Compression::from_name(value).filter(|codec| *codec != Compression::None).map_or_else(
            || {
                let known = "producer, uncompressed, gzip, snappy, lz4 or zstd is due";
                Err(invalid(name, value, known))
            },
            |codec| Ok(Some(codec)),
        ),
    }
}

/// Whether the policy is to compact.
fn cleanup_policy(name: &str, value: &str) -> Result<bool> {
    let policies: Vec<&str> = value.split(',').map(str::trim).collect();
    if policies.iter().all(|policy| matches!(*policy, "delete" | "compact")) {
        return Ok(policies.contains(&"compact"));
    }
    Err(invalid(name, value, "delete, compact or both, with a comma between, are due"))
}

fn ratio(name: &str, value: &str) -> Result<f64> {
    let ratio = f64::from_str(value.trim()).ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| invalid(name, value, "a number from 0 to 1 is due"))
}

fn unknown(name: &str, value: &str) -> Error {
    let known = READ_HERE.iter().chain(&NUMBERS).chain(&OTHERS).copied();
    let why = match nearest(name, known) {
        Some(nearest) => format!("no topic setting has this name; did you mean {nearest}?"),
        None => "no topic setting has this name".to_owned(),
    };
    invalid(name, value, why)
}

fn invalid(name: &str, value: &str, why: impl Into<String>) -> Error {
    Error::InvalidConfig { name: name.to_owned(), value: value.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_given_stand_over_the_defaults() {
        let config =
            TopicConfig::parse([("segment.bytes", "1048576"), ("retention.ms", "-1")]).unwrap();

        assert_eq!(config.segment_bytes, 1_048_576);
        assert_eq!(config.index_interval_bytes, 4096);
        assert_eq!(config.given["retention.ms"], "-1");
    }

    #[test]
    fn a_directorys_settings_stand_where_the_topic_has_none() {
        let directory = DirectoryConfig {
            log_preallocate: true,
            log_flush_interval_messages: 5,
            log_flush_interval_ms: 6,
            ..DirectoryConfig::default()
        };
        let topic = TopicConfig::parse([("flush.messages", "7"), ("preallocate", "False")]);

        let config = topic.unwrap().within(&directory);

        assert_eq!((config.preallocate, config.flush_messages, config.flush_ms), (false, 7, 6));
        assert!(TopicConfig::default().within(&directory).preallocate);
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_nearest_one() {
        let error = TopicConfig::parse([("segment.byte", "1")]).unwrap_err();

        assert!(error.to_string().contains("did you mean segment.bytes?"), "{error}");
    }

    #[test]
    fn impossible_values_are_refused() {
        let cases = [
            ("segment.bytes", "13"),
            ("segment.bytes", "many"),
            ("message.timestamp.type", "Now"),
            ("compression.type", "rar"),
            ("compression.type", "none"),
            ("cleanup.policy", "delete,burn"),
            ("min.cleanable.dirty.ratio", "1.5"),
            ("delete.retention.ms", "-1"),
            ("retention.ms", "-2"),
            ("preallocate", "yes"),
            ("flush.messages", "0"),
            ("flush.ms", "-1"),
        ];
        for (name, value) in cases {
            assert!(TopicConfig::parse([(name, value)]).is_err(), "{name}={value}");
        }
    }
}
