//! What a member does to come from what it owns to its target.

use std::collections::{BTreeMap, BTreeSet};

use super::{Member, Refused, State, Uid};
use crate::planted::planted;
use crate::types::TopicPartition;

/// What a member has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until the group changes.
    Wait,
    /// Nothing: it owns what it should.
    Stable,
    /// Announce that these go, commit, then release them. An eager member: everything it owns, also
    /// if that is nothing.
    Release(Vec<TopicPartition>),
    /// Take these now, then announce them; also if they are none.
    Take(Vec<TopicPartition>),
    /// Run its own strategy, for all.
    Assign(Task),
    /// It is no member any more.
    Gone(Gone),
}

/// How a membership ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It left, or was taken for dead.
    Evicted,
    /// Another member lives under its `group.instance.id`.
    Fenced(String),
}

/// What a strategy of the user is to share out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// For which generation.
    pub generation: i32,
    /// The strategy's name.
    pub strategy: String,
    /// The topics subscribed to that exist, and how many partitions they have.
    pub partitions: BTreeMap<String, i32>,
    /// All members, in the order they came.
    pub members: Vec<TaskMember>,
}

/// A member as a strategy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskMember {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id`, of a static member.
    pub instance_id: Option<String>,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// What the strategy said of it.
    pub user_data: Vec<u8>,
    /// What it owned last.
    pub owned: Vec<TopicPartition>,
    /// In which generation; -1 if it never owned anything.
    pub generation: i32,
}

impl State {
    /// What the member of that number does next; `instance_id` is its own.
    pub fn next(&self, uid: Uid, instance_id: Option<&str>) -> Next {
        match self.member(uid) {
            None => Next::Gone(match self.why_gone(instance_id) {
                Refused::Fenced(id) => Gone::Fenced(id),
                _ => Gone::Evicted,
            }),
            Some(member) if member.cooperative => self.next_cooperative(uid, member),
            Some(member) => self.next_eager(uid, member),
        }
    }

    fn next_eager(&self, uid: Uid, member: &Member) -> Next {
        if member.acknowledged != self.generation {
            return Next::Release(self.owned(uid));
        }
        if !self.assigned {
            return self.next_unassigned(uid);
        }
        if member.taken == self.generation {
            return Next::Stable;
        }
        let all =
            self.all_acknowledged() && member.target.partitions.iter().all(|p| self.is_free(p));
        if all { Next::Take(member.target.partitions.clone()) } else { Next::Wait }
    }

    fn next_cooperative(&self, uid: Uid, member: &Member) -> Next {
        if !self.assigned {
            return self.next_unassigned(uid);
        }
        let owned = self.owned(uid);
        let goes = without(&owned, &member.target.partitions);
        if !goes.is_empty() {
            return Next::Release(goes);
        }
        let mut comes = without(&member.target.partitions, &owned);
        if comes.is_empty() && member.taken == self.generation {
            return Next::Stable;
        }
        comes.retain(|partition| self.is_free(partition));
        // Also with nothing to take: that is how it acknowledges the generation.
        if comes.is_empty() && member.taken == self.generation {
            return Next::Wait;
        }
        Next::Take(comes)
    }

    fn next_unassigned(&self, uid: Uid) -> Next {
        let eager = self.members.values().filter(|member| !member.cooperative);
        let released = eager.into_iter().all(|member| member.acknowledged == self.generation);
        if released && self.leader() == Some(uid) { Next::Assign(self.task()) } else { Next::Wait }
    }

    fn all_acknowledged(&self) -> bool {
        self.members.values().all(|member| member.acknowledged == self.generation)
    }

    fn is_free(&self, partition: &TopicPartition) -> bool {
        !self.owners.contains_key(partition) || planted("no-free-test")
    }

    fn task(&self) -> Task {
        let strategy = self.strategy.clone().unwrap_or_default();
        let of = |member: &Member| TaskMember {
            member_id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            topics: member.topics.clone(),
            user_data: member.strategy(&strategy).map(|s| s.user_data.clone()).unwrap_or_default(),
            owned: member.held.clone(),
            generation: member.held_generation,
        };
        Task {
            generation: self.generation,
            partitions: self.counts.clone(),
            members: self.members.values().map(of).collect(),
            strategy,
        }
    }

    /// The doorbells of those for whom the step from `before` may have changed what is next. Who
    /// only waits for others to follow is left alone until they have.
    pub fn to_wake(&self, before: &Self) -> BTreeSet<u64> {
        let begun = (self.generation, self.assigned) == (before.generation, before.assigned);
        if !begun || !self.members.keys().eq(before.members.keys()) {
            let all = before.members.values().chain(self.members.values());
            return all.map(|member| member.bell).collect();
        }
        let together = self.all_acknowledged();
        let waits = |uid: &Uid, member: &Member| match (member.cooperative, self.assigned) {
            (true, true) => member.target.partitions.iter().any(|p| self.owner(p) != Some(*uid)),
            (false, true) => together && member.taken != self.generation,
            (_, false) => self.leader() == Some(*uid),
        };
        let waiting = self.members.iter().filter(|(uid, member)| waits(uid, member));
        waiting.map(|(_, member)| member.bell).collect()
    }

    /// A member gives partitions up. Those that are not its own stay as they are.
    pub fn release(&mut self, uid: Uid, partitions: &[TopicPartition]) {
        for partition in partitions {
            if self.owner(partition) == Some(uid) {
                self.owners.remove(partition);
            }
        }
        let generation = self.generation;
        let left = self.owned(uid);
        let Some(member) = self.members.get_mut(&uid) else { return };
        let follows = if member.cooperative {
            self.assigned && without(&left, &member.target.partitions).is_empty()
        } else {
            left.is_empty()
        };
        if follows {
            member.acknowledged = generation;
            if member.cooperative && self.assigned {
                self.begin_second_round(uid, partitions, left);
            }
        }
    }

    /// A cooperative strategy of the user's holds back what moves until its owner has given it up
    /// (KIP-429). When that has happened, it is asked again.
    fn begin_second_round(
        &mut self,
        uid: Uid,
        released: &[TopicPartition],
        left: Vec<TopicPartition>,
    ) {
        let is_target =
            |id| self.members.values().any(|member| member.target.partitions.contains(id));
        if self.builtin().is_some() || released.iter().all(is_target) {
            return;
        }
        if let Some(member) = self.members.get_mut(&uid) {
            (member.held, member.held_generation) = (left, self.generation);
        }
        let counts = self.counts.clone();
        self.rebalance(&|topic| counts.get(topic).copied());
    }

    /// A member takes what [`Next::Take`] says; gives that, or `None` if it is not its turn.
    pub fn take(&mut self, uid: Uid) -> Option<Vec<TopicPartition>> {
        let Next::Take(comes) = self.next(uid, None) else { return None };
        for partition in &comes {
            self.owners.insert(partition.clone(), uid);
        }
        let owned = self.owned(uid);
        let member = self.members.get_mut(&uid)?;
        (member.acknowledged, member.taken) = (self.generation, self.generation);
        (member.held, member.held_generation) = (owned, self.generation);
        Some(comes)
    }
}

fn without(all: &[TopicPartition], others: &[TopicPartition]) -> Vec<TopicPartition> {
    all.iter().filter(|partition| !others.contains(partition)).cloned().collect()
}
