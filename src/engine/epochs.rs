//! Leader epochs: each crash of the machine begins one, because it may take the end of a log that
//! was read already. They tell a reader how much of what it has read is left (KIP-320).

use crate::engine::partition::Partition;
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
