//! Committed offsets: what a commit appends, and what the records add up to.

use std::collections::HashMap;

use crate::coord::schema;
use crate::types::{OffsetAndMetadata, Timestamp, TopicPartition};

/// The offsets of all groups that share a partition of `__consumer_offsets`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    commits: HashMap<String, HashMap<TopicPartition, OffsetAndMetadata>>,
    /// The last generation of each group.
    generations: HashMap<String, i32>,
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
        let group = self.commits.entry(key.group).or_default();
        match value {
            None => drop(group.remove(&key.partition)),
            Some(value) => {
                if let Some(commit) = schema::parse_value(value) {
                    group.insert(key.partition, commit);
                }
            }
        }
    }

    fn replay_group(&mut self, group: String, value: Option<&[u8]>) {
        match value.map(schema::parse_group_value) {
            None => drop(self.generations.remove(&group)),
            Some(Some(metadata)) => drop(self.generations.insert(group, metadata.generation)),
            Some(None) => {}
        }
    }

    /// The last generation of `group`; 0 if it never had members.
    pub(crate) fn generation(&self, group: &str) -> i32 {
        self.generations.get(group).copied().unwrap_or(0)
    }

    /// Everything that `group` has committed.
    pub(crate) fn of(&self, group: &str) -> HashMap<TopicPartition, OffsetAndMetadata> {
        self.commits.get(group).cloned().unwrap_or_default()
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
