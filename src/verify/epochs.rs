//! The leader epochs that the batches of a log say. No checksum covers them.

use std::path::{Path, PathBuf};

use crate::log::checkpoint::LeaderEpochs;
use crate::record::BatchInfo;

/// Batches in a row with one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) epoch: i32,
    pub(crate) path: PathBuf,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) batches: u64,
}

/// The epochs of a log, as its batches come.
#[derive(Debug, Default)]
pub(crate) struct Epochs(Vec<Stretch>);

/// What the epochs of a log are taken to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Each epoch, and where it begins.
    pub(crate) epochs: Vec<(i32, i64)>,
    /// Those that do not fit in, and the epoch that is due.
    pub(crate) wrong: Vec<(Stretch, i32)>,
}

/// A batch that says what the checkpoint says counts as so many.
const AGREED: u64 = 4;

impl Epochs {
    pub(crate) fn take(&mut self, path: &Path, position: u64, info: &BatchInfo) {
        if info.magic < 2 {
            return;
        }
        let to = position + info.size as u64;
        match self.0.last_mut().filter(|it| it.epoch == info.leader_epoch && it.path == path) {
            Some(stretch) => {
                (stretch.to, stretch.last_offset) = (to, info.last_offset);
                stretch.batches += 1;
            }
            None => self.0.push(Stretch {
                epoch: info.leader_epoch,
                path: path.to_owned(),
                from: position,
                to,
                first_offset: info.base_offset,
                last_offset: info.last_offset,
                batches: 1,
            }),
        }
    }

    /// Epochs never go back: of all choices of stretches that ascend, the one with most batches is
    /// taken to be right. `known` is what the checkpoint says.
    pub(crate) fn judge(self, known: &LeaderEpochs) -> Judged {
        let chosen = self.chosen(known);
        let mut judged = Judged::default();
        let mut newest = -1;
        for (at, stretch) in self.0.iter().enumerate() {
            if chosen[at] {
                if stretch.epoch > newest {
                    judged.epochs.push((stretch.epoch, stretch.first_offset));
                }
                newest = newest.max(stretch.epoch);
                continue;
            }
            let next = (at..self.0.len()).find(|at| chosen[*at]).map(|at| self.0[at].epoch);
            let known = known.epoch_at(stretch.first_offset);
            let fits = |epoch: &i32| *epoch >= newest && next.is_none_or(|next| *epoch <= next);
            let before = Some(newest).filter(|newest| *newest >= 0);
            let due = known.filter(fits).or(before).or(next).unwrap_or(0);
            judged.wrong.push((stretch.clone(), due));
        }
        judged
    }

    /// Which stretches belong to the heaviest choice that ascends.
    fn chosen(&self, known: &LeaderEpochs) -> Vec<bool> {
        let mut levels: Vec<i32> = self.0.iter().map(|stretch| stretch.epoch).collect();
        levels.sort_unstable();
        levels.dedup();
        let mut best = Best::new(levels.len());
        let mut before = Vec::with_capacity(self.0.len());
        for (at, stretch) in self.0.iter().enumerate() {
            let level = levels.partition_point(|level| *level < stretch.epoch);
            let agreed = known.epoch_at(stretch.first_offset) == Some(stretch.epoch);
            let weight = stretch.batches.saturating_mul(if agreed { AGREED } else { 1 });
            let (sum, from) = best.up_to(level);
            before.push(from);
            best.put(level, sum.saturating_add(weight), at);
        }
        let mut chosen = vec![false; self.0.len()];
        let mut next = levels.len().checked_sub(1).and_then(|level| best.up_to(level).1);
        while let Some(at) = next {
            chosen[at] = true;
            next = before[at];
        }
        chosen
    }
}

/// The heaviest choice that ends at each level or below (a Fenwick tree of maxima).
struct Best(Vec<(u64, Option<usize>)>);

impl Best {
    fn new(levels: usize) -> Self {
        Self(vec![(0, None); levels + 1])
    }

    fn up_to(&self, level: usize) -> (u64, Option<usize>) {
        let (mut at, mut best) = (level + 1, (0, None));
        while at > 0 {
            if self.0[at].0 > best.0 {
                best = self.0[at];
            }
            at &= at - 1;
        }
        best
    }

    fn put(&mut self, level: usize, sum: u64, last: usize) {
        let mut at = level + 1;
        while at < self.0.len() {
            if sum > self.0[at].0 {
                self.0[at] = (sum, Some(last));
            }
            at += at & at.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stretch of so many batches an epoch; offsets count batches.
    fn epochs(stretches: &[(i32, u64)]) -> Epochs {
        let mut first_offset = 0;
        let stretch = |(epoch, batches): &(i32, u64)| {
            let first = first_offset;
            first_offset += *batches as i64;
            Stretch {
                epoch: *epoch,
                path: PathBuf::from("0.log"),
                from: first as u64,
                to: first_offset as u64,
                first_offset: first,
                last_offset: first_offset - 1,
                batches: *batches,
            }
        };
        Epochs(stretches.iter().map(stretch).collect())
    }

    fn known(list: &[(i32, i64)]) -> LeaderEpochs {
        let mut known = LeaderEpochs::default();
        for (epoch, offset) in list {
            known.begin(*epoch, *offset);
        }
        known
    }

    #[test]
    fn of_epochs_that_go_back_the_fewest_batches_are_wrong() {
        let cases = [
            (vec![(0, 3), (1, 5), (4, 1)], vec![]),
            (vec![(0, 3), (64, 1), (0, 9)], vec![(64, 0)]),
            (vec![(64, 1), (2, 9)], vec![(64, 2)]),
            (vec![(0, 9), (3, 9), (1, 1), (3, 9)], vec![(1, 3)]),
            (vec![(5, 9), (-7, 1)], vec![(-7, 5)]),
        ];
        for (stretches, expected) in cases {
            let judged = epochs(&stretches).judge(&LeaderEpochs::default());

            let wrong: Vec<_> = judged.wrong.iter().map(|(it, due)| (it.epoch, *due)).collect();
            assert_eq!(wrong, expected, "{stretches:?}");
        }
    }

    #[test]
    fn the_checkpoint_decides_where_the_batches_do_not() {
        let judged = epochs(&[(9, 2), (1, 1), (9, 1)]).judge(&known(&[(1, 0), (9, 3)]));
        assert_eq!(judged.epochs, [(1, 2), (9, 3)]);
        assert_eq!(judged.wrong[0].1, 1);

        let judged = epochs(&[(1, 4), (64, 1), (3, 4)]).judge(&known(&[(1, 0), (3, 4)]));
        assert_eq!(judged.wrong.iter().map(|(_, due)| *due).collect::<Vec<_>>(), [3]);
    }
}
