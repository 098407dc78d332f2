//! A group in numbers: members, topics and partitions are indexes, in Java's order of their names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::Subscriber;
use super::java::{compare, hash_order};
use crate::types::TopicPartition;

/// The partitions of each member, in the order in which they were assigned.
pub(super) type Targets = Vec<Vec<usize>>;

/// What an assignor has to know.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// In Java's order of their ids.
    pub(super) members: Vec<Member<'a>>,
    /// The members in the order in which Java's clients meet them, which is that of a `HashMap`.
    pub(super) hashed: Vec<usize>,
    /// Those that exist and that somebody wants, in Java's order of their names.
    pub(super) topics: Vec<Topic>,
    /// The topics in the order of a `HashMap`.
    pub(super) hashed_topics: Vec<usize>,
    /// Of each partition its topic.
    topic_of: Vec<usize>,
    /// Whether all members want the same topics, also of those that do not exist.
    pub(super) uniform: bool,
}

#[derive(Debug)]
pub(super) struct Member<'a> {
    subscriber: &'a Subscriber,
    /// Those of the group's topics that it wants, ascending.
    pub(super) topics: Vec<usize>,
    /// What it has of the group's partitions.
    pub(super) owned: Vec<usize>,
    pub(super) generation: i32,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// Its partitions, in order.
    pub(super) partitions: Range<usize>,
    /// Who wants it, in the order of [`Group::hashed`].
    pub(super) members: Vec<usize>,
}

impl<'a> Group<'a> {
    pub(super) fn new(partitions: &BTreeMap<String, i32>, members: &'a [Subscriber]) -> Self {
        let wishes: Vec<BTreeSet<&str>> = members.iter().map(wishes).collect();
        let hashed = hashed(members);
        let (mut topics, hashed_topics) = topics(partitions, hashed.iter().map(|&at| &wishes[at]));
        let places: HashMap<Arc<str>, usize> =
            topics.iter().enumerate().map(|(at, topic)| (topic.name.clone(), at)).collect();

        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|&a, &b| compare(&members[a].member_id, &members[b].member_id));
        let mut ranks = vec![0; members.len()];
        order.iter().enumerate().for_each(|(rank, &at)| ranks[at] = rank);
        let hashed: Vec<usize> = hashed.into_iter().map(|at| ranks[at]).collect();

        let uniform = wishes.windows(2).all(|two| two[0] == two[1]);
        let members: Vec<Member<'_>> = order
            .into_iter()
            .map(|at| Member::new(&members[at], &wishes[at], &topics, &places))
            .collect();
        for &member in &hashed {
            for &topic in &members[member].topics {
                topics[topic].members.push(member);
            }
        }
        let topic_of = topics.iter().enumerate();
        let topic_of = topic_of.flat_map(|(at, topic)| topic.partitions.clone().map(move |_| at));
        let topic_of = topic_of.collect();
        Self { members, hashed, topics, hashed_topics, topic_of, uniform }
    }

    /// How many partitions there are.
    pub(super) fn len(&self) -> usize {
        self.topic_of.len()
    }

    pub(super) fn topic(&self, partition: usize) -> &Topic {
        &self.topics[self.topic_of[partition]]
    }

    pub(super) fn topic_of(&self, partition: usize) -> usize {
        self.topic_of[partition]
    }

    /// The number that its topic gives a partition.
    pub(super) fn number(&self, partition: usize) -> usize {
        partition - self.topic(partition).partitions.start
    }

    pub(super) fn wants(&self, member: usize, partition: usize) -> bool {
        self.members[member].topics.binary_search(&self.topic_of(partition)).is_ok()
    }

    /// A list a member, all of them empty.
    pub(super) fn no_targets(&self) -> Targets {
        vec![Vec::new(); self.members.len()]
    }

    /// The targets in words.
    pub(super) fn named(&self, targets: Targets) -> BTreeMap<String, Vec<TopicPartition>> {
        let name = |partition: usize| {
            let number = self.number(partition) as i32;
            TopicPartition::new(self.topic(partition).name.clone(), number)
        };
        let members = self.members.iter().map(|member| member.subscriber.member_id.clone());
        let lists = targets.into_iter().map(|list| list.into_iter().map(name).collect());
        members.zip(lists).collect()
    }

    /// Static members by their instance ids, then the others by their member ids (KIP-345).
    pub(super) fn static_first(&self, mut members: Vec<usize>) -> Vec<usize> {
        members.sort_by(|&a, &b| {
            let instance = |at: usize| self.members[at].subscriber.instance_id.as_deref();
            match (instance(a), instance(b)) {
                (Some(a), Some(b)) => compare(a, b),
                (None, None) => a.cmp(&b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            }
        });
        members
    }
}

impl<'a> Member<'a> {
    fn new(
        subscriber: &'a Subscriber,
        wishes: &BTreeSet<&str>,
        topics: &[Topic],
        places: &HashMap<Arc<str>, usize>,
    ) -> Self {
        let mut wanted: Vec<usize> =
            wishes.iter().filter_map(|&topic| places.get(topic).copied()).collect();
        wanted.sort_unstable();
        let owned = subscriber.owned.iter().filter_map(|owned| {
            let all = topics[*places.get(&owned.topic)?].partitions.clone();
            all.clone().nth(usize::try_from(owned.partition).ok()?)
        });
        let owned = owned.collect();
        Self { subscriber, topics: wanted, owned, generation: subscriber.generation }
    }
}

fn wishes(member: &Subscriber) -> BTreeSet<&str> {
    member.topics.iter().map(String::as_str).collect()
}

fn hashed(members: &[Subscriber]) -> Vec<usize> {
    let mut hashed: Vec<usize> = (0..members.len()).collect();
    hash_order(&mut hashed, |&at| members[at].member_id.as_str());
    hashed
}

/// The topics, and which of them comes when in the `HashMap` of Java's clients. They put the
/// names into a `HashSet`, and those that exist from there into the map.
fn topics<'a>(
    partitions: &BTreeMap<String, i32>,
    wishes: impl Iterator<Item = &'a BTreeSet<&'a str>>,
) -> (Vec<Topic>, Vec<usize>) {
    let mut seen = BTreeSet::new();
    let mut hashed: Vec<&str> =
        wishes.flatten().copied().filter(|name| seen.insert(*name)).collect();
    hash_order(&mut hashed, |&name| name);
    hashed.retain(|&name| partitions.get(name).is_some_and(|&count| count > 0));
    hash_order(&mut hashed, |&name| name);

    let mut order: Vec<usize> = (0..hashed.len()).collect();
    order.sort_by(|&a, &b| compare(hashed[a], hashed[b]));
    let mut first = 0;
    let mut topics = Vec::new();
    let mut hashed_topics = vec![0; hashed.len()];
    for at in order {
        let count = usize::try_from(partitions[hashed[at]]).unwrap_or_default();
        hashed_topics[at] = topics.len();
        let range = first..first + count;
        first = range.end;
        topics.push(Topic { name: hashed[at].into(), partitions: range, members: Vec::new() });
    }
    (topics, hashed_topics)
}
