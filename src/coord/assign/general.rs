//! The way of the sticky assignors when members want different topics: everything free goes to
//! who has least, and then partitions move until no move makes it more even.

use std::collections::{BTreeSet, HashMap};

use super::group::{Group, Targets};
use super::movements::Movements;
use super::sticky::{Claims, remove};

#[derive(Debug)]
pub(super) struct General<'a> {
    group: &'a Group<'a>,
    targets: Targets,
    /// Of each partition who has it in `targets`, or had it.
    owners: Vec<Option<usize>>,
    /// All partitions, those that fewest members want first.
    order: Vec<usize>,
    /// The members that may still get or lose something, by how much they have.
    open: BTreeSet<(usize, usize)>,
    /// Of partitions that were claimed in an older generation by whom.
    former: HashMap<usize, usize>,
    /// Whether a member had something that it does not want any more.
    revoked: bool,
    movements: Movements,
}

impl<'a> General<'a> {
    pub(super) fn new(group: &'a Group<'a>, claims: Claims) -> Self {
        let mut owners = vec![None; group.len()];
        let mut targets = claims.owned;
        for (member, owned) in targets.iter().enumerate() {
            for &partition in owned {
                owners[partition] = Some(member);
            }
        }
        let had: usize = targets.iter().map(Vec::len).sum();
        for (member, owned) in targets.iter_mut().enumerate() {
            owned.retain(|&partition| group.wants(member, partition));
        }
        let has: usize = targets.iter().map(Vec::len).sum();
        Self {
            group,
            open: targets.iter().enumerate().map(|(member, list)| (list.len(), member)).collect(),
            targets,
            owners,
            order: order(group),
            former: former(group),
            revoked: has < had,
            movements: Movements::default(),
        }
    }

    pub(super) fn assign(mut self) -> Targets {
        let free = self.free();
        let initial = self.open.last().is_none_or(|&(most, _)| most == 0);
        for &partition in &free {
            self.give_to_who_has_least(partition);
        }
        let shared = |group: &Group<'_>, partition| group.topic(partition).members.len() >= 2;
        let free: Vec<usize> = free.into_iter().filter(|&p| shared(self.group, p)).collect();
        let all: Vec<usize> =
            self.order.iter().copied().filter(|&p| shared(self.group, p)).collect();
        self.close_who_cannot_change();
        let before = self.targets.clone();
        if !self.revoked {
            self.balance(&free);
        }
        let moved = self.balance(&all);
        if !initial && moved && self.unevenness(&self.targets) >= self.unevenness(&before) {
            return before;
        }
        self.targets
    }

    fn free(&self) -> Vec<usize> {
        let mut free = vec![true; self.group.len()];
        self.targets.iter().flatten().for_each(|&partition| free[partition] = false);
        self.order.iter().copied().filter(|&partition| free[partition]).collect()
    }

    fn give_to_who_has_least(&mut self, partition: usize) {
        let Some(member) = self.least_of(partition) else { return };
        self.open.remove(&(self.targets[member].len(), member));
        self.targets[member].push(partition);
        self.owners[partition] = Some(member);
        self.open.insert((self.targets[member].len(), member));
    }

    /// Who has least of those that want a partition.
    fn least_of(&self, partition: usize) -> Option<usize> {
        let mut members = self.open.iter().map(|&(_, member)| member);
        members.find(|&member| self.group.wants(member, partition))
    }

    /// Who has all it wants, and none of it is wanted by others.
    fn close_who_cannot_change(&mut self) {
        let group = self.group;
        let closed = |&(len, member): &(usize, usize)| {
            let topics = || group.members[member].topics.iter().map(|&topic| &group.topics[topic]);
            let most: usize = topics().map(|topic| topic.partitions.len()).sum();
            let mut had = self.targets[member].iter();
            len >= most && had.all(|&partition| group.topic(partition).members.len() < 2)
        };
        let open = self.open.iter().filter(|entry| !closed(entry)).copied().collect();
        self.open = open;
    }

