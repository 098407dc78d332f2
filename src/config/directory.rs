//! Settings of a whole directory, which a broker would have in its `server.properties`.
//!
//! They stand in `brokerless.properties` in the data directory, under Kafka's names, in Java's
//! format. The file is read when the directory is opened, and when the administration has changed it;
//! nothing else writes it.

mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use crate::config::TopicConfig;
use crate::config::names::nearest;
use crate::config::properties::{self, Property};
use crate::config::setting::{self, Change, Described, Setting, Source, Synonym, find};
use crate::error::{Error, Result};

pub use table::SETTINGS;

/// The file in a data directory. A broker passes over files it does not know.
pub const FILE: &str = "brokerless.properties";

/// The name of [`DirectoryConfig::max_decompressed_bytes`].
pub(crate) const MAX_DECOMPRESSED: &str = "max.decompressed.bytes";

/// The same as errors name it.
pub(crate) const MAX_DECOMPRESSED_SETTING: &str = "max.decompressed.bytes (brokerless.properties)";

/// How a directory behaves, for every process that opens it. What is not a field here is for topics
/// that have no setting of their own ([`given`](Self::given)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryConfig {
    /// `auto.create.topics.enable`: whether a topic is made when it is first used.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `num.partitions` of a topic that is made without saying.
    pub num_partitions: i32,
    /// `offsets.retention.minutes`: how long the offsets of a group are kept that has no member.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often is looked for offsets to expire.
    pub offsets_retention_check_interval: Duration,
    /// `group.initial.rebalance.delay.ms`: how long the first member of a group waits for others.
    /// 0 here, not 3 s: a rebalance costs no network, and a lone consumer has its partitions in its
    /// first poll, however short that is. For programs that start many at once.
    pub group_initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`. 0 here, not 6 s: it keeps a broker from many heartbeats, and
    /// there is none.
    pub group_min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout: Duration,
    /// `offset.metadata.max.bytes`: how much text a committed offset may carry.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.topic.num.partitions`, when the topic is made.
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.segment.bytes`, when the topic is made. 4 MiB here, not 100: only sealed
    /// segments are compacted, and what is not compacted is read by every process that wants to
    /// know a committed offset, not once by a broker.
    pub offsets_topic_segment_bytes: u32,
    /// `log.flush.offset.checkpoint.interval.ms`: how often is noted, while something is synced, how
    /// far each log is on the disk.
    pub log_flush_offset_checkpoint_interval_ms: i64,
    /// `log.retention.check.interval.ms`: how often is looked for segments to delete.
    pub log_retention_check_interval_ms: i64,
    /// `log.cleaner.enable`: whether logs are compacted.
    pub log_cleaner_enable: bool,
    /// `log.cleaner.backoff.ms`: how long nobody looks for logs to compact when none was due.
    pub log_cleaner_backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`: the most memory, in bytes, for the keys of a log that is
    /// compacted.
    pub log_cleaner_dedupe_buffer_size: i64,
    /// `producer.id.expiration.ms`: how long after its last batch compaction keeps what tells of a
    /// producer with an id.
    pub producer_id_expiration_ms: i64,
    /// `max.decompressed.bytes`, which Kafka does not have: the most that one batch may decompress
    /// to where the log itself has to look into it, in compaction, in a search by time, and where
    /// a topic's `compression.type` is not the producer's. Readers have a setting of their own.
    pub max_decompressed_bytes: usize,
    /// Every setting that was given, under Kafka's name.
    pub given: BTreeMap<String, String>,
}

/// The first that is given counts.
const RETENTION: [&str; 3] = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];

/// As a broker says it.
const NOTHING_KEPT: &str = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1";

static DEFAULTS: LazyLock<DirectoryConfig> = LazyLock::new(|| {
    let mut config = DirectoryConfig::ZERO;
    for setting in &SETTINGS {
        let Some(default) = setting.default else { continue };
        let value = setting.read(default).expect("every default can be read");
        (setting.set)(&mut config, value);
    }
    config
});

impl Default for DirectoryConfig {
    /// The defaults of [`SETTINGS`].
    fn default() -> Self {
        DEFAULTS.clone()
    }
}

impl DirectoryConfig {
    const ZERO: Self = Self {
        auto_create_topics: false,
        delete_topics: false,
        num_partitions: 0,
        offsets_retention: Duration::ZERO,
        offsets_retention_check_interval: Duration::ZERO,
        group_initial_rebalance_delay: Duration::ZERO,
        group_min_session_timeout: Duration::ZERO,
        group_max_session_timeout: Duration::ZERO,
        offset_metadata_max_bytes: 0,
        offsets_topic_num_partitions: 0,
        offsets_topic_segment_bytes: 0,
        log_flush_offset_checkpoint_interval_ms: 0,
        log_retention_check_interval_ms: 0,
        log_cleaner_enable: false,
        log_cleaner_backoff_ms: 0,
        log_cleaner_dedupe_buffer_size: 0,
        producer_id_expiration_ms: 0,
        max_decompressed_bytes: 0,
        given: BTreeMap::new(),
    };

