//! A topic's settings (Kafka's `TopicConfig` and `LogConfig`).

mod limits;
mod table;
mod window;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::config::DirectoryConfig;
use crate::config::setting::{self, Change, Described, Setting, Source, Synonym, find, unknown};
use crate::error::Result;
use crate::types::{Compression, TimestampType};

pub(crate) use limits::BatchLimits;
pub use table::SETTINGS;
pub(crate) use window::TimestampWindow;

const TIERS: &str = "remote.storage.enable";

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

    /// The defaults, but nothing goes by age or size: for a topic whose settings are not known.
    pub(crate) fn keeping_all() -> Self {
        let given = ["retention.ms", "retention.bytes"].map(|name| (name, "-1"));
        Self::parse(given).expect("-1 can be given")
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
        if self.given.get(TIERS).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(setting::invalid(TIERS, "true", "there is no tiered storage here"));
        }
        let (least, most) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if least > most {
            let why = format!("it must not be more than max.compaction.lag.ms ({most})");
            return Err(setting::invalid("min.compaction.lag.ms", &least.to_string(), why));
        }
        Ok(())
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
    use crate::config::setting::Kind;

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

        assert_eq!(TopicConfig::default().within(&directory).retention_ms, 180_000);
    }

    #[test]
    fn hours_of_a_directory_are_described_as_milliseconds_of_the_topic() {
        let directory = directory("log.retention.hours=2");

        let described = TopicConfig::default().describe(&directory);

        let one = described.into_iter().find(|one| one.name == "retention.ms").unwrap();
        assert_eq!((one.value.as_deref(), one.source), (Some("7200000"), Source::DynamicBroker));
        let [given, default] = &one.synonyms[..] else { panic!("{:?}", one.synonyms) };
        assert_eq!(*given, ("log.retention.hours", "2".to_owned(), Source::DynamicBroker));
        assert_eq!(*default, ("log.retention.hours", "168".to_owned(), Source::Default));
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
    fn tiers_are_refused_that_there_are_not() {
        for (value, is_taken) in [("true", false), ("TRUE", false), ("false", true)] {
            let config = TopicConfig::parse([("remote.storage.enable", value)]).unwrap();

            assert_eq!(config.check().is_ok(), is_taken, "{value}");
        }
    }

    #[test]
    fn the_tables_names_are_in_order() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }
}
