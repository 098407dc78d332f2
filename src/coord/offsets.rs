//! Committed offsets: what a commit appends, and what the records add up to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::coord::schema::{self, CommitValue};
use crate::types::{OffsetAndMetadata, Timestamp, TopicPartition};

/// The offsets of all groups that share a partition of `__consumer_offsets`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    /// None is empty.
    commits: HashMap<String, HashMap<TopicPartition, CommitValue>>,
    groups: HashMap<String, Noted>,
}

/// What was last noted of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    generation: i32,
    has_members: bool,
    /// Whether it is a group of consumers, and not one that only keeps offsets.
    has_protocol: bool,
    /// Since when that is so; -1 if it is not known.
    since: Timestamp,
}

/// What may expire in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing for now.
    Nothing,
    /// It has no members any more, and that must be noted first: offsets expire from then on.
    NoteEmpty,
    /// These offsets; the flag says that nothing is left of the group.
    Offsets(Vec<TopicPartition>, bool),
}

impl Offsets {
    /// The records, key and value, that commit `offsets` for `group`.
    pub(crate) fn commit(
        group: &str,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
        now: Timestamp,
    ) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        offsets.iter().map(move |(partition, commit)| {
            (schema::encode_key(group, partition), schema::encode_value(commit, now))
        })
    }

    /// Takes in one record. What is not a commit, or is damaged, changes nothing.
    pub(crate) fn replay(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let Some(key) = key else { return };
        if let Some(group) = schema::parse_group_key(key) {
            return self.replay_group(group, value);
        }
        let Some(key) = schema::parse_key(key) else { return };
        let Some(value) = value else { return self.take_back(&key.group, &key.partition) };
        if let Some(value) = schema::parse_value(value) {
            self.commits.entry(key.group).or_default().insert(key.partition, value);
        }
    }

    fn take_back(&mut self, group: &str, partition: &TopicPartition) {
        let Some(commits) = self.commits.get_mut(group) else { return };
        commits.remove(partition);
        if commits.is_empty() {
            self.commits.remove(group);
        }
    }

    fn replay_group(&mut self, group: String, value: Option<&[u8]>) {
        let Some(value) = value else {
            self.groups.remove(&group);
            return;
        };
        if let Some(metadata) = schema::parse_group_value(value) {
            let noted = Noted {
                generation: metadata.generation,
                has_members: !metadata.members.is_empty(),
                has_protocol: !metadata.protocol_type.is_empty(),
                since: metadata.current_state_timestamp,
            };
            self.groups.insert(group, noted);
        }
    }

    /// The last generation of `group`; 0 if it never had members.
    pub(crate) fn generation(&self, group: &str) -> i32 {
        self.groups.get(group).map_or(0, |noted| noted.generation)
    }

    /// Everything that `group` has committed.
    pub(crate) fn of(&self, group: &str) -> HashMap<TopicPartition, OffsetAndMetadata> {
        let commits = self.commits.get(group).into_iter().flatten();
        commits.map(|(partition, value)| (partition.clone(), value.commit.clone())).collect()
    }

    /// Whether a group is one of consumers, and not one that only keeps offsets; `None` if nothing
    /// is known of it.
    pub(crate) fn has_protocol(&self, group: &str) -> Option<bool> {
        let noted = self.groups.get(group).map(|noted| noted.has_protocol);
        noted.or(self.commits.contains_key(group).then_some(false))
    }

    /// The groups of which anything is known.
    pub(crate) fn group_ids(&self) -> BTreeSet<String> {
        self.commits.keys().chain(self.groups.keys()).cloned().collect()
    }

    /// The groups in which something may expire by `now`, whoever their members are.
    pub(crate) fn ripe(&self, now: Timestamp, retention: i64) -> Vec<String> {
        let groups: BTreeSet<&String> = self.commits.keys().chain(self.groups.keys()).collect();
        let ripe = |group: &&String| {
            // Also with a member that has not subscribed to anything.
            let members = BTreeSet::new();
            self.expiry(group, None, now, retention) != Expiry::Nothing
                || self.expiry(group, Some(&members), now, retention) != Expiry::Nothing
        };
        groups.into_iter().filter(ripe).cloned().collect()
    }

    /// What expires in a group by `now` (Kafka's `GroupMetadata.removeExpiredOffsets`, KIP-211).
    /// `subscribed` are the topics of its members, if it has any.
    pub(crate) fn expiry(
        &self,
        group: &str,
        subscribed: Option<&BTreeSet<&str>>,
        now: Timestamp,
        retention: i64,
    ) -> Expiry {
        let noted = self.groups.get(group).filter(|noted| noted.has_protocol);
        if subscribed.is_none() && noted.is_some_and(|noted| noted.has_members) {
            return Expiry::NoteEmpty;
        }
        // An empty group's offsets expire together, others by themselves.
        let since = noted.map(|noted| noted.since).filter(|since| *since >= 0);
        let since = since.filter(|_| subscribed.is_none());
        let no_commits = HashMap::new();
        let commits = self.commits.get(group).unwrap_or(&no_commits);
        let is_over = |value: &CommitValue| match value.expires {
            Some(expires) => now >= expires,
            None => now.saturating_sub(since.unwrap_or(value.timestamp)) >= retention,
        };
        let wanted = |partition: &TopicPartition| {
            subscribed.is_some_and(|topics| topics.contains(&*partition.topic))
        };
        let over = commits.iter().filter(|(partition, value)| !wanted(partition) && is_over(value));
        let mut over: Vec<_> = over.map(|(partition, _)| partition.clone()).collect();
        over.sort_unstable();
        let ends = subscribed.is_none() && noted.is_some() && over.len() == commits.len();
        if over.is_empty() && !ends { Expiry::Nothing } else { Expiry::Offsets(over, ends) }
    }

    /// What each group has committed for a topic, in order.
    pub(crate) fn of_topic(&self, topic: &str) -> BTreeMap<String, BTreeSet<TopicPartition>> {
        let of = |commits: &HashMap<TopicPartition, CommitValue>| {
            commits.keys().filter(|id| *id.topic == *topic).cloned().collect::<BTreeSet<_>>()
        };
        let all = self.commits.iter().map(|(group, commits)| (group.clone(), of(commits)));
        all.filter(|(_, partitions)| !partitions.is_empty()).collect()
    }

    /// The records, key and value, that take away what expires: the group itself too, if nothing
    /// is left of it.
    pub(crate) fn tombstones<'a>(
        group: &str,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
        ends: bool,
    ) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let offsets = partitions.into_iter().map(|partition| schema::encode_key(group, partition));
        let group = ends.then(|| schema::encode_group_key(group));
        offsets.chain(group).map(|key| (key, None)).collect()
    }
}

