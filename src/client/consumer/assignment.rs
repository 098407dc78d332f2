//! The partitions a consumer reads, and how far it is in each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::client::consumer::fetcher::Fetch;
use crate::client::consumer::polled::Polled;
use crate::config::consumer::{ConsumerConfig, OffsetReset};
use crate::engine::Partition;
use crate::error::{Error, Result};
use crate::record::Batch;
use crate::types::{Compression, OffsetAndMetadata, TopicPartition};

/// How far the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The next offset to hand out.
    pub(super) offset: i64,
    /// The leader epoch of the record before it, or -1.
    pub(super) leader_epoch: i32,
}

impl From<Position> for OffsetAndMetadata {
    fn from(Position { offset, leader_epoch }: Position) -> Self {
        Self { offset, metadata: String::new(), leader_epoch }
    }
}

/// Where a position is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seek {
    /// The group's committed offset, or else the rule of `auto_offset_reset`.
    Committed,
    /// This rule.
    Reset(OffsetReset),
}

/// One partition of the assignment.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) id: TopicPartition,
    /// `None` while there is no such partition.
    pub(super) partition: Option<Arc<Partition>>,
    /// Where it is, or how to find out.
    pub(super) position: std::result::Result<Position, Seek>,
    /// The leader epoch of the log in whose history the position was found to be.
    pub(super) validated: Option<i32>,
    /// The offset committed last by this consumer.
    pub(super) committed: Option<i64>,
    pub(super) paused: bool,
    /// The log end offset when it was last read.
    pub(super) highwater: Option<i64>,
    pub(super) fetch: Option<Fetch>,
}

impl Assigned {
    fn new(id: TopicPartition) -> Self {
        Self {
            id,
            partition: None,
            position: Err(Seek::Committed),
            validated: None,
            committed: None,
            paused: false,
            highwater: None,
            fetch: None,
        }
    }

    /// Goes elsewhere; what was read is dropped.
    pub(super) fn seek(&mut self, position: std::result::Result<Position, Seek>) {
        self.position = position;
        self.validated = None;
        self.fetch = None;
    }

    /// Whether the log may have lost what the position says was read.
    pub(super) fn is_doubtful(&self) -> bool {
        let Some(partition) = &self.partition else { return false };
        let has_epoch = self.position.is_ok_and(|position| position.leader_epoch >= 0);
        has_epoch && self.validated != Some(partition.published_epoch())
    }

    /// Follows the topic: its partition was made, or made anew.
    pub(super) fn bind(&mut self, partition: Option<Arc<Partition>>) {
        let same = match (&self.partition, &partition) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if self.partition.is_some() {
            self.seek(Err(Seek::Committed));
            (self.highwater, self.committed) = (None, None);
        }
        self.partition = partition;
    }

    /// What can be read from, and where; `None` if it is paused, missing or has no position yet.
    pub(super) fn readable(&self) -> Option<(Arc<Partition>, i64)> {
        if self.paused {
            return None;
        }
        Some((Arc::clone(self.partition.as_ref()?), self.position.ok()?.offset))
    }
}

/// All partitions of a consumer.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    all: Vec<Assigned>,
    by_id: HashMap<TopicPartition, usize>,
    /// Whose turn it is: the front one is handed out until what was read of it is used up.
    turns: VecDeque<usize>,
    /// Stamps given to fetches so far.
    stamps: u64,
}

/// What one poll may still take.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// Bytes that batches may still decompress to; the last one may go beyond.
    pub(super) decompressed: usize,
    /// Whether positions stay where they are.
    pub(super) ahead: bool,
}

impl Budget {
    /// Takes note of a batch that was opened. One that was not compressed lies where it was read.
    pub(super) fn decompressed(&mut self, batch: &Batch) {
        if batch.info().compression != Compression::None {
            self.decompressed = self.decompressed.saturating_sub(batch.data().len());
        }
    }
}