    /// Moves these partitions for as long as that helps. Whether any moved.
    fn balance(&mut self, partitions: &[usize]) -> bool {
        let mut moved = false;
        let mut balanced = self.is_balanced();
        loop {
            let mut again = false;
            for &partition in partitions {
                if balanced {
                    break;
                }
                if self.improve(partition) {
                    again = true;
                    balanced = self.is_balanced();
                }
            }
            moved |= again;
            if !again {
                return moved;
            }
        }
    }

    /// Whether no member could have one more of what it wants without that its owner has less.
    fn is_balanced(&self) -> bool {
        let (Some(least), Some(most)) = (self.open.first(), self.open.last()) else { return true };
        least.0 + 1 >= most.0 || !self.open.iter().any(|&(len, member)| self.lacks(len, member))
    }

    fn lacks(&self, len: usize, member: usize) -> bool {
        let mut topics = self.group.members[member].topics.iter();
        topics.any(|&topic| self.most_of(topic) > len + 1)
    }

    /// How much the one has that has most of those who have partitions of a topic.
    fn most_of(&self, topic: usize) -> usize {
        let owners = self.group.topics[topic].partitions.clone().filter_map(|p| self.owners[p]);
        owners.map(|member| self.targets[member].len()).max().unwrap_or(0)
    }

    /// Moves one partition to who has less, its former owner before others. Whether it moved.
    fn improve(&mut self, partition: usize) -> bool {
        let Some(owner) = self.owners[partition] else { return false };
        let len = self.targets[owner].len();
        let has_less = |member: usize| len > self.targets[member].len() + 1;
        let former = self.former.get(&partition).copied();
        let former =
            former.filter(|&member| has_less(member) && self.group.wants(member, partition));
        let mut others = self.group.topic(partition).members.iter();
        let to = former.or_else(|| {
            others.any(|&member| has_less(member)).then(|| self.least_of(partition)).flatten()
        });
        let Some(to) = to else { return false };
        let instead = self.movements.instead_of(self.group, partition, owner, to);
        self.move_to(instead, to);
        true
    }

    fn move_to(&mut self, partition: usize, to: usize) {
        let Some(from) = self.owners[partition] else { return };
        self.open.remove(&(self.targets[from].len(), from));
        self.open.remove(&(self.targets[to].len(), to));
        self.movements.record(self.group, partition, from, to);
        remove(&mut self.targets[from], partition);
        self.targets[to].push(partition);
        self.owners[partition] = Some(to);
        self.open.insert((self.targets[to].len(), to));
        self.open.insert((self.targets[from].len(), from));
    }

    /// The differences of all pairs of members that may change.
    fn unevenness(&self, targets: &Targets) -> u64 {
        let mut lens: Vec<u64> =
            self.open.iter().map(|&(_, member)| targets[member].len() as u64).collect();
        lens.sort_unstable();
        let (mut sum, mut below) = (0, 0);
        for (count, len) in (0..).zip(lens) {
            sum += count * len - below;
            below += len;
        }
        sum
    }
}

/// All partitions by how many members want their topics, then by topic and number.
fn order(group: &Group<'_>) -> Vec<usize> {
    let mut topics: Vec<_> = group.topics.iter().collect();
    topics.sort_by_key(|topic| topic.members.len());
    topics.into_iter().flat_map(|topic| topic.partitions.clone()).collect()
}

/// The last owners of partitions in generations before the newest.
fn former(group: &Group<'_>) -> HashMap<usize, usize> {
    let newest = group.members.iter().map(|member| member.generation).max().unwrap_or(-1).max(-1);
    let mut former: HashMap<usize, usize> = HashMap::new();
    for &at in &group.hashed {
        let member = &group.members[at];
        if member.generation >= newest {
            continue;
        }
        for &partition in &member.owned {
            let last = former.entry(partition).or_insert(at);
            if group.members[*last].generation < member.generation {
                *last = at;
            }
        }
    }
    former
}
