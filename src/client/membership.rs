//! A consumer's place in its group: which partitions it is to read, step by step.
//!
//! For now a group has one member, so what the subscription comes to is what is assigned. The
//! steps are those of any rebalance: what is taken away is announced while it may still be
//! committed, and only then is the new assignment made.

use crate::engine::{Engine, SoleMembership};
use crate::error::Result;
use crate::types::TopicPartition;

/// What the member does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: the assignment is as it should be.
    Stay,
    /// Announce that these go.
    Revoke(Vec<TopicPartition>),
    /// Assign these, instead of all before.
    Assign(Vec<TopicPartition>),
}

/// One consumer in one group, or alone.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// The place in the group, while there is one.
    place: Option<SoleMembership>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was assigned since it joined.
    #[default]
    New,
    Stable,
    /// The revocation was announced.
    Revoked,
}

impl Member {
    /// Takes the place in the group; [`Error::GroupInUse`](crate::Error::GroupInUse) if another
    /// member has it.
    pub(super) fn join(&mut self, engine: &Engine, group: &str) -> Result<()> {
        if self.place.is_none() {
            self.place = Some(engine.join_group(group)?);
        }
        Ok(())
    }

    /// Gives the place up.
    pub(super) fn leave(&mut self) {
        *self = Self::default();
    }

    /// What leads from `current` to `target`.
    pub(super) fn plan(&self, current: &[TopicPartition], target: &[TopicPartition]) -> Plan {
        match self.stage {
            Stage::Stable if current == target => Plan::Stay,
            Stage::New | Stage::Stable if !current.is_empty() => Plan::Revoke(current.to_vec()),
            _ => Plan::Assign(target.to_vec()),
        }
    }

    /// The plan was carried out.
    pub(super) fn done(&mut self, plan: &Plan) {
        match plan {
            Plan::Stay => {}
            Plan::Revoke(_) => self.stage = Stage::Revoked,
            Plan::Assign(_) => self.stage = Stage::Stable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(numbers: &[i32]) -> Vec<TopicPartition> {
        numbers.iter().map(|&number| TopicPartition::new("t", number)).collect()
    }

    #[test]
    fn a_new_member_is_assigned_at_once_even_nothing() {
        let mut member = Member::default();

        let plan = member.plan(&[], &[]);
        assert_eq!(plan, Plan::Assign(Vec::new()));
        member.done(&plan);

        assert_eq!(member.plan(&[], &[]), Plan::Stay);
    }

    #[test]
    fn what_changes_is_revoked_first() {
        let (old, new) = (partitions(&[0]), partitions(&[0, 1]));
        let mut member = Member::default();
        member.done(&Plan::Assign(old.clone()));

        assert_eq!(member.plan(&old, &old), Plan::Stay);
        let plan = member.plan(&old, &new);
        assert_eq!(plan, Plan::Revoke(old.clone()));
        member.done(&plan);

        assert_eq!(member.plan(&old, &new), Plan::Assign(new));
    }
}
