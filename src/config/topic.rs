//! A topic's settings (Kafka's `TopicConfig` and `LogConfig`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::DirectoryConfig;
use crate::config::setting::{
    self, Change, Described, Kind, Setting, Source, Synonym, Valid, Value, find, unknown,
};
use crate::error::Result;
use crate::types::{Compression, TimestampType};

/// Milliseconds.
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The settings of a topic that the log obeys; names and defaults are Kafka's, and so are those of
/// [`SETTINGS`].
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `segment.bytes`: a segment is rolled before it grows past this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when a batch is this much younger than its first.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to this much sooner, from segment to segment another time.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: a segment is rolled when an index has this size.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: an index entry is made when this many bytes came since the last.
    pub index_interval_bytes: u32,
    /// `max.message.bytes`: the largest batch, in bytes, as it lies in the log.
    pub max_message_bytes: u32,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far behind the clock a producer's timestamp may be.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of it.
    pub message_timestamp_after_max_ms: i64,
    /// `compression.type`; `None` is Kafka's `producer`: batches stay as they come.
    pub compression_type: Option<Compression>,
    /// `compression.gzip.level`.
    pub compression_gzip_level: i32,
    /// `compression.zstd.level`.
    pub compression_zstd_level: i32,
    /// Whether `cleanup.policy` has `compact`.
    pub compacted: bool,
    /// Whether `cleanup.policy` has `delete`.
    pub deleting: bool,
    /// `retention.ms`: with `delete`, a segment goes when all of it is older; -1 is never.
    pub retention_ms: i64,
    /// `retention.bytes`: with `delete`, old segments go when the log is larger; -1 is no limit.
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`: how long files are left that are no longer part of the log.
    pub file_delete_delay_ms: i64,
    /// `delete.retention.ms`: how long compaction keeps a tombstone that it has seen.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction is due when more than this part of the log was
    /// not compacted yet.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: younger records are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: compaction is due when a record has waited this long.
    pub max_compaction_lag_ms: i64,
    /// `min.insync.replicas`: above 1 nothing can be acknowledged to `acks=all`.
    pub min_insync_replicas: i32,
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

/// Every setting of a topic, by name. What is said here is all that decides which there are, what
/// they may be and what they are.
pub const SETTINGS: [Setting<TopicConfig>; 33] = [
    Setting {
        name: "cleanup.policy",
        kind: Kind::List,
        default: Some("delete"),
        valid: Valid::OneOf(&["compact", "delete"]),
        documentation: "What happens with old segments: `delete` removes them when `retention.ms` or `retention.bytes` says so, `compact` keeps of each key the last record, both do both, and none keeps everything.",
        synonyms: &[("log.cleanup.policy", 1)],
        set: |config, value| {
            config.compacted = has(&value, "compact");
            config.deleting = has(&value, "delete");
        },
    },
    Setting {
        name: "compression.gzip.level",
        kind: Kind::Int,
        default: Some("-1"),
        valid: Valid::GzipLevel,
        documentation: "The level of gzip where `compression.type` is `gzip` and a batch comes otherwise.",
        synonyms: &[("compression.gzip.level", 1)],
        set: |config, value| config.compression_gzip_level = int(&value),
    },
    Setting {
        name: "compression.lz4.level",
        kind: Kind::Int,
        default: Some("9"),
        valid: Valid::Between(1, 17),
        documentation: "The level of LZ4 where `compression.type` is `lz4`; kept, but LZ4 has one level here.",
        synonyms: &[("compression.lz4.level", 1)],
        set: nothing,
    },
    Setting {
        name: "compression.type",
        kind: Kind::String,
        default: Some("producer"),
        valid: Valid::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]),
        documentation: "The codec that batches have in the log; `producer` leaves them as they come.",
        synonyms: &[("compression.type", 1)],
        set: |config, value| config.compression_type = codec(&value),
    },
    Setting {
        name: "compression.zstd.level",
        kind: Kind::Int,
        default: Some("3"),
        valid: Valid::Between(-131_072, 22),
        documentation: "The level of Zstandard where `compression.type` is `zstd` and a batch comes otherwise.",
        synonyms: &[("compression.zstd.level", 1)],
        set: |config, value| config.compression_zstd_level = int(&value),
    },
    Setting {
        name: "delete.retention.ms",
        kind: Kind::Long,
        default: Some("86400000"),
        valid: Valid::From(0),
        documentation: "How long compaction keeps a record without a value, and the marker of a transaction, after it has first seen it.",
        synonyms: &[("log.cleaner.delete.retention.ms", 1)],
        set: |config, value| config.delete_retention_ms = long(&value),
    },
    Setting {
        name: "file.delete.delay.ms",
        kind: Kind::Long,
        default: Some("60000"),
        valid: Valid::From(0),
        documentation: "How long a file that is no longer part of the log is left for those who still read it.",
        synonyms: &[("log.segment.delete.delay.ms", 1)],
        set: |config, value| config.file_delete_delay_ms = long(&value),
    },
    Setting {
        name: "flush.messages",
        kind: Kind::Long,
        default: Some("9223372036854775807"),
        valid: Valid::From(1),
        documentation: "An append that leaves so many records unsynced syncs the log.",
        synonyms: &[("log.flush.interval.messages", 1)],
        set: |config, value| config.flush_messages = long(&value),
    },
    Setting {
        name: "flush.ms",
        kind: Kind::Long,
        default: Some("9223372036854775807"),
        valid: Valid::From(0),
        documentation: "What was appended is synced when the last sync is so long ago.",
        synonyms: &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
        set: |config, value| config.flush_ms = long(&value),
    },
    Setting {
        name: "follower.replication.throttled.replicas",
        kind: Kind::List,
        default: Some(""),
        valid: Valid::Replicas,
        documentation: "Which followers a cluster slows down while it copies; kept, but there is one copy here.",
        synonyms: &[],
        set: nothing,
    },
    Setting {
        name: "index.interval.bytes",
        kind: Kind::Int,
        default: Some("4096"),
        valid: Valid::From(0),
        documentation: "How many bytes of the log lie between two entries of its index.",
        synonyms: &[("log.index.interval.bytes", 1)],
        set: |config, value| config.index_interval_bytes = unsigned(&value),
    },
    Setting {
        name: "leader.replication.throttled.replicas",
        kind: Kind::List,
        default: Some(""),
        valid: Valid::Replicas,
        documentation: "Which leaders a cluster slows down while it copies; kept, but there is one copy here.",
        synonyms: &[],
        set: nothing,
    },
    Setting {
        name: "local.retention.bytes",
        kind: Kind::Long,
        default: Some("-2"),
        valid: Valid::From(-2),
        documentation: "How much of a log in tiered storage stays local; kept, but there are no tiers here.",
        synonyms: &[("log.local.retention.bytes", 1)],
        set: nothing,
    },
    Setting {
        name: "local.retention.ms",
        kind: Kind::Long,
        default: Some("-2"),
        valid: Valid::From(-2),
        documentation: "How long a segment in tiered storage stays local; kept, but there are no tiers here.",
        synonyms: &[("log.local.retention.ms", 1)],
        set: nothing,
    },
    Setting {
        name: "max.compaction.lag.ms",
        kind: Kind::Long,
        default: Some("9223372036854775807"),
        valid: Valid::From(1),
        documentation: "Compaction is due at the latest when a record has waited for it so long.",
        synonyms: &[("log.cleaner.max.compaction.lag.ms", 1)],
        set: |config, value| config.max_compaction_lag_ms = long(&value),
    },
    Setting {
        name: "max.message.bytes",
        kind: Kind::Int,
        default: Some("1048588"),
        valid: Valid::From(0),
        documentation: "The largest batch, as it lies in the log, that an append takes.",
        synonyms: &[("message.max.bytes", 1)],
        set: |config, value| config.max_message_bytes = unsigned(&value),
    },
    Setting {
        name: "message.timestamp.after.max.ms",
        kind: Kind::Long,
        default: Some("3600000"),
        valid: Valid::From(0),
        documentation: "How far ahead of the clock a record's timestamp may be, where producers set it.",
        synonyms: &[("log.message.timestamp.after.max.ms", 1)],
        set: |config, value| config.message_timestamp_after_max_ms = long(&value),
    },
    Setting {
        name: "message.timestamp.before.max.ms",
        kind: Kind::Long,
        default: Some("9223372036854775807"),
        valid: Valid::From(0),
        documentation: "How far behind the clock a record's timestamp may be, where producers set it.",
        synonyms: &[("log.message.timestamp.before.max.ms", 1)],
        set: |config, value| config.message_timestamp_before_max_ms = long(&value),
    },
    Setting {
        name: "message.timestamp.type",
        kind: Kind::String,
        default: Some("CreateTime"),
        valid: Valid::OneOf(&["CreateTime", "LogAppendTime"]),
        documentation: "Whether a record has the time that its producer gives it, or that of the append.",
        synonyms: &[("log.message.timestamp.type", 1)],
        set: |config, value| config.message_timestamp_type = timestamp_type(&value),
    },
    Setting {
        name: "min.cleanable.dirty.ratio",
        kind: Kind::Double,
        default: Some("0.5"),
        valid: Valid::Ratio,
        documentation: "Compaction is due when more than this part of the log was never compacted.",
        synonyms: &[("log.cleaner.min.cleanable.ratio", 1)],
        set: |config, value| config.min_cleanable_dirty_ratio = number(&value),
    },
    Setting {
        name: "min.compaction.lag.ms",
        kind: Kind::Long,
        default: Some("0"),
        valid: Valid::From(0),
        documentation: "How old a record is at least before compaction may take it away.",
        synonyms: &[("log.cleaner.min.compaction.lag.ms", 1)],
        set: |config, value| config.min_compaction_lag_ms = long(&value),
    },
    Setting {
        name: "min.insync.replicas",
        kind: Kind::Int,
        default: Some("1"),
        valid: Valid::From(1),
        documentation: "How many copies must have a record before `acks=all` is told so; there is one here, so more than 1 refuses all such records.",
        synonyms: &[("min.insync.replicas", 1)],
        set: |config, value| config.min_insync_replicas = int(&value),
    },
    Setting {
        name: "preallocate",
        kind: Kind::Boolean,
        default: Some("false"),
        valid: Valid::Any,
        documentation: "Whether the file of a new segment is made as long as it may become, which makes a sync cheaper.",
        synonyms: &[("log.preallocate", 1)],
        set: |config, value| config.preallocate = boolean(&value),
    },
    Setting {
        name: "remote.log.copy.disable",
        kind: Kind::Boolean,
        default: Some("false"),
        valid: Valid::Any,
        documentation: "Whether nothing more is copied to tiered storage; kept, but there are no tiers here.",
        synonyms: &[],
        set: nothing,
    },
    Setting {
        name: "remote.log.delete.on.disable",
        kind: Kind::Boolean,
        default: Some("false"),
        valid: Valid::Any,
        documentation: "Whether what was copied goes when tiered storage is turned off; kept, but there are no tiers here.",
        synonyms: &[],
        set: nothing,
    },
    Setting {
        name: "remote.storage.enable",
        kind: Kind::Boolean,
        default: Some("false"),
        valid: Valid::Any,
        documentation: "Whether segments go to tiered storage; kept, but there are no tiers here.",
        synonyms: &[],
        set: nothing,
    },
    Setting {
        name: "retention.bytes",
        kind: Kind::Long,
        default: Some("-1"),
        valid: Valid::Any,
        documentation: "With the policy `delete`, old segments go when a partition is larger than this; -1 sets no limit.",
        synonyms: &[("log.retention.bytes", 1)],
        set: |config, value| config.retention_bytes = long(&value),
    },
    Setting {
        name: "retention.ms",
        kind: Kind::Long,
        default: Some("604800000"),
        valid: Valid::From(-1),
        documentation: "With the policy `delete`, a segment goes when its youngest record is older than this; -1 sets no limit.",
        synonyms: &[
            ("log.retention.ms", 1),
            ("log.retention.minutes", MINUTE),
            ("log.retention.hours", HOUR),
        ],
        set: |config, value| config.retention_ms = long(&value),
    },
    Setting {
        name: "segment.bytes",
        kind: Kind::Int,
        default: Some("1073741824"),
        valid: Valid::From(14),
        documentation: "A segment is rolled before it grows past this.",
        synonyms: &[("log.segment.bytes", 1)],
        set: |config, value| config.segment_bytes = unsigned(&value),
    },
    Setting {
        name: "segment.index.bytes",
        kind: Kind::Int,
        default: Some("10485760"),
        valid: Valid::From(4),
        documentation: "A segment is rolled when an index of it has this size.",
        synonyms: &[("log.index.size.max.bytes", 1)],
        set: |config, value| config.segment_index_bytes = unsigned(&value),
    },
    Setting {
        name: "segment.jitter.ms",
        kind: Kind::Long,
        default: Some("0"),
        valid: Valid::From(0),
        documentation: "By how much less than `segment.ms`, at most, a segment is rolled: so that not all are at once.",
        synonyms: &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)],
        set: |config, value| config.segment_jitter_ms = long(&value),
    },
    Setting {
        name: "segment.ms",
        kind: Kind::Long,
        default: Some("604800000"),
        valid: Valid::From(1),
        documentation: "A segment is rolled when a batch is so much younger than its first.",
        synonyms: &[("log.roll.ms", 1), ("log.roll.hours", HOUR)],
        set: |config, value| config.segment_ms = long(&value),
    },
    Setting {
        name: "unclean.leader.election.enable",
        kind: Kind::Boolean,
        default: Some("false"),
        valid: Valid::Any,
        documentation: "Whether a copy that lacks records may become the leader; kept, but there is one copy here.",
        synonyms: &[("unclean.leader.election.enable", 1)],
        set: nothing,
    },
];

fn nothing(_: &mut TopicConfig, _: Value) {}

fn has(value: &Value, part: &str) -> bool {
    matches!(value, Value::List(parts) if parts.iter().any(|one| one == part))
}

fn long(value: &Value) -> i64 {
    if let Value::Whole(number) = value { *number } else { 0 }
}

/// For what is in the range of the type.
fn int(value: &Value) -> i32 {
    i32::try_from(long(value)).unwrap_or(i32::MAX)
}

fn unsigned(value: &Value) -> u32 {
    u32::try_from(long(value)).unwrap_or(0)
}

fn number(value: &Value) -> f64 {
    if let Value::Number(number) = value { *number } else { 0.0 }
}

fn boolean(value: &Value) -> bool {
    matches!(value, Value::Boolean(true))
}

fn is_text(value: &Value, text: &str) -> bool {
    matches!(value, Value::Text(is) if is == text)
}

fn timestamp_type(value: &Value) -> TimestampType {
    if is_text(value, "LogAppendTime") {
        TimestampType::LogAppendTime
    } else {
        TimestampType::CreateTime
    }
}

fn codec(value: &Value) -> Option<Compression> {
    match value {
        Value::Text(name) if name == "uncompressed" => Some(Compression::None),
        Value::Text(name) => Compression::from_name(name),
        _ => None,
    }
}

static DEFAULTS: LazyLock<TopicConfig> = LazyLock::new(|| {
    let mut config = TopicConfig::ZERO;
    for setting in &SETTINGS {
        let value = setting.default.map(|default| setting.read(default));
        let value = value.and_then(Result::ok).expect("every default can be read");
        (setting.set)(&mut config, value);
    }
    config
});

impl Default for TopicConfig {
    /// The defaults of [`SETTINGS`].
    fn default() -> Self {
        DEFAULTS.clone()
    }
}

impl TopicConfig {
    const ZERO: Self = Self {
        segment_bytes: 0,
        segment_ms: 0,
        segment_jitter_ms: 0,
        segment_index_bytes: 0,
        index_interval_bytes: 0,
        max_message_bytes: 0,
        message_timestamp_type: TimestampType::CreateTime,
        message_timestamp_before_max_ms: 0,
        message_timestamp_after_max_ms: 0,
        compression_type: None,
        compression_gzip_level: 0,
        compression_zstd_level: 0,
        compacted: false,
        deleting: false,
        retention_ms: 0,
        retention_bytes: 0,
        file_delete_delay_ms: 0,
        delete_retention_ms: 0,
        min_cleanable_dirty_ratio: 0.0,
        min_compaction_lag_ms: 0,
        max_compaction_lag_ms: 0,
        min_insync_replicas: 0,
        preallocate: false,
        flush_messages: 0,
        flush_ms: 0,
        given: BTreeMap::new(),
    };

    /// The settings given, over the defaults. An unknown name or an impossible value is refused.
    pub fn parse<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut config = Self::default();
        for (name, value) in given {
            config.give(name, value)?;
        }
        Ok(config)
    }

    fn give(&mut self, name: &str, text: &str) -> Result<()> {
        let setting = find(&SETTINGS, name);
        let why = || setting::invalid(name, text, unknown(&SETTINGS, "topic", name));
        let setting = setting.ok_or_else(why)?;
        let value = setting.read(text).map_err(|due| setting.invalid(text, due))?;
        (setting.set)(self, value);
        self.given.insert(name.to_owned(), setting.canonical(text));
        Ok(())
    }

    /// Refuses settings that contradict one another; `self` is as it counts
    /// ([`within`](Self::within)).
    pub fn check(&self) -> Result<()> {
        let (least, most) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if least > most {
            let why = format!("it must not be more than max.compaction.lag.ms ({most})");
            return Err(setting::invalid("min.compaction.lag.ms", &least.to_string(), why));
        }
        Ok(())
    }

    /// The largest batch that an append takes, and the setting that says so.
    pub(crate) fn largest_batch(&self) -> (usize, &'static str) {
        let by_segment = (self.segment_bytes as usize, "segment.bytes");
        by_segment.min((self.max_message_bytes as usize, "max.message.bytes"))
    }

    /// The level of a codec; `None` is the codec's own default.
    pub(crate) fn compression_level(&self, codec: Compression) -> Option<i32> {
        match codec {
            Compression::Gzip => Some(self.compression_gzip_level).filter(|level| *level >= 0),
            Compression::Zstd => Some(self.compression_zstd_level),
            _ => None,
        }
    }

    /// How long a segment may take records: in a compacted log nothing waits longer than
    /// `max.compaction.lag.ms` (Kafka's `LogConfig.maxSegmentMs`).
    pub(crate) fn longest_active_ms(&self) -> i64 {
        if self.compacted {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }

    /// The same, with the directory's settings where the topic has none of its own.
    #[must_use]
    pub fn within(&self, directory: &DirectoryConfig) -> Self {
        let mut config = self.clone();
        for setting in SETTINGS.iter().filter(|setting| !self.given.contains_key(setting.name)) {
            let said = setting.synonyms.iter().find_map(|synonym| said(directory, synonym));
            let value = said.and_then(|(_, _, value)| setting.read(&value).ok());
            if let Some(value) = value {
                (setting.set)(&mut config, value);
            }
        }
        config
    }

    /// What changes come to.
    pub(crate) fn altered(
        &self,
        changes: &[(String, Change)],
        directory: &DirectoryConfig,
    ) -> Result<Self> {
        let current = |setting: &Setting<Self>| self.describe_one(setting, directory).value;
        let results = setting::resolve(&SETTINGS, "topic", changes, current)?;
        let mut given = self.given.clone();
        for (name, value) in results {
            match value {
                Some(value) => given.insert(name, value),
                None => given.remove(&name),
            };
        }
        Self::parse(given.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Every setting, by name, with its value, who says so, and what else was said.
    pub fn describe(&self, directory: &DirectoryConfig) -> Vec<Described> {
        SETTINGS.iter().map(|setting| self.describe_one(setting, directory)).collect()
    }

    fn describe_one(&self, setting: &Setting<Self>, directory: &DirectoryConfig) -> Described {
        let own = self.given.get(setting.name);
        let own = own.map(|value| (setting.name, value.clone(), Source::DynamicTopic));
        let given = setting.synonyms.iter().filter_map(|synonym| said(directory, synonym));
        let given: Vec<_> = given.collect();
        let value = own.as_ref().map(|(_, value, _)| value).or(given.first().map(|it| &it.2));
        let value = value.cloned().or(setting.default.map(str::to_owned));
        let given = given.into_iter().map(|(name, text, _)| (name, text, Source::DynamicBroker));
        let defaults = setting.synonyms.iter().filter_map(DirectoryConfig::default_of);
        let synonyms: Vec<_> = own.into_iter().chain(given).chain(defaults).collect();
        Described {
            name: setting.name,
            value,
            source: synonyms.first().map_or(Source::Default, |(_, _, source)| *source),
            kind: setting.kind,
            synonyms,
            documentation: setting.documentation,
            read_only: false,
            sensitive: false,
        }
    }
}

/// What a directory says of a topic's setting under another name: that name, the value, and the same
/// in the topic's unit.
fn said(
    directory: &DirectoryConfig,
    (name, factor): &Synonym,
) -> Option<(&'static str, String, String)> {
    let value = directory.given.get(*name)?;
    let scaled = match (factor, value.parse::<i64>()) {
        (1, _) | (_, Err(_)) => value.clone(),
        // Kafka's -1 is for ever in any unit.
        (_, Ok(number)) if number < 0 => number.to_string(),
        (factor, Ok(number)) => number.saturating_mul(*factor).to_string(),
    };
    Some((*name, value.clone(), scaled))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn directory(text: &str) -> DirectoryConfig {
        DirectoryConfig::parse(text.as_bytes(), Path::new("brokerless.properties")).unwrap()
    }

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
        let directory = directory(
            "log.preallocate=true\nlog.flush.interval.messages=5\nlog.flush.interval.ms=6",
        );
        let topic = TopicConfig::parse([("flush.messages", "7"), ("preallocate", "False")]);

        let config = topic.unwrap().within(&directory);

        assert_eq!((config.preallocate, config.flush_messages, config.flush_ms), (false, 7, 6));
        assert!(TopicConfig::default().within(&directory).preallocate);
    }

    #[test]
    fn every_setting_of_a_topic_takes_the_directorys() {
        // Another value than the default, for each name that a directory has for one of a topic.
        let other = |setting: &Setting<TopicConfig>| match (setting.name, setting.kind) {
            ("cleanup.policy", _) => "compact",
            ("compression.type", _) => "zstd",
            ("message.timestamp.type", _) => "LogAppendTime",
            (_, Kind::Boolean) => "true",
            (_, Kind::Double) => "0.25",
            ("segment.bytes", _) => "77",
            _ => "7",
        };
        for setting in &SETTINGS {
            for (name, factor) in setting.synonyms {
                let text = other(setting);
                let directory = directory(&format!("{name}={text}"));

                let by_directory = TopicConfig::default().within(&directory);

                let scaled =
                    text.parse().map_or(text.to_owned(), |n: i64| (n * factor).to_string());
                let mut itself = TopicConfig::parse([(setting.name, scaled.as_str())]).unwrap();
                itself.given.clear();
                assert_eq!(by_directory, itself, "{name} for {}", setting.name);
            }
        }
    }

    #[test]
    fn of_several_names_in_a_directory_the_first_counts() {
        let directory = directory("log.retention.hours=2\nlog.retention.minutes=3");

        assert_eq!(TopicConfig::default().within(&directory).retention_ms, 3 * MINUTE);
    }

    #[test]
    fn hours_without_end_are_milliseconds_without_end() {
        let directory = directory("log.retention.hours=-1");

        assert_eq!(TopicConfig::default().within(&directory).retention_ms, -1);
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

    #[test]
    fn a_list_is_kept_without_white_space() {
        let config = TopicConfig::parse([("cleanup.policy", " compact , delete ")]).unwrap();

        assert_eq!(config.given["cleanup.policy"], "compact,delete");
        assert!(config.compacted && config.deleting);
    }

    #[test]
    fn a_lag_that_cannot_be_kept_is_refused() {
        let lags = [("min.compaction.lag.ms", "2"), ("max.compaction.lag.ms", "1")];

        assert!(TopicConfig::parse(lags).unwrap().check().is_err());
        assert!(TopicConfig::default().check().is_ok());
    }

    #[test]
    fn the_tables_names_are_in_order() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }
}