/// What one poll took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) polled: Vec<Polled>,
    /// A position went on, with or without records.
    pub(super) moved: bool,
    /// A position turned out to be outside its log and is to be found anew.
    pub(super) reset: bool,
    /// Another process keeps a partition's lock, so it could not be read.
    pub(super) held_up: bool,
}

impl Assignment {
    /// Replaces the partitions; those that stay keep their state.
    pub(super) fn set(&mut self, ids: impl IntoIterator<Item = TopicPartition>) {
        let mut old: HashMap<_, _> =
            std::mem::take(&mut self.all).into_iter().map(|a| (a.id.clone(), a)).collect();
        self.all = ids
            .into_iter()
            .map(|id| old.remove(&id).unwrap_or_else(|| Assigned::new(id)))
            .collect();
        self.by_id = self.all.iter().map(|a| a.id.clone()).zip(0..).collect();
        self.turns = (0..self.all.len()).collect();
    }

    pub(super) fn ids(&self) -> Vec<TopicPartition> {
        self.all.iter().map(|assigned| assigned.id.clone()).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Assigned> {
        self.all.iter()
    }

    pub(super) fn get(&self, id: &TopicPartition) -> Option<&Assigned> {
        self.by_id.get(id).map(|&index| &self.all[index])
    }

    pub(super) fn get_mut(&mut self, id: &TopicPartition) -> Option<&mut Assigned> {
        self.by_id.get(id).map(|&index| &mut self.all[index])
    }

    /// The partition's state, or the error of asking for one that is not assigned.
    pub(super) fn need(&mut self, id: &TopicPartition) -> Result<&mut Assigned> {
        self.get_mut(id)
            .ok_or(Error::IllegalState("the partition is not assigned to this consumer"))
    }

    /// The positions, as offsets to commit, but for those in doubt; with `changed`, only those not
    /// committed already.
    pub(super) fn to_commit(&self, changed: bool) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let due = |assigned: &&Assigned| {
            let changed = |at: Position| !changed || assigned.committed != Some(at.offset);
            !assigned.is_doubtful() && assigned.position.is_ok_and(changed)
        };
        let commit =
            |assigned: &Assigned| Some((assigned.id.clone(), assigned.position.ok()?.into()));
        self.all.iter().filter(due).filter_map(commit).collect()
    }

    /// Nothing counts as committed any more.
    pub(super) fn forget_committed(&mut self) {
        self.all.iter_mut().for_each(|assigned| assigned.committed = None);
    }

    /// Drops what was handed out and not consumed, so that it is read again.
    pub(super) fn rewind(&mut self) {
        for assigned in &mut self.all {
            let Some(fetch) = &assigned.fetch else { continue };
            match &mut assigned.position {
                Ok(position) if position.offset == fetch.handed() => {
                    position.offset = fetch.next_offset();
                }
                Ok(position) if position.offset == fetch.next_offset() => {}
                _ => assigned.fetch = None,
            }
        }
    }

    /// Reads ahead until there are `enough` bytes; gives how many there are then.
    pub(super) fn fill(&mut self, config: &ConsumerConfig, enough: usize) -> usize {
        let mut total = 0;
        for index in 0..self.all.len() {
            if total >= enough {
                break;
            }
            let Some((partition, offset)) = self.all[index].readable() else { continue };
            let fetch = self.fetch(index, offset);
            let most = config.max_partition_fetch_bytes;
            while fetch.buffered() < most {
                match fetch.read(&partition, most - fetch.buffered(), config.isolation_level) {
                    Ok(0) => break,
                    Ok(_) => {}
                    // Taking will meet it again, and knows what to do.
                    Err(_) => return usize::MAX,
                }
            }
            total += fetch.buffered() + usize::from(!fetch.is_drained());
        }
        total
    }

    fn fetch(&mut self, index: usize, offset: i64) -> &mut Fetch {
        let stamps = &mut self.stamps;
        self.all[index].fetch.get_or_insert_with(|| {
            *stamps += 1;
            Fetch::new(offset, *stamps)
        })
    }

