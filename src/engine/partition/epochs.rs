//! Leader epochs: each crash of the machine begins one, because it may take the end of a log that
//! was read already. They tell a reader how much of what it has read is left (KIP-320).

use crate::engine::partition::Partition;
use crate::engine::{Engine, Topic};
use crate::error::Result;
use crate::log::checkpoint::LeaderEpochs;

/// How far a log agrees with one whose last record is of a certain leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The newest epoch of the log that is not newer than the one asked for.
    pub leader_epoch: i32,
    /// One past its last record.
    pub end_offset: i64,
}

impl Engine {
    /// The newest leader epoch of each partition of a topic: 0 where nobody has used it yet.
    pub fn leader_epochs(&self, topic: &Topic) -> Result<Vec<i32>> {
        let of = |number| Ok(self.partition_of(topic, number)?.published_epoch());
        (0..topic.partition_count()).map(of).collect()
    }
}

impl Partition {
    /// The newest leader epoch.
    pub fn leader_epoch(&self) -> Result<i32> {
        self.ready()?;
        Ok(self.page.leader_epoch())
    }

    /// The same without a look whether the log is in order: 0 before anybody has used it.
    pub(crate) fn published_epoch(&self) -> i32 {
        self.page.leader_epoch()
    }

    /// The leader epoch of the record at `offset`; -1 if it is not known.
    pub(crate) fn epoch_at(&self, offset: i64) -> Result<i32> {
        Ok(LeaderEpochs::read(&*self.shared.env.storage, &self.dir)?.at(offset))
    }

    /// Where the records of a leader epoch end (Kafka's `OffsetsForLeaderEpoch`). Who has read
    /// further in that epoch has read what a crash took.
    ///
    /// An epoch that the log does not know yet, of a directory that was put back from a copy,
    /// counts as its newest.
    pub fn epoch_end(&self, leader_epoch: i32) -> Result<EpochEnd> {
        let end = self.ends()?.log_end_offset;
        let newest = EpochEnd { leader_epoch: self.page.leader_epoch(), end_offset: end };
        if leader_epoch >= newest.leader_epoch {
            return Ok(newest);
        }
        let epochs = LeaderEpochs::read(&*self.shared.env.storage, &self.dir)?;
        Ok(epochs.end_of(leader_epoch).map_or(newest, |(leader_epoch, end_offset)| EpochEnd {
            leader_epoch,
            end_offset: end_offset.min(end),
        }))
    }
}