    /// The settings in the bytes of a file, over the defaults; of two of one name the last counts.
    /// An impossible value is refused: `path` is for the error. An unknown name says nothing, as in
    /// Kafka: see [`unknown`](Self::unknown).
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let config = Self::read(bytes, path)?;
        let Some(name) = config.nothing_kept() else { return Ok(config) };
        let lines = properties::parse(bytes).unwrap_or_default();
        let line = lines.iter().rfind(|one| one.name == name).map_or(0, |one| one.line);
        let what = format!("{name}={}: {NOTHING_KEPT}", config.given[name]);
        Err(Error::InvalidProperty { path: path.into(), line, what })
    }

    fn read(bytes: &[u8], path: &Path) -> Result<Self> {
        let refused = |line, what: String| Error::InvalidProperty { path: path.into(), line, what };
        let properties = properties::parse(bytes)
            .map_err(|line| refused(line, "\\u needs four hexadecimal digits".to_owned()))?;
        let mut config = Self::default();
        for Property { line, name, value, .. } in properties {
            let Some(setting) = find(&SETTINGS, &name) else { continue };
            let read = setting.read(&value);
            let read = read.map_err(|due| refused(line, format!("{name}={value}: {due}")))?;
            (setting.set)(&mut config, read);
            config.given.insert(name, setting.canonical(&value));
        }
        Ok(config)
    }

    /// The lines that set what there is not, and which name may have been meant.
    pub fn unknown(bytes: &[u8]) -> Vec<(usize, String)> {
        let properties = properties::parse(bytes).unwrap_or_default();
        let unknown = properties.iter().filter(|one| find(&SETTINGS, &one.name).is_none());
        unknown.map(|one| (one.line, unknown_name(&one.name))).collect()
    }

    /// The file with changes, as [`parse`](Self::parse) would take it; what is not changed stays as
    /// it is. `bytes` are those that `self` was read from.
    pub(crate) fn altered(
        &self,
        bytes: &[u8],
        changes: &[(String, Change)],
        path: &Path,
    ) -> Result<Vec<u8>> {
        let current = |setting: &Setting<Self>| self.value(setting);
        let mut text = bytes.to_vec();
        for (name, value) in setting::resolve(&SETTINGS, "directory", changes, current)? {
            text = properties::rewrite(&text, &name, value.as_deref());
        }
        let altered = Self::read(&text, path)?;
        if let Some(name) = altered.nothing_kept() {
            return Err(setting::invalid(name, &altered.given[name], NOTHING_KEPT));
        }
        TopicConfig::default().within(&altered).check()?;
        Ok(text)
    }

    /// The setting that says for how long records are kept, if it says for no time at all. A topic
    /// may say that of itself.
    fn nothing_kept(&self) -> Option<&'static str> {
        let name = RETENTION.into_iter().find(|name| self.given.contains_key(*name))?;
        (self.given[name].parse() == Ok(0)).then_some(name)
    }

    fn value(&self, setting: &Setting<Self>) -> Option<String> {
        let given = self.given.get(setting.name).cloned();
        given.or_else(|| setting.default.map(str::to_owned))
    }

    /// Every setting, by name, with its value, who says so, and what else was said.
    pub fn describe(&self) -> Vec<Described> {
        SETTINGS.iter().map(|setting| self.describe_one(setting)).collect()
    }

    fn describe_one(&self, setting: &Setting<Self>) -> Described {
        let given = self.given.get(setting.name);
        let given = given.map(|value| (setting.name, value.clone(), Source::DynamicBroker));
        let default = setting.default;
        let default = default.map(|value| (setting.name, value.to_owned(), Source::Default));
        let synonyms: Vec<_> = given.into_iter().chain(default).collect();
        Described {
            name: setting.name,
            value: self.value(setting),
            source: synonyms.first().map_or(Source::Default, |(_, _, source)| *source),
            kind: setting.kind,
            synonyms,
            documentation: setting.documentation,
            read_only: false,
            sensitive: false,
        }
    }

    /// The default under a name that a topic's setting has here.
    pub(crate) fn default_of((name, _): &Synonym) -> Option<(&'static str, String, Source)> {
        let default = find(&SETTINGS, name)?.default?;
        Some((*name, default.to_owned(), Source::Default))
    }
}

