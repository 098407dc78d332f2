//! What a run is like: by a seed.

use std::time::Duration;

use brokerless::TopicPartition;

use crate::support::Dice;

/// One storm on one directory.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) lasts: Duration,
    /// At most so many members at once.
    pub(crate) members: usize,
    pub(crate) strategy: &'static str,
    /// `client` or `bare`: see `consumer`.
    pub(crate) kind: &'static str,
    /// Names, and how many partitions each has.
    pub(crate) topics: &'static [(&'static str, i32)],
    /// The session timeout.
    pub(crate) session: Duration,
    /// Percent of the members that have a `group.instance.id`.
    pub(crate) statics: usize,
    /// Whether somebody compacts the topics meanwhile. Each record has a key of its own: all stay.
    pub(crate) cleaned: bool,
}

/// Those of Kafka.
pub(crate) const STRATEGIES: [&str; 4] = ["cooperative-sticky", "roundrobin", "sticky", "range"];

impl Plan {
    /// The `number`-th run by this seed: the strategies come in turn.
    pub(crate) fn new(seed: u64, number: usize, lasts: Duration, most_members: usize) -> Self {
        let mut dice = Dice::new(seed.wrapping_add(number as u64));
        Self {
            seed: dice.roll(),
            lasts,
            members: dice.between(2, most_members.max(2)),
            strategy: STRATEGIES[number % STRATEGIES.len()],
            kind: ["client", "client", "client", "bare"][dice.below(4)],
            topics: [&[("a", 24)][..], &[("a", 16), ("b", 8)]][dice.below(2)],
            session: Duration::from_millis(500),
            statics: [0, 30][dice.below(2)],
            cleaned: false,
        }
    }

    pub(crate) fn partitions(&self) -> Vec<TopicPartition> {
        let of = |&(topic, count)| (0..count).map(move |number| TopicPartition::new(topic, number));
        self.topics.iter().flat_map(of).collect()
    }

    /// By how much the members' shares may differ in the end. Ranges are of each topic by itself.
    pub(crate) fn imbalance(&self) -> usize {
        if self.strategy == "range" { self.topics.len() } else { 1 }
    }
}
