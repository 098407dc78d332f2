//! Who is in a group and who owns which partition: rules alone, no files, locks or clocks.
//!
//! Each change of the members, of what they subscribe to, or of the topics begins a *generation*,
//! in which every member has a *target*. Members then go towards their targets, each in its own
//! time: [`State::next`] says what one has to do. A partition that changes hands is released by its
//! owner before another takes it, so it has one owner at any moment (the rule of KIP-848).
//!
//! An *eager* member releases everything in each generation, and takes nothing before all members
//! have acknowledged the generation. A *cooperative* one (KIP-429) releases only what goes.

mod admin;
mod codec;
mod member;
mod metadata;
mod next;
mod targets;

use std::collections::{BTreeMap, BTreeSet};

pub use member::{Joining, Member, Process, Strategy, Target};
pub use next::{Gone, Next, Task, TaskMember};

use crate::planted::planted;
use crate::types::TopicPartition;

/// What a member is known by; no other ever has the same in its group.
pub type Uid = u64;

/// How many partitions a topic has; `None` if there is no such topic.
pub type Counts<'a> = &'a dyn Fn(&str) -> Option<i32>;

/// A group's members and owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    generation: i32,
    /// The strategy that the members agreed on, while there are members.
    strategy: Option<String>,
    /// Whether this generation has its targets; until then the leader's own strategy is awaited.
    assigned: bool,
    last_uid: Uid,
    members: BTreeMap<Uid, Member>,
    owners: BTreeMap<TopicPartition, Uid>,
    /// The topics that this generation's targets come from, and their partitions.
    counts: BTreeMap<String, i32>,
}

/// Kafka's states of a group (`ClassicGroupState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has no members.
    Empty,
    /// Members have yet to acknowledge the generation.
    PreparingRebalance,
    /// Members have yet to take their partitions.
    CompletingRebalance,
    /// Every member has what it should.
    Stable,
}

impl Phase {
    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no member, or not any more.
    Unknown,
    /// Another member lives under its `group.instance.id`.
    Fenced(String),
    /// It has released its partitions and not yet taken new ones.
    Rebalancing,
    /// The partition is not its own.
    NotOwner(TopicPartition),
    /// The group has members, so only they may commit.
    NotEmpty,
    /// It shares no strategy with all the others.
    NoCommonStrategy,
    /// What its strategy made is no assignment.
    Nonsense(String),
}

impl State {
    /// A group without members that goes on behind `generation`.
    pub fn after(generation: i32) -> Self {
        Self { generation, assigned: true, ..Self::default() }
    }

    /// Grows with each change of the members, of what they want, or of the topics.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// The strategy that the members agreed on, while there are members.
    pub fn strategy(&self) -> Option<&str> {
        self.strategy.as_deref()
    }

    /// Whether this generation has its targets.
    pub fn is_assigned(&self) -> bool {
        self.assigned
    }

    /// The members, in the order they came.
    pub fn members(&self) -> impl Iterator<Item = (Uid, &Member)> {
        self.members.iter().map(|(uid, member)| (*uid, member))
    }

    /// The member of that number.
    pub fn member(&self, uid: Uid) -> Option<&Member> {
        self.members.get(&uid)
    }

    /// The member that comes first: its own strategy counts, if the members use one.
    pub fn leader(&self) -> Option<Uid> {
        self.members.keys().next().copied()
    }

    /// Who owns a partition.
    pub fn owner(&self, partition: &TopicPartition) -> Option<Uid> {
        self.owners.get(partition).copied()
    }

    /// What a member owns, sorted.
    pub fn owned(&self, uid: Uid) -> Vec<TopicPartition> {
        let own = self.owners.iter().filter(|(_, owner)| **owner == uid);
        own.map(|(partition, _)| partition.clone()).collect()
    }

    /// All topics that any member subscribes to.
    pub fn topics(&self) -> BTreeSet<&str> {
        self.members.values().flat_map(|member| &member.topics).map(String::as_str).collect()
    }

    /// How far the group is.
    pub fn phase(&self) -> Phase {
        let all = |done: &dyn Fn(&Member) -> bool| self.members.values().all(done);
        if self.members.is_empty() {
            Phase::Empty
        } else if !all(&|member| member.acknowledged == self.generation) {
            Phase::PreparingRebalance
        } else if !self.assigned || !all(&|member| member.taken == self.generation) {
            Phase::CompletingRebalance
        } else {
            Phase::Stable
        }
    }

    /// Takes in a member and gives its number. One with the `group.instance.id` of another
    /// replaces it (KIP-345): it has the other's target at once, and the other is fenced.
    pub fn join(&mut self, joining: Joining, counts: Counts<'_>) -> Result<Uid, Refused> {
        let before = joining.instance_id.as_deref().and_then(|id| self.instance(id));
        self.check_strategies(before, &joining.strategies)?;
        self.last_uid += 1;
        let uid = self.last_uid;
        let member = Member::new(uid, joining);
        if let Some(before) = before.and_then(|before| self.take_out(before)) {
            self.replace(uid, member, before, counts);
        } else {
            self.members.insert(uid, member);
            self.rebalance(counts);
        }
        Ok(uid)
    }