    /// Takes records from the partitions in turn. An error is given when nothing was taken.
    pub(super) fn take(&mut self, budget: &mut Budget, config: &ConsumerConfig) -> Result<Taken> {
        let mut taken = Taken::default();
        let mut idle = 0;
        while budget.records > 0 && idle < self.turns.len() {
            let Some(&index) = self.turns.front() else { break };
            let moved = match self.take_turn(index, budget, config, &mut taken) {
                Err(error) if taken.polled.is_empty() => return Err(error),
                Err(_) => return Ok(taken),
                Ok(moved) => moved,
            };
            taken.moved |= moved;
            idle = if moved { 0 } else { idle + 1 };
            // It keeps its turn while records that were read already are left.
            if self.all[index].paused
                || self.all[index].fetch.as_ref().is_none_or(Fetch::is_drained)
            {
                self.turns.rotate_left(1);
            }
        }
        Ok(taken)
    }

    /// One partition's turn: what was read of it, or else one stretch more. Tells whether it went
    /// on; what compaction leaves may be without records.
    fn take_turn(
        &mut self,
        index: usize,
        budget: &mut Budget,
        config: &ConsumerConfig,
        taken: &mut Taken,
    ) -> Result<bool> {
        let Some((partition, offset)) = self.all[index].readable() else { return Ok(false) };
        let fetch = self.fetch(index, offset);
        let before = fetch.next_offset();
        if fetch.is_drained() {
            let most = config.max_partition_fetch_bytes.min(budget.bytes);
            if most == 0 {
                return Ok(false);
            }
            let read = fetch.read(&partition, most, config.isolation_level);
            let read = read.and_then(|size| Ok((size, partition.ends()?.log_end_offset)));
            match read {
                Ok((size, end)) => {
                    budget.bytes = budget.bytes.saturating_sub(size);
                    self.all[index].highwater = Some(end);
                }
                Err(error) => {
                    return self.all[index].lost(error, config, taken).map(|()| false);
                }
            }
        }
        let fetch = self.fetch(index, offset);
        let result = fetch.take_all(&partition, budget, config, &mut taken.polled);
        let offset = fetch.next_offset();
        self.all[index].handed_out(offset, budget.ahead, taken);
        result.map(|()| offset > before)
    }
}

impl Assigned {
    /// Records up to `offset` were handed out.
    fn handed_out(&mut self, offset: i64, ahead: bool, taken: &Taken) {
        let Ok(position) = &mut self.position else { return };
        // Without a record that waits, what was passed (control batches) counts at once.
        let waits = self.fetch.as_ref().is_some_and(|fetch| fetch.handed() > position.offset);
        if ahead && waits {
            return;
        }
        position.offset = offset;
        let last = taken.polled.last().filter(|last| last.topic_partition == self.id);
        if let Some(epoch) = last.and_then(Polled::leader_epoch) {
            position.leader_epoch = epoch;
            self.was_read();
        }
    }

    /// What leads to the position is in the log as it is now: it was just read there.
    pub(super) fn was_read(&mut self) {
        self.validated = self.partition.as_ref().map(|partition| partition.published_epoch());
    }

    /// The position is not in the log any more: finds a new one by the rule, if there is a rule.
    fn lost(&mut self, error: Error, config: &ConsumerConfig, taken: &mut Taken) -> Result<()> {
        match (error, config.auto_offset_reset) {
            (error @ Error::OffsetOutOfRange { .. }, reset) if reset != OffsetReset::None => {
                log::info!("{error}: going on by auto_offset_reset");
                self.seek(Err(Seek::Reset(reset)));
                taken.reset = true;
                Ok(())
            }
            // It was deleted; the next look at the topics says more.
            (Error::UnknownTopicOrPartition(_), _) => Ok(()),
            (Error::Timeout { .. }, _) => {
                taken.held_up = true;
                Ok(())
            }
            (error, _) => Err(error),
        }
    }
}
