//! The way of the sticky assignors when all members want the same: nobody gets more than one
//! partition more than another.

use std::collections::{HashSet, VecDeque};

use super::group::{Group, Targets};
use super::sticky::Claims;

#[derive(Debug)]
pub(super) struct Constrained<'a> {
    group: &'a Group<'a>,
    /// What everybody gets at least.
    least: usize,
    /// What everybody gets at most: as much, or one more.
    most: usize,
    /// How many members get more than the least.
    lucky: usize,
    /// How many of these there are already.
    served: usize,
    /// Who has less than the least.
    wanting: Vec<usize>,
    /// Who has the least and may get one more.
    content: VecDeque<usize>,
    targets: Targets,
    /// Of each partition who has to give it up.
    losers: Vec<Option<usize>>,
    moving: HashSet<usize>,
}

impl<'a> Constrained<'a> {
    pub(super) fn new(group: &'a Group<'a>) -> Self {
        let members = group.members.len().max(1);
        Self {
            group,
            least: group.len() / members,
            most: group.len().div_ceil(members),
            lucky: group.len() % members,
            served: 0,
            wanting: Vec::new(),
            content: VecDeque::new(),
            targets: group.no_targets(),
            losers: vec![None; group.len()],
            moving: HashSet::new(),
        }
    }

    /// The targets, and what moves from one member to another.
    pub(super) fn assign(mut self, claims: &Claims) -> (Targets, HashSet<usize>) {
        for &member in &self.group.hashed {
            self.keep(member, self.kept(member, claims));
        }
        let free = self.free();
        self.wanting.sort_unstable();
        self.content.make_contiguous().sort_unstable();
        self.deal(&free, claims);
        (self.targets, self.moving)
    }

    /// What a member owns undisputed, the lowest partition of each topic first.
    fn kept(&self, member: usize, claims: &Claims) -> Vec<usize> {
        let mut owned = claims.owned[member].clone();
        owned.retain(|partition| !claims.disputed.contains(partition));
        owned.sort_by_key(|&partition| (self.group.number(partition), partition));
        owned
    }

    /// Leaves a member of what it owns as much as it may have.
    fn keep(&mut self, member: usize, mut owned: Vec<usize>) {
        if owned.len() < self.least {
            self.wanting.push(member);
        } else if owned.len() >= self.most && self.served < self.lucky {
            self.served += 1;
            self.cut(member, &mut owned, self.most);
        } else {
            if self.served < self.lucky {
                self.content.push_back(member);
            }
            self.cut(member, &mut owned, self.least);
        }
        self.targets[member] = owned;
    }

    fn cut(&mut self, member: usize, owned: &mut Vec<usize>, len: usize) {
        for lost in owned.drain(len..) {
            self.losers[lost] = Some(member);
        }
    }

    fn free(&self) -> Vec<usize> {
        let mut free = vec![true; self.group.len()];
        self.targets.iter().flatten().for_each(|&partition| free[partition] = false);
        (0..free.len()).filter(|&partition| free[partition]).collect()
    }

    /// Deals out what is free: in turn to those that want more, and when they all have the least
    /// one each to those that may get one more.
    fn deal(&mut self, free: &[usize], claims: &Claims) {
        let mut turn = 0;
        for &partition in free {
            if turn == self.wanting.len() {
                turn = 0;
            }
            let next = self.wanting.get(turn).copied();
            let Some(member) = next.or_else(|| self.content.pop_front()) else { return };
            turn += usize::from(next.is_some());
            self.give(partition, member, claims);
            if next.is_some() && self.targets[member].len() == self.least {
                turn -= 1;
                self.wanting.remove(turn);
                self.content.push_back(member);
            }
        }
    }

    fn give(&mut self, partition: usize, member: usize, claims: &Claims) {
        self.targets[member].push(partition);
        let lost = self.losers[partition].is_some_and(|loser| loser != member);
        if lost || claims.disputed.contains(&partition) {
            self.moving.insert(partition);
        }
    }
}