fn unknown_name(name: &str) -> String {
    let meant = match nearest(name, SETTINGS.iter().map(|setting| setting.name)) {
        Some(meant) => format!("; did you mean {meant}?"),
        None => String::new(),
    };
    format!("no setting of a directory is called {name:?}{meant}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Kind;

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
                    log.flush.offset.checkpoint.interval.ms=8\nmax.decompressed.bytes=6\n\
                    group.min.session.timeout.ms=9\ngroup.max.session.timeout.ms=10\n\
                    offset.metadata.max.bytes=11\n";

        let config = parse(text).unwrap();

        let expected = DirectoryConfig {
            offsets_retention: Duration::from_secs(60),
            offsets_retention_check_interval: Duration::from_millis(2),
            group_initial_rebalance_delay: Duration::from_millis(3),
            offsets_topic_num_partitions: 4,
            offsets_topic_segment_bytes: 5000,
            log_flush_offset_checkpoint_interval_ms: 8,
            max_decompressed_bytes: 6,
            group_min_session_timeout: Duration::from_millis(9),
            group_max_session_timeout: Duration::from_millis(10),
            offset_metadata_max_bytes: 11,
            given: config.given.clone(),
            ..DirectoryConfig::default()
        };
        assert_eq!(config, expected);
        assert_eq!(config.given.len(), 13);
        let topic = TopicConfig::default().within(&config);
        assert_eq!((topic.preallocate, topic.flush_messages, topic.flush_ms), (true, 6, 7));
    }

    #[test]
    fn every_setting_of_the_directory_itself_changes_something() {
        for setting in SETTINGS.iter().filter(|setting| !is_for_topics(setting.name)) {
            let other = if setting.kind == Kind::Boolean {
                (setting.default != Some("true")).to_string()
            } else {
                "77".to_owned()
            };
            let mut config = parse(&format!("{}={other}", setting.name)).unwrap();
            config.given.clear();

            assert_ne!(config, DirectoryConfig::default(), "{}", setting.name);
        }
    }

    fn is_for_topics(name: &str) -> bool {
        let mut synonyms = crate::config::topic::SETTINGS.iter().flat_map(|it| it.synonyms);
        synonyms.any(|(synonym, _)| *synonym == name)
    }

    #[test]
    fn a_directory_has_every_name_that_a_topics_setting_has_there() {
        for setting in &crate::config::topic::SETTINGS {
            for synonym in setting.synonyms {
                let own = find(&SETTINGS, synonym.0);
                let own = own.unwrap_or_else(|| panic!("{} is in no table", synonym.0));
                assert_eq!(own.kind == Kind::Int, setting.kind == Kind::Int || synonym.1 > 1);
            }
        }
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn batches_may_decompress_to_as_much_as_a_reader_takes() {
        let reader = crate::config::consumer::MAX_DECOMPRESSED_BYTES;

        assert_eq!(DirectoryConfig::default().max_decompressed_bytes, reader);
    }

    fn altered(text: &str, changes: &[(&str, Change)]) -> Result<String> {
        let changes: Vec<_> =
            changes.iter().map(|(name, change)| ((*name).to_owned(), change.clone())).collect();
        let path = Path::new("brokerless.properties");
        let bytes = parse(text)?.altered(text.as_bytes(), &changes, path)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_not_changed_in_the_file_stays_as_it_is() {
        let text = "# ours\r\n\nnum.partitions : 2\nlisteners=x\nlog.roll.ms=\\\n  5\n";

        let changes =
            [("num.partitions", Change::Set("3".into())), ("log.roll.ms", Change::Delete)];
        let text = altered(text, &changes).unwrap();

        assert_eq!(text, "# ours\r\n\nnum.partitions=3\nlisteners=x\n");
    }

    #[test]
    fn a_list_that_was_not_given_is_added_to_from_its_default() {
        let changes = [("log.cleanup.policy", Change::Append("compact".into()))];

        assert_eq!(altered("", &changes).unwrap(), "log.cleanup.policy=delete,compact\n");
    }

    #[test]
    fn settings_that_contradict_one_another_are_refused() {
        let set = |name, value: &str| (name, Change::Set(value.into()));
        let changes = [
            set("log.cleaner.min.compaction.lag.ms", "2"),
            set("log.cleaner.max.compaction.lag.ms", "1"),
        ];

        assert!(altered("", &changes).is_err());
    }

    #[test]
    fn no_directory_keeps_records_for_no_time_at_all() {
        for name in RETENTION {
            let none = [(name, Change::Set("0".into()))];
            let error = altered("", &none).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(NOTHING_KEPT), "{error}");
        }
        let overruled = "log.retention.hours=0\nlog.retention.ms=1\n";
        assert!(parse(overruled).is_ok());
        assert!(altered(overruled, &[(RETENTION[0], Change::Delete)]).is_err());
        assert!(parse("log.retention.ms=-1").is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_and_name() {
        let cases = [
            (
                "log.retention.hours=1\nlog.retention.hours=0",
                "line 2: log.retention.hours=0: log.retention.ms must be unlimited (-1)",
            ),
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

        assert_eq!(config, parse("log.preallocate=true").unwrap());
        let unknown = DirectoryConfig::unknown(text.as_bytes());
        assert_eq!(unknown.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            unknown[0].1,
            "no setting of a directory is called \"offset.retention.minutes\"; did you mean \
             offsets.retention.minutes?"
        );
        assert_eq!(unknown[1].1, "no setting of a directory is called \"log.dirs\"");
    }
}
