//! What compaction must know of producers and their transactions, as it walks over a log (Kafka's
//! `CleanedTransactionMetadata`).

use std::collections::{HashMap, HashSet};

use crate::log::aborted::AbortedTransaction;
use crate::planted::planted;
use crate::record::BatchInfo;
use crate::record::control::ControlType;
use crate::types::Timestamp;

/// The transactions that are open at one place of the log.
#[derive(Debug)]
pub(crate) struct Transactions {
    /// Those that begin further on; the next one last.
    ahead: Vec<AbortedTransaction>,
    /// By producer: one that is aborted, and whether a batch of it was seen.
    aborted: HashMap<i64, (AbortedTransaction, bool)>,
    /// Producers with batches of one that is committed.
    committed: HashSet<i64>,
    /// Aborted ones whose end was passed and that still have batches.
    left: Vec<AbortedTransaction>,
}

impl Transactions {
    /// At `offset`, with the aborted transactions of the log.
    pub(crate) fn at(offset: i64, aborted: &[AbortedTransaction]) -> Self {
        let mut ahead = aborted.to_vec();
        ahead.retain(|entry| entry.last_offset >= offset);
        ahead.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.first_offset));
        Self { ahead, aborted: HashMap::new(), committed: HashSet::new(), left: Vec::new() }
    }

    /// Walks over a batch, which ends a transaction if it is a control batch: gives whether it is
    /// part of an aborted transaction, or the end of one that has no batch any more.
    pub(crate) fn take(&mut self, info: &BatchInfo, control: Option<ControlType>) -> bool {
        self.begin(info);
        match control {
            Some(ControlType::Abort) => self.abort(info.producer_id),
            Some(ControlType::Commit) => !self.committed.remove(&info.producer_id),
            Some(_) => false,
            // One that was emptied.
            None if info.is_control => true,
            None => info.is_transactional && self.data(info.producer_id),
        }
    }

    /// Begins what begins with this batch. What is over before it is over also where its marker is
    /// gone: retention took that, or an earlier compaction, which who listed the aborted ones need
    /// not have seen. The producer's next transaction would be taken for an aborted one.
    fn begin(&mut self, info: &BatchInfo) {
        let reaches = |entry: &AbortedTransaction| {
            entry.last_offset >= info.base_offset || planted("endless-abort")
        };
        self.aborted.retain(|_, (entry, _)| reaches(entry));
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= info.last_offset) {
            if reaches(&next) {
                self.aborted.entry(next.producer_id).or_insert((next, false));
            }
        }
    }

    fn abort(&mut self, producer: i64) -> bool {
        match self.aborted.remove(&producer) {
            Some((entry, true)) => {
                self.left.push(entry);
                false
            }
            _ => true,
        }
    }

    fn data(&mut self, producer: i64) -> bool {
        if let Some((_, seen)) = self.aborted.get_mut(&producer) {
            *seen = true;
            return true;
        }
        self.committed.insert(producer);
        false
    }

    /// The aborted transactions that ended since the last call and still have batches.
    pub(crate) fn left(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.left)
    }
}

/// Of each producer the batch that has its last sequence, or else the end of its last
/// transaction, which has its epoch.
#[derive(Debug, Default)]
pub(crate) struct LastBatches(HashMap<i64, Last>);

#[derive(Clone, Copy, Debug)]
struct Last {
    epoch: i16,
    /// `None`: it has written nothing since its epoch began.
    data: Option<i64>,
    /// Of its last batch, whatever that is.
    timestamp: Timestamp,
}

impl LastBatches {
    /// Walks over a batch.
    pub(crate) fn take(&mut self, info: &BatchInfo) {
        if info.producer_id < 0 {
            return;
        }
        let (epoch, timestamp) = (info.producer_epoch, info.max_timestamp);
        let fresh = Last { epoch, data: None, timestamp };
        let last = self.0.entry(info.producer_id).or_insert(fresh);
        if last.epoch != epoch {
            *last = fresh;
        }
        last.timestamp = timestamp;
        if !info.is_control {
            last.data = Some(info.last_offset);
        }
    }

    /// Forgets the producers that wrote nothing after `time`, as a broker does with those that have
    /// expired.
    pub(crate) fn forget_until(&mut self, time: Timestamp) {
        self.0.retain(|_, last| last.timestamp > time);
    }

    /// Whether a batch is one of them.
    pub(crate) fn holds(&self, info: &BatchInfo) -> bool {
        self.0.get(&info.producer_id).is_some_and(|last| match last.data {
            Some(offset) => info.last_offset == offset,
            None => info.is_control && info.producer_epoch == last.epoch,
        })
    }
}
