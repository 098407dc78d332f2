//! Settings of a whole directory, which a broker would have in its `server.properties`.
//!
//! They stand in `brokerless.properties` in the data directory, under Kafka's names, in Java's
//! format. The file is read when the directory is opened and never written.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::config::consumer::MAX_DECOMPRESSED_BYTES;
use crate::config::names::nearest;
use crate::config::properties;
use crate::error::{Error, Result};

/// The file in a data directory. A broker passes over files it does not know.
pub const FILE: &str = "brokerless.properties";

/// The name of [`DirectoryConfig::max_decompressed_bytes`].
pub(crate) const MAX_DECOMPRESSED: &str = "max.decompressed.bytes";

/// The same as errors name it.
pub(crate) const MAX_DECOMPRESSED_SETTING: &str = "max.decompressed.bytes (brokerless.properties)";

/// How a directory behaves, for every process that opens it; [`Default`] has Kafka's values but
/// where a field says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// `offsets.retention.minutes`: how long the offsets of a group are kept that has no member.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often is looked for offsets to expire.
    pub offsets_retention_check_interval: Duration,
    /// `group.initial.rebalance.delay.ms`: how long the first member of a group waits for others.
    /// 0 here, not 3 s: a rebalance costs no network, and a lone consumer has its partitions in its
    /// first poll, however short that is. For programs that start many at once.
    pub group_initial_rebalance_delay: Duration,
    /// `offsets.topic.num.partitions`, when the topic is made.
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.segment.bytes`, when the topic is made. 4 MiB here, not 100: only sealed
    /// segments are compacted, and what is not compacted is read by every process that wants to
    /// know a committed offset, not once by a broker.
    pub offsets_topic_segment_bytes: u32,
    /// `log.preallocate`: `preallocate` of a topic that does not say.
    pub log_preallocate: bool,
    /// `log.flush.interval.messages`: `flush.messages` of a topic that does not say.
    pub log_flush_interval_messages: i64,
    /// `log.flush.interval.ms`: `flush.ms` of a topic that does not say.
    pub log_flush_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`: how often is noted, while something is synced, how
    /// far each log is on the disk.
    pub log_flush_offset_checkpoint_interval_ms: i64,
    /// `max.decompressed.bytes`, which Kafka does not have: the most that one batch may decompress
    /// to where the log itself has to look into it, in compaction, in a search by time, and where
    /// a topic's `compression.type` is not the producer's. Readers have a setting of their own.
    pub max_decompressed_bytes: usize,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            offsets_retention: minutes(7 * 24 * 60),
            offsets_retention_check_interval: minutes(10),
            group_initial_rebalance_delay: Duration::ZERO,
            offsets_topic_num_partitions: 50,
            offsets_topic_segment_bytes: 4 << 20,
            log_preallocate: false,
            log_flush_interval_messages: i64::MAX,
            log_flush_interval_ms: i64::MAX,
            log_flush_offset_checkpoint_interval_ms: 60_000,
            max_decompressed_bytes: MAX_DECOMPRESSED_BYTES,
        }
    }
}

/// Takes in a value; the error says what is due instead.
type Set = fn(&mut DirectoryConfig, &str) -> Result<(), String>;

/// Every setting there is, and what it does.
const SETTINGS: [(&str, Set); 10] = [
    ("group.initial.rebalance.delay.ms", |config, value| {
        config.group_initial_rebalance_delay = milliseconds(int(value, 0)?);
        Ok(())
    }),
    ("log.flush.interval.messages", |config, value| {
        config.log_flush_interval_messages = number(value, 1, i64::MAX)?;
        Ok(())
    }),
    ("log.flush.interval.ms", |config, value| {
        config.log_flush_interval_ms = number(value, 0, i64::MAX)?;
        Ok(())
    }),
    ("log.flush.offset.checkpoint.interval.ms", |config, value| {
        config.log_flush_offset_checkpoint_interval_ms = int(value, 0)?;
        Ok(())
    }),
    ("log.preallocate", |config, value| {
        config.log_preallocate = boolean(value)?;
        Ok(())
    }),
    (MAX_DECOMPRESSED, |config, value| {
        config.max_decompressed_bytes = number(value, 1, i64::MAX)?;
        Ok(())
    }),
    ("offsets.retention.check.interval.ms", |config, value| {
        config.offsets_retention_check_interval = milliseconds(number(value, 1, i64::MAX)?);
        Ok(())
    }),
    ("offsets.retention.minutes", |config, value| {
        config.offsets_retention = minutes(int(value, 1)?);
        Ok(())
    }),
    ("offsets.topic.num.partitions", |config, value| {
        config.offsets_topic_num_partitions = int(value, 1)?;
        Ok(())
    }),
    ("offsets.topic.segment.bytes", |config, value| {
        // Kafka takes less here and refuses the topic later.
        config.offsets_topic_segment_bytes = int(value, 14)?;
        Ok(())
    }),
];

