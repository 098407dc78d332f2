//! `RoundRobinAssignor`: all partitions of all topics are dealt out one by one. Members that do
//! not want a topic are passed over, and have to wait for their next turn.

use super::group::{Group, Targets};

pub(super) fn assign(group: &Group<'_>) -> Targets {
    let mut targets = group.no_targets();
    let mut turns = group.static_first(group.hashed.clone()).into_iter().cycle();
    for partition in 0..group.len() {
        if let Some(member) = turns.find(|&member| group.wants(member, partition)) {
            targets[member].push(partition);
        }
    }
    targets
}
