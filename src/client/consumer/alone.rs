//! Which partitions a consumer without a group is to read, step by step.
//!
//! What the subscription comes to is what is assigned. The steps are those of a rebalance: what is
//! taken away is announced, and only then is the new assignment made.

use crate::types::TopicPartition;

/// What the consumer does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: the assignment is as it should be.
    Stay,
    /// Announce that these go.
    Revoke(Vec<TopicPartition>),
    /// Assign these, instead of all before.
    Assign(Vec<TopicPartition>),
}

/// One consumer that shares with nobody.
#[derive(Debug, Default)]
pub(super) struct Alone {
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was assigned since it subscribed.
    #[default]
    New,
    Stable,
    /// The revocation was announced.
    Revoked,
}

impl Alone {
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
    fn a_new_consumer_is_assigned_at_once_even_nothing() {
        let mut alone = Alone::default();

        let plan = alone.plan(&[], &[]);
        assert_eq!(plan, Plan::Assign(Vec::new()));
        alone.done(&plan);

        assert_eq!(alone.plan(&[], &[]), Plan::Stay);
    }

    #[test]
    fn what_changes_is_revoked_first() {
        let (old, new) = (partitions(&[0]), partitions(&[0, 1]));
        let mut alone = Alone::default();
        alone.done(&Plan::Assign(old.clone()));

        assert_eq!(alone.plan(&old, &old), Plan::Stay);
        let plan = alone.plan(&old, &new);
        assert_eq!(plan, Plan::Revoke(old.clone()));
        alone.done(&plan);

        assert_eq!(alone.plan(&old, &new), Plan::Assign(new));
    }
}