impl DirectoryConfig {
    /// The settings in the bytes of a file, over the defaults; of two of one name the last counts.
    /// An impossible value is refused: `path` is for the error. An unknown name says nothing, as in
    /// Kafka: see [`unknown`](Self::unknown).
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let refused = |line, what: String| Error::InvalidProperty { path: path.into(), line, what };
        let properties = properties::parse(bytes)
            .map_err(|line| refused(line, "\\u needs four hexadecimal digits".to_owned()))?;
        let mut config = Self::default();
        for property in properties {
            let (name, value) = (&property.name, &property.value);
            let Some((_, set)) = SETTINGS.iter().find(|(known, _)| known == name) else {
                continue;
            };
            set(&mut config, value.trim())
                .map_err(|due| refused(property.line, format!("{name}={value}: {due}")))?;
        }
        Ok(config)
    }

    /// The lines that set what there is not, and which name may have been meant.
    pub fn unknown(bytes: &[u8]) -> Vec<(usize, String)> {
        let properties = properties::parse(bytes).unwrap_or_default();
        let is_known = |name: &str| SETTINGS.iter().any(|(known, _)| *known == name);
        let unknown_ones = properties.iter().filter(|property| !is_known(&property.name));
        unknown_ones.map(|property| (property.line, unknown(&property.name))).collect()
    }
}

fn unknown(name: &str) -> String {
    let names = || SETTINGS.iter().map(|(known, _)| *known);
    let help = match nearest(name, names()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    format!("no setting of a directory is called {name:?}; {help}")
}

/// A number as Kafka's type `INT` has it.
fn int<T: TryFrom<i64>>(value: &str, min: i64) -> Result<T, String> {
    number(value, min, i64::from(i32::MAX))
}

fn number<T: TryFrom<i64>>(value: &str, min: i64, max: i64) -> Result<T, String> {
    let number = i64::from_str(value).ok().filter(|number| (min..=max).contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| format!("a whole number from {min} to {max} is due"))
}

/// As Kafka's type `BOOLEAN` has it.
fn boolean(value: &str) -> Result<bool, String> {
    value.to_ascii_lowercase().parse().map_err(|_| "true or false is due".to_owned())
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DirectoryConfig> {
        DirectoryConfig::parse(text.as_bytes(), Path::new("data/brokerless.properties"))
    }

    #[test]
    fn an_empty_file_leaves_the_defaults() {
        assert_eq!(parse("\n# nothing\n").unwrap(), DirectoryConfig::default());
    }

    #[test]
    fn every_setting_is_read() {
        let text = "offsets.retention.minutes=1\noffsets.retention.check.interval.ms = 2\n\
                    group.initial.rebalance.delay.ms:3\noffsets.topic.num.partitions 4\n\
                    offsets.topic.segment.bytes=5000\nlog.preallocate=TRUE\n\
                    log.flush.interval.messages=6\nlog.flush.interval.ms=7\n\
                    log.flush.offset.checkpoint.interval.ms=8\nmax.decompressed.bytes=6\n";

        let expected = DirectoryConfig {
            offsets_retention: minutes(1),
            offsets_retention_check_interval: Duration::from_millis(2),
            group_initial_rebalance_delay: Duration::from_millis(3),
            offsets_topic_num_partitions: 4,
            offsets_topic_segment_bytes: 5000,
            log_preallocate: true,
            log_flush_interval_messages: 6,
            log_flush_interval_ms: 7,
            log_flush_offset_checkpoint_interval_ms: 8,
            max_decompressed_bytes: 6,
        };
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_and_name() {
        let cases = [
            (
                "offsets.retention.minutes=0",
                "line 1: offsets.retention.minutes=0: a whole number from 1 to 2147483647 is due",
            ),
            ("offsets.topic.segment.bytes=4MB", "line 1: offsets.topic.segment.bytes=4MB: a whole"),
            ("log.preallocate=1", "line 1: log.preallocate=1: true or false is due"),
            ("a=\\u1", "line 1: \\u needs four hexadecimal digits"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err().to_string();

            assert!(error.starts_with("data/brokerless.properties, line "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_name_that_there_is_not_sets_nothing_and_is_told_with_its_line() {
        let text = "\noffset.retention.minutes=5\nlog.dirs=/x\nlog.preallocate=true";

        let config = parse(text).unwrap();

        assert_eq!(config, DirectoryConfig { log_preallocate: true, ..Default::default() });
        let unknown = DirectoryConfig::unknown(text.as_bytes());
        assert_eq!(unknown.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            unknown[0].1,
            "no setting of a directory is called \"offset.retention.minutes\"; did you mean \
             offsets.retention.minutes?"
        );
        assert!(unknown[1].1.contains("\"log.dirs\"; there are group."), "{}", unknown[1].1);
    }
}