    fn instance(&self, id: &str) -> Option<Uid> {
        let same = |member: &Member| member.instance_id.as_deref() == Some(id);
        self.members.iter().find(|(_, member)| same(member)).map(|(uid, _)| *uid)
    }

    /// The members but `except` must have a strategy in common with these.
    fn check_strategies(&self, except: Option<Uid>, own: &[Strategy]) -> Result<(), Refused> {
        let others = || self.members.iter().filter(|(uid, _)| Some(**uid) != except);
        let common = |name: &str| others().all(|(_, member)| member.strategy(name).is_some());
        if own.iter().any(|strategy| common(&strategy.name)) {
            return Ok(());
        }
        Err(Refused::NoCommonStrategy)
    }

    /// Ends a membership; its partitions have no owner then.
    fn take_out(&mut self, uid: Uid) -> Option<Member> {
        let member = self.members.remove(&uid)?;
        self.owners.retain(|_, owner| *owner != uid);
        Some(member)
    }

    fn replace(&mut self, uid: Uid, new: Member, before: Member, counts: Counts<'_>) {
        let same = new.wants_the_same(&before);
        let (target, held) = (before.target, before.held);
        let member = Member { target, held, held_generation: before.held_generation, ..new };
        self.members.insert(uid, member);
        if !same {
            self.rebalance(counts);
        }
    }

    /// Ends a membership, by its own wish or because it died or hangs. `false` if it had ended.
    pub fn remove(&mut self, uid: Uid, counts: Counts<'_>) -> bool {
        let removed = self.take_out(uid).is_some();
        if removed {
            self.generation -= i32::from(planted("no-generation-step"));
            self.rebalance(counts);
        }
        removed
    }

    /// A member wants other topics, or others of its strategies.
    pub fn resubscribe(
        &mut self,
        uid: Uid,
        topics: Vec<String>,
        strategies: Vec<Strategy>,
        counts: Counts<'_>,
    ) -> Result<(), Refused> {
        self.check_strategies(Some(uid), &strategies)?;
        let member = self.members.get_mut(&uid).ok_or(Refused::Unknown)?;
        let changed = member.subscribe(topics, strategies);
        if changed {
            self.rebalance(counts);
        }
        Ok(())
    }

    /// Notes what a member's own strategies say of it now; the generation stays.
    pub fn describe(&mut self, uid: Uid, strategies: Vec<Strategy>) -> Result<(), Refused> {
        let member = self.members.get_mut(&uid).ok_or(Refused::Unknown)?;
        if member.has_the_same_strategies(&strategies) {
            member.strategies = strategies;
        }
        Ok(())
    }

    /// Begins a generation if topics that are subscribed to have other partitions than its own.
    pub fn refresh(&mut self, counts: Counts<'_>) {
        if !self.members.is_empty() && self.counts != self.count(counts) {
            self.rebalance(counts);
        }
    }

    fn count(&self, counts: Counts<'_>) -> BTreeMap<String, i32> {
        let topics = self.topics().into_iter();
        topics.filter_map(|topic| Some((topic.to_owned(), counts(topic)?))).collect()
    }

    /// Whether a member may commit offsets of these partitions: they are its own.
    pub fn may_commit<'a>(
        &self,
        uid: Uid,
        instance_id: Option<&str>,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), Refused> {
        let Some(member) = self.members.get(&uid) else {
            return if planted("no-fence") { Ok(()) } else { Err(self.why_gone(instance_id)) };
        };
        let foreign = partitions.into_iter().find(|partition| self.owner(partition) != Some(uid));
        match foreign {
            None => Ok(()),
            Some(_) if planted("no-owner-test") => Ok(()),
            Some(_) if self.is_between(member) => Err(Refused::Rebalancing),
            Some(partition) => Err(Refused::NotOwner(partition.clone())),
        }
    }

    /// Whether somebody who is no member may commit offsets: nobody is.
    pub fn may_commit_alone(&self) -> Result<(), Refused> {
        if self.members.is_empty() { Ok(()) } else { Err(Refused::NotEmpty) }
    }

    /// Whether a member has released its partitions for a generation and not taken new ones.
    fn is_between(&self, member: &Member) -> bool {
        member.taken != self.generation
    }

    /// Why there is no such member.
    fn why_gone(&self, instance_id: Option<&str>) -> Refused {
        match instance_id.filter(|id| self.instance(id).is_some()) {
            Some(id) => Refused::Fenced(id.to_owned()),
            None => Refused::Unknown,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
