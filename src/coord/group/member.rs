//! One member of a group.

use std::time::Duration;

use super::Uid;
use crate::types::TopicPartition;

/// One way to share partitions that a member can use: Kafka's *protocol* of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// Its name, by which members agree.
    pub name: String,
    /// Whether it is the user's code, which the leader must run.
    pub own: bool,
    /// What it wants the leader to know of this member.
    pub user_data: Vec<u8>,
}

/// The process a member lives in: a hint, never the truth of its life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The namespace of process ids in which that is its id; 0 where it is not known.
    pub namespace: u64,
}

/// Who wants to be a member.
#[derive(Clone, Debug)]
pub struct Joining {
    /// `client.id`.
    pub client_id: String,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// Its process.
    pub process: Process,
    /// The byte that it has locked, and the number of its heartbeat counter.
    pub slot: u32,
    /// The doorbell that wakes it.
    pub bell: u64,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// What it can use, best first.
    pub strategies: Vec<Strategy>,
    /// Whether it keeps what does not move (KIP-429).
    pub cooperative: bool,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `max.poll.interval.ms`.
    pub rebalance_timeout: Duration,
}

/// What a member is to own, and what the strategy that says so lets the member know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The partitions; of a member they are sorted.
    pub partitions: Vec<TopicPartition>,
    /// For the member's own strategy, from the leader's; Kafka's strategies say nothing.
    pub user_data: Vec<u8>,
}

impl From<Vec<TopicPartition>> for Target {
    fn from(partitions: Vec<TopicPartition>) -> Self {
        Self { partitions, user_data: Vec::new() }
    }
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `client.id` and its number.
    pub member_id: String,
    /// `client.id`.
    pub client_id: String,
    /// `group.instance.id`, of a static member.
    pub instance_id: Option<String>,
    /// Its process.
    pub process: Process,
    /// The byte that it has locked, and the number of its heartbeat counter.
    pub slot: u32,
    /// The doorbell that wakes it.
    pub bell: u64,
    /// What it subscribes to, sorted.
    pub topics: Vec<String>,
    /// What it can use, best first.
    pub strategies: Vec<Strategy>,
    /// Whether it keeps what does not move (KIP-429).
    pub cooperative: bool,
    /// How long it may show no sign of life.
    pub session_timeout: Duration,
    /// How long it may take to follow a generation.
    pub rebalance_timeout: Duration,
    /// What it is to own in this generation.
    pub target: Target,
    /// The last generation for which it has released what it had to.
    pub(super) acknowledged: i32,
    /// The last generation in which it has taken its target.
    pub(super) taken: i32,
    /// What it owned when it last took partitions, and in which generation: for strategies that
    /// move little.
    pub(super) held: Vec<TopicPartition>,
    pub(super) held_generation: i32,
}

impl Member {
    pub(super) fn new(uid: Uid, joining: Joining) -> Self {
        let mut member = Self {
            member_id: format!("{}-{uid:016x}", joining.client_id),
            client_id: joining.client_id,
            instance_id: joining.instance_id,
            process: joining.process,
            slot: joining.slot,
            bell: joining.bell,
            topics: Vec::new(),
            strategies: Vec::new(),
            cooperative: joining.cooperative,
            session_timeout: joining.session_timeout,
            rebalance_timeout: joining.rebalance_timeout,
            target: Target::default(),
            acknowledged: -1,
            taken: -1,
            held: Vec::new(),
            held_generation: -1,
        };
        member.subscribe(joining.topics, joining.strategies);
        member
    }

    /// `false` if nothing changed.
    pub(super) fn subscribe(&mut self, mut topics: Vec<String>, strategies: Vec<Strategy>) -> bool {
        topics.sort_unstable();
        topics.dedup();
        let changed = self.topics != topics || !self.has_the_same_strategies(&strategies);
        (self.topics, self.strategies) = (topics, strategies);
        changed
    }

    /// The last generation in which it took its target; -1 before the first.
    pub fn generation(&self) -> i32 {
        self.taken
    }

    /// Its strategy of that name.
    pub fn strategy(&self, name: &str) -> Option<&Strategy> {
        self.strategies.iter().find(|strategy| strategy.name == name)
    }

    /// What they say of the member may differ.
    pub(super) fn has_the_same_strategies(&self, others: &[Strategy]) -> bool {
        let names =
            |all: &[Strategy]| all.iter().map(|s| (s.name.clone(), s.own)).collect::<Vec<_>>();
        names(&self.strategies) == names(others)
    }

    pub(super) fn wants_the_same(&self, other: &Self) -> bool {
        self.topics == other.topics
            && self.cooperative == other.cooperative
            && self.has_the_same_strategies(&other.strategies)
    }
}
