//! What each member is to own: by a strategy of Kafka's, or by the user's own.

use std::collections::{BTreeMap, HashSet};

use super::{Counts, Refused, State, Target, Uid};
use crate::coord::assign::{self, Builtin, Subscriber};

impl State {
    /// Begins a generation.
    pub(super) fn rebalance(&mut self, counts: Counts<'_>) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.counts = self.count(counts);
        self.strategy = self.vote();
        self.assigned = false;
        match self.builtin() {
            Some(builtin) => self.assign_by(builtin),
            None => self.assigned = self.members.is_empty(),
        }
    }

    /// The strategy that most members like best of those that all can use; if some are liked
    /// equally, the one that the leader likes best of them (`ClassicGroup.selectProtocol`).
    fn vote(&self) -> Option<String> {
        let leader = self.members.values().next()?;
        let shared = |name: &str| self.members.values().all(|m| m.strategy(name).is_some());
        let names = leader.strategies.iter().map(|strategy| &strategy.name);
        let candidates: Vec<&String> = names.filter(|name| shared(name)).collect();
        let votes = |candidate: &String| {
            let favourite = |member: &&super::Member| {
                member.strategies.iter().map(|s| &s.name).find(|name| candidates.contains(name))
                    == Some(candidate)
            };
            self.members.values().filter(favourite).count()
        };
        // The last of the greatest counts, so the leader's best comes last.
        candidates.iter().rev().max_by_key(|name| votes(name)).map(|name| (*name).clone())
    }

    /// The strategy of Kafka's that the leader uses under the chosen name.
    pub(super) fn builtin(&self) -> Option<Builtin> {
        let leader = self.members.values().next()?;
        let strategy = leader.strategy(self.strategy.as_ref()?)?;
        if strategy.own { None } else { Builtin::from_name(&strategy.name) }
    }

    fn assign_by(&mut self, builtin: Builtin) {
        let of = |member: &super::Member| Subscriber {
            member_id: member.member_id.clone(),
            instance_id: member.instance_id.clone(),
            topics: member.topics.clone(),
            owned: member.held.clone(),
            generation: member.held_generation,
        };
        let subscribers: Vec<_> = self.members.values().map(of).collect();
        let targets = assign::assign(builtin, &self.counts, &subscribers).into_iter();
        self.set_targets(targets.map(|(id, partitions)| (id, partitions.into())).collect());
    }

    fn set_targets(&mut self, mut targets: BTreeMap<String, Target>) {
        for member in self.members.values_mut() {
            let mut target = targets.remove(&member.member_id).unwrap_or_default();
            target.partitions.sort_unstable();
            member.target = target;
        }
        self.assigned = true;
    }

    /// The leader's own strategy has shared out the partitions of a generation. If the generation
    /// is over, nothing happens: there will be another task.
    pub fn assign(
        &mut self,
        uid: Uid,
        generation: i32,
        targets: Vec<(String, Target)>,
    ) -> Result<(), Refused> {
        if self.member(uid).is_none() {
            return Err(Refused::Unknown);
        }
        if self.generation != generation || self.assigned || self.leader() != Some(uid) {
            return Ok(());
        }
        self.check_targets(&targets)?;
        self.set_targets(targets.into_iter().collect());
        Ok(())
    }

    /// Every partition exists and goes to one member, who is there.
    fn check_targets(&self, targets: &[(String, Target)]) -> Result<(), Refused> {
        let nonsense = |text: String| Err(Refused::Nonsense(text));
        let (mut members, mut partitions) = (HashSet::new(), HashSet::new());
        for (member_id, target) in targets {
            let known = self.members.values().any(|member| member.member_id == *member_id);
            if !known || !members.insert(member_id) {
                return nonsense(format!("it names {member_id:?}, which is no member, or twice"));
            }
            for id in &target.partitions {
                let count = self.counts.get(&*id.topic).copied().unwrap_or(0);
                if !(0..count).contains(&id.partition) {
                    return nonsense(format!(
                        "it assigns {id}, which is not subscribed to or does not exist"
                    ));
                }
                if !partitions.insert(id) {
                    return nonsense(format!("it assigns {id} twice"));
                }
            }
        }
        Ok(())
    }
}
