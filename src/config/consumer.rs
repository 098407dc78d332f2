//! Settings of a consumer.

use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::types::IsolationLevel;

/// Far above what producers put into a batch, and little enough for a small machine: a batch of
/// 1 MiB, the most that a topic takes by default, may stand for gigabytes.
pub(crate) const MAX_DECOMPRESSED_BYTES: usize = 128 << 20;

/// Where reading starts when no offset was committed or the position is gone:
/// `auto.offset.reset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the log's start.
    Earliest,
    /// At its end.
    #[default]
    Latest,
    /// Nowhere: it is an error.
    None,
    /// At the first record that is at most this old (KIP-1106), or at the end.
    ByDuration(Duration),
}

impl FromStr for OffsetReset {
    type Err = Error;

    /// `earliest`, `latest`, `none`, `by_duration:<ISO 8601>`, and the names before Kafka 0.9:
    /// `smallest` and `largest`.
    fn from_str(value: &str) -> Result<Self> {
        match value {
            "earliest" | "smallest" => Ok(Self::Earliest),
            "latest" | "largest" => Ok(Self::Latest),
            "none" => Ok(Self::None),
            _ => value
                .strip_prefix("by_duration:")
                .and_then(iso_duration)
                .map(Self::ByDuration)
                .ok_or_else(|| unknown_reset(value)),
        }
    }
}

fn unknown_reset(value: &str) -> Error {
    Error::InvalidConfig {
        name: "auto_offset_reset".into(),
        value: value.into(),
        why: "it is 'earliest', 'latest', 'none' or 'by_duration:' with a duration like PT1H"
            .into(),
    }
}

/// `PnDTnHnMn.nS`, as Java's `Duration.parse` takes it; no negative one.
fn iso_duration(text: &str) -> Option<Duration> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let days = parts(days, &[('D', 86_400.0)])?;
    let time = parts(time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])?;
    Duration::try_from_secs_f64(days + time).ok()
}

/// Adds up numbers with their units, which must come in the order of `units`.
fn parts(mut text: &str, mut units: &[(char, f64)]) -> Option<f64> {
    let mut seconds = 0.0;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = text[end..].chars().next()?;
        let place = units.iter().position(|(name, _)| *name == unit)?;
        if unit != 'S' && text[..end].contains('.') {
            return None;
        }
        seconds += text[..end].parse::<f64>().ok()? * units[place].1;
        units = &units[place + 1..];
        text = &text[end + 1..];
    }
    Some(seconds)
}

/// A way to share partitions among the members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignor {
    /// Its name, by which members agree.
    pub name: String,
    /// Whether members keep what does not move (KIP-429).
    pub cooperative: bool,
    /// Whether it is the user's code: the member that leads is asked to run it.
    pub own: bool,
}

impl Assignor {
    /// One of Kafka's: `range`, `roundrobin`, `sticky`, `cooperative-sticky`.
    pub fn builtin(name: &str) -> Result<Self> {
        let cooperative = name == "cooperative-sticky";
        if cooperative || ["range", "roundrobin", "sticky"].contains(&name) {
            return Ok(Self { name: name.to_owned(), cooperative, own: false });
        }
        Err(wrong_strategies(name, "it is no strategy of Kafka's; make an assignor of that name"))
    }
}

fn wrong_strategies(value: &str, why: &str) -> Error {
    let name = "partition_assignment_strategy".into();
    Error::InvalidConfig { name, value: value.into(), why: why.into() }
}