/// Java's `String.hashCode`, by which Kafka finds a group's partition.
pub(crate) fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> OffsetAndMetadata {
        OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 }
    }

    #[test]
    fn the_last_commit_counts_and_a_tombstone_takes_it_back() {
        let orders = TopicPartition::new("orders", 0);
        let mut offsets = Offsets::default();
        for offset in [5, 9] {
            for (key, value) in Offsets::commit("g", &[(orders.clone(), at(offset))], 0) {
                offsets.replay(Some(&key), Some(&value));
            }
        }

        assert_eq!(offsets.of("g")[&orders], at(9));
        assert!(offsets.of("other").is_empty());

        offsets.replay(Some(&schema::encode_key("g", &orders)), None);

        assert!(offsets.of("g").is_empty());
    }

    #[test]
    fn nothing_is_kept_of_a_group_all_of_which_was_taken_back() {
        let mut offsets = Offsets::default();
        let orders = [(TopicPartition::new("orders", 0), at(5))];
        for (key, value) in Offsets::commit("gone", &orders, 0) {
            offsets.replay(Some(&key), Some(&value));
            offsets.replay(Some(&key), Some(b"no value"));
            offsets.replay(Some(&key), None);
        }
        offsets.replay(Some(&schema::encode_key("never there", &orders[0].0)), None);
        offsets.replay(Some(&schema::encode_key("damaged", &orders[0].0)), Some(b"no value"));

        assert_eq!(offsets, Offsets::default());
    }

    #[test]
    fn hashes_are_javas() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("hello"), 99_162_322);
        assert_eq!(java_hash("console-consumer-12345"), java_reference("console-consumer-12345"));
    }

    fn java_reference(text: &str) -> i32 {
        let mut hash = 0_i64;
        for unit in text.encode_utf16() {
            hash = (hash * 31 + i64::from(unit)) & 0xffff_ffff;
        }
        hash as i32
    }
}
