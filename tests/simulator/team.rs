//! Who owns which partition of the group that all share, in the eyes of its members.

use std::collections::{BTreeMap, BTreeSet};

use brokerless::TopicPartition;
use brokerless::coord::group::Uid;

/// A member: its process, and what the group knows it by.
pub(crate) type Member = (usize, Uid);

/// What each member took and has not begun to give up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Team(BTreeMap<Member, BTreeSet<TopicPartition>>);

impl Team {
    /// The member was told that these are its own now.
    pub(crate) fn take(&mut self, member: Member, partitions: Vec<TopicPartition>) {
        self.0.entry(member).or_default().extend(partitions);
    }

    /// It is about to give them up.
    pub(crate) fn release(&mut self, member: Member, partitions: &[TopicPartition]) {
        let owned = self.0.entry(member).or_default();
        owned.retain(|partition| !partitions.contains(partition));
    }

    /// It is no member any more, or about to leave.
    pub(crate) fn leave(&mut self, member: Member) {
        self.0.remove(&member);
    }

    pub(crate) fn end_of(&mut self, process: usize) {
        self.0.retain(|(it, _), _| *it != process);
    }

    pub(crate) fn owned(&self, member: Member) -> Vec<TopicPartition> {
        self.0.get(&member).into_iter().flatten().cloned().collect()
    }

    /// Others who own, as they think, what the member does.
    pub(crate) fn rivals(&self, member: Member) -> Vec<(Member, TopicPartition)> {
        let owned = self.owned(member);
        let others = self.0.iter().filter(|(other, _)| **other != member);
        let all = others.flat_map(|(other, theirs)| theirs.iter().map(|it| (*other, it.clone())));
        all.filter(|(_, partition)| owned.contains(partition)).collect()
    }
}