/// How a consumer behaves; [`Default`] has kafka-python's values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // They are Kafka's.
pub struct ConsumerConfig {
    /// `group.id`: who shares the work and owns the committed offsets.
    pub group_id: Option<String>,
    /// `group.instance.id`: the member is static (KIP-345).
    pub group_instance_id: Option<String>,
    /// `partition.assignment.strategy`, best first.
    pub assignors: Vec<Assignor>,
    /// `session.timeout.ms`: how long a member that lives may show no sign of life.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: a member that does not poll for longer leaves its group.
    pub max_poll_interval: Duration,
    /// `auto.offset.reset`.
    pub auto_offset_reset: OffsetReset,
    /// `enable.auto.commit`; without a group it does nothing.
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms`.
    pub auto_commit_interval: Duration,
    /// `max.poll.records`.
    pub max_poll_records: usize,
    /// `fetch.min.bytes`: a poll with less waits up to [`fetch_max_wait`](Self::fetch_max_wait).
    pub fetch_min_bytes: usize,
    /// `fetch.max.bytes`: read for one poll; a first batch above it is read all the same.
    pub fetch_max_bytes: usize,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait: Duration,
    /// `max.partition.fetch.bytes`: read from one partition in one go.
    pub max_partition_fetch_bytes: usize,
    /// `check.crcs`.
    pub check_crcs: bool,
    /// `isolation.level`.
    pub isolation_level: IsolationLevel,
    /// `exclude.internal.topics`: whether patterns and listings leave out Kafka's own topics.
    pub exclude_internal_topics: bool,
    /// `allow.auto.create.topics`: whether a topic that is subscribed to is made.
    pub allow_auto_create_topics: bool,
    /// `client.id`: a name for logs.
    pub client_id: String,
    /// `max_decompressed_bytes`, which Kafka does not have: a batch that decompresses to more is
    /// refused, and a poll that has decompressed so much takes no further batch.
    pub max_decompressed_bytes: usize,
}

impl ConsumerConfig {
    /// Refuses values that no poll could work with.
    pub fn check(&self) -> Result<()> {
        let positive = [
            ("max_poll_records", self.max_poll_records),
            ("max_partition_fetch_bytes", self.max_partition_fetch_bytes),
            ("max_decompressed_bytes", self.max_decompressed_bytes),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            None => self.check_group(),
            Some((name, value)) => Err(Error::InvalidConfig {
                name: name.into(),
                value: value.to_string(),
                why: "it must be positive".into(),
            }),
        }
    }

    /// As kafka-python does, only of who is in a group.
    fn check_group(&self) -> Result<()> {
        if self.group_id.is_none() {
            return match &self.group_instance_id {
                None => Ok(()),
                Some(id) => Err(Error::InvalidConfig {
                    name: "group_instance_id".into(),
                    value: id.clone(),
                    why: "it requires a group_id".into(),
                }),
            };
        }
        if self.heartbeat_interval >= self.session_timeout {
            return Err(Error::InvalidConfig {
                name: "heartbeat_interval_ms".into(),
                value: self.heartbeat_interval.as_millis().to_string(),
                why: format!(
                    "it must be lower than session_timeout_ms ({})",
                    self.session_timeout.as_millis()
                ),
            });
        }
        self.check_assignors()
    }

    fn check_assignors(&self) -> Result<()> {
        let names: Vec<_> = self.assignors.iter().map(|assignor| assignor.name.as_str()).collect();
        if names.is_empty() {
            return Err(wrong_strategies("[]", "a group needs at least one"));
        }
        if self.assignors.iter().any(|a| a.cooperative != self.is_cooperative()) {
            let why = "eager and cooperative ones cannot be mixed in one consumer";
            return Err(wrong_strategies(&names.join(", "), why));
        }
        Ok(())
    }

    /// Whether a rebalance takes away only what goes elsewhere (KIP-429).
    pub fn is_cooperative(&self) -> bool {
        self.assignors.first().is_some_and(|assignor| assignor.cooperative)
    }
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group_id: None,
            group_instance_id: None,
            assignors: ["range", "roundrobin"].map(eager).into(),
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            auto_offset_reset: OffsetReset::default(),
            enable_auto_commit: true,
            auto_commit_interval: Duration::from_secs(5),
            max_poll_records: 500,
            fetch_min_bytes: 1,
            fetch_max_bytes: 50 << 20,
            fetch_max_wait: Duration::from_millis(500),
            max_partition_fetch_bytes: 1 << 20,
            check_crcs: true,
            isolation_level: IsolationLevel::default(),
            exclude_internal_topics: true,
            allow_auto_create_topics: true,
            client_id: String::new(),
            max_decompressed_bytes: MAX_DECOMPRESSED_BYTES,
        }
    }
}

fn eager(name: &str) -> Assignor {
    Assignor { name: name.to_owned(), cooperative: false, own: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_group() -> ConsumerConfig {
        ConsumerConfig { group_id: Some("g".into()), ..ConsumerConfig::default() }
    }

    #[track_caller]
    fn refused(config: &ConsumerConfig) -> String {
        match config.check() {
            Err(Error::InvalidConfig { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_member_beats_more_often_than_its_session_ends() {
        let second = Duration::from_secs(1);
        let config =
            ConsumerConfig { session_timeout: second, heartbeat_interval: second, ..in_group() };

        assert_eq!(refused(&config), "heartbeat_interval_ms");
        assert!(ConsumerConfig { group_id: None, ..config }.check().is_ok());
    }

    #[test]
    fn a_static_member_needs_a_group() {
        let static_id = ConsumerConfig { group_instance_id: Some("i".into()), ..in_group() };
        assert!(static_id.check().is_ok());

        let alone = ConsumerConfig { group_id: None, ..static_id };

        assert_eq!(refused(&alone), "group_instance_id");
    }

    #[test]
    fn eager_and_cooperative_strategies_are_not_mixed() {
        for names in [vec![], vec!["range", "cooperative-sticky"]] {
            let assignors = names.iter().map(|name| Assignor::builtin(name).unwrap()).collect();
            let config = ConsumerConfig { assignors, ..in_group() };

            assert_eq!(refused(&config), "partition_assignment_strategy", "{names:?}");
        }
    }

    #[test]
    fn only_kafkas_strategies_go_by_their_names() {
        assert!(Assignor::builtin("cooperative-sticky").unwrap().cooperative);
        assert!(Assignor::builtin("mine").is_err());
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(ConsumerConfig::default().check().is_ok());
    }

    #[test]
    fn a_poll_of_no_records_is_refused() {
        let config = ConsumerConfig { max_poll_records: 0, ..ConsumerConfig::default() };

        assert!(matches!(config.check(), Err(Error::InvalidConfig { .. })));
    }

    #[test]
    fn a_reset_is_read_in_both_vocabularies() {
        for (text, reset) in [
            ("earliest", OffsetReset::Earliest),
            ("smallest", OffsetReset::Earliest),
            ("latest", OffsetReset::Latest),
            ("largest", OffsetReset::Latest),
            ("none", OffsetReset::None),
        ] {
            assert_eq!(text.parse::<OffsetReset>().unwrap(), reset, "{text}");
        }
    }

    #[test]
    fn a_duration_is_read_as_java_reads_it() {
        for (text, seconds) in
            [("P2D", 172_800.0), ("PT1H", 3_600.0), ("P1DT1M", 86_460.0), ("PT1.5S", 1.5)]
        {
            let reset: OffsetReset = format!("by_duration:{text}").parse().unwrap();
            assert_eq!(reset, OffsetReset::ByDuration(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_reset_is_refused() {
        for text in [
            "",
            "first",
            "by_duration:",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:PT1M1H",
            "by_duration:-PT1S",
            "by_duration:P1.5D",
        ] {
            assert!(text.parse::<OffsetReset>().is_err(), "{text}");
        }
    }
}
