//! `RangeAssignor`: topic by topic, each member a run of neighbouring partitions. Topics with as
//! many partitions and the same subscribers are divided in the same way.

use super::group::{Group, Targets};

pub(super) fn assign(group: &Group<'_>) -> Targets {
    let mut targets = group.no_targets();
    for &topic in &group.hashed_topics {
        let mut rest = group.topics[topic].partitions.clone();
        let members = group.static_first(group.topics[topic].members.clone());
        let (each, more) = (rest.len() / members.len(), rest.len() % members.len());
        for (at, member) in members.into_iter().enumerate() {
            let share = each + usize::from(at < more);
            targets[member].extend(rest.by_ref().take(share));
        }
    }
    targets
}
