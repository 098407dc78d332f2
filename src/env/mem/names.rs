//! The names in one folder: as they are seen now, and as a power loss would leave them.

use std::collections::BTreeMap;

use super::power::Loss;
use super::world::NodeId;

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    live: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    unsynced: Vec<Change>,
}

/// What a name leads to from now on.
pub(super) type Naming = (String, Option<NodeId>);

/// Happens as a whole or not at all.
#[derive(Clone, Debug)]
struct Change {
    step: u64,
    namings: Vec<Naming>,
}

impl Names {
    pub(super) fn get(&self, name: &str) -> Option<NodeId> {
        self.live.get(name).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, NodeId)> {
        self.live.iter().map(|(name, node)| (name, *node))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(super) fn change(&mut self, step: u64, namings: Vec<Naming>) {
        let change = Change { step, namings };
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    /// Makes everything durable, and gives the steps that were.
    pub(super) fn sync(&mut self) -> Vec<u64> {
        let changes = std::mem::take(&mut self.unsynced);
        changes.into_iter().map(|change| self.persist(&change)).collect()
    }

    /// Makes a step durable, which was made so in another folder, and what came before it.
    pub(super) fn sync_step(&mut self, step: u64) {
        let last = self.unsynced.iter().position(|change| change.step == step);
        for change in self.unsynced.drain(..last.map_or(0, |last| last + 1)).collect::<Vec<_>>() {
            self.persist(&change);
        }
    }

    pub(super) fn lose_power(&mut self, loss: Loss) {
        for change in std::mem::take(&mut self.unsynced) {
            if loss.arrives(change.step) {
                self.persist(&change);
            }
        }
        self.live.clone_from(&self.durable);
    }

    fn persist(&mut self, change: &Change) -> u64 {
        change.apply(&mut self.durable);
        change.step
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, NodeId>) {
        for (name, node) in &self.namings {
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
    }
}
