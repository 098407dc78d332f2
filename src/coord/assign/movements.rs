//! Which partitions moved from whom to whom while a group is balanced, so that no topic moves one
//! partition there and another back.

use std::collections::HashMap;

use super::group::Group;
use super::java::Partitions;

/// From whom, to whom.
type Pair = (usize, usize);

#[derive(Debug, Default)]
pub(super) struct Movements {
    /// Of each partition that is not where it was.
    by_partition: HashMap<usize, Pair>,
    /// The same of each topic.
    by_topic: HashMap<usize, HashMap<Pair, Partitions>>,
}

impl Movements {
    /// The partition to move from `from` to `to` in place of `partition`: one of the same topic
    /// that moved the other way before, if there is one.
    pub(super) fn instead_of(
        &self,
        group: &Group<'_>,
        partition: usize,
        from: usize,
        to: usize,
    ) -> usize {
        let origin = self.by_partition.get(&partition).map_or(from, |&(origin, _)| origin);
        let topic = self.by_topic.get(&group.topic_of(partition));
        let back = topic.and_then(|pairs| pairs.get(&(to, origin))?.first());
        back.map_or(partition, |number| group.topic(partition).partitions.start + number as usize)
    }

    /// `partition` moves from `from` to `to`.
    pub(super) fn record(&mut self, group: &Group<'_>, partition: usize, from: usize, to: usize) {
        let Some(before) = self.by_partition.remove(&partition) else {
            return self.add(group, partition, (from, to));
        };
        self.forget(group, partition, before);
        if before.0 != to {
            self.add(group, partition, (before.0, to));
        }
    }

    fn add(&mut self, group: &Group<'_>, partition: usize, pair: Pair) {
        let topic = group.topic(partition);
        self.by_partition.insert(partition, pair);
        let pairs = self.by_topic.entry(group.topic_of(partition)).or_default();
        let partitions = pairs.entry(pair).or_insert_with(|| Partitions::of(&topic.name));
        partitions.insert(group.number(partition) as i32);
    }

    fn forget(&mut self, group: &Group<'_>, partition: usize, pair: Pair) {
        let Some(pairs) = self.by_topic.get_mut(&group.topic_of(partition)) else { return };
        let Some(partitions) = pairs.get_mut(&pair) else { return };
        partitions.remove(group.number(partition) as i32);
        if partitions.first().is_none() {
            pairs.remove(&pair);
        }
    }
}
