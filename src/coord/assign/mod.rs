//! Who gets which partitions: Kafka's four assignors, with the results of its Java clients.
//!
//! The results are the same to the last partition, also where they hang on the order in which
//! Java walks through a hash table, which `java` has. Racks are left out, as nothing here has
//! one. In three things Kafka's own results are of no use, and differ from these:
//!
//! - a partition that is owned but does not exist is forgotten. Kafka assigns it, and one that
//!   does exist twice;
//! - members without topics are told from the others wherever they stand in the hash table. Kafka
//!   takes them for equal if it meets them first, and gives them partitions they did not ask for;
//! - a partition goes back to its owner of an older generation only if that still wants its topic.

use std::collections::BTreeMap;

use self::group::Group;
use self::sticky::Sticky;
use crate::types::TopicPartition;

mod constrained;
mod general;
mod group;
mod java;
mod movements;
mod range;
mod roundrobin;
mod sticky;

#[cfg(test)]
mod tests;

/// The assignors that Kafka's clients bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// `range`: topic by topic, each member a run of neighbouring partitions.
    Range,
    /// `roundrobin`: all partitions of all topics, dealt out one by one.
    RoundRobin,
    /// `sticky`: evenly, and partitions stay where they are if they can.
    Sticky,
    /// `cooperative-sticky`: as sticky, and members keep reading what does not move (KIP-429).
    CooperativeSticky,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The assignor of that name, if Kafka has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    /// Whether members keep what does not move while the group rebalances.
    pub const fn is_cooperative(self) -> bool {
        matches!(self, Self::CooperativeSticky)
    }
}

/// A member of a group, as an assignor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Its name, which no other member has.
    pub member_id: String,
    /// Its `group.instance.id`, if it is a static member (KIP-345).
    pub instance_id: Option<String>,
    /// What it wants.
    pub topics: Vec<String>,
    /// What it has. The two assignors that are not sticky do not look at it.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them; -1 if it does not know.
    pub generation: i32,
}

/// Assigns every partition of every topic that somebody wants to one member that wants it, as
/// `strategy` does. Every member has an entry in the result.
///
/// `partitions` has the number of partitions of each topic; a topic it does not have is not there.
/// Of [`CooperativeSticky`](Builtin::CooperativeSticky) this is what the group ends up with, once
/// all members have given up what moves; see [`hold_back`].
pub fn assign(
    strategy: Builtin,
    partitions: &BTreeMap<String, i32>,
    members: &[Subscriber],
) -> BTreeMap<String, Vec<TopicPartition>> {
    let group = Group::new(partitions, members);
    group.named(match strategy {
        Builtin::Range => range::assign(&group),
        Builtin::RoundRobin => roundrobin::assign(&group),
        Builtin::Sticky | Builtin::CooperativeSticky => Sticky::assign(&group).targets,
    })
}

/// What the cooperative assignor of Kafka's clients answers in the first round (KIP-429): as
/// [`assign`], but without the partitions that somebody else still has. Members give these up, and
/// join again; in the second round they are free.
pub fn hold_back(
    partitions: &BTreeMap<String, i32>,
    members: &[Subscriber],
) -> BTreeMap<String, Vec<TopicPartition>> {
    let group = Group::new(partitions, members);
    let mut sticky = Sticky::assign(&group);
    sticky.hold_back(&group);
    group.named(sticky.targets)
}
