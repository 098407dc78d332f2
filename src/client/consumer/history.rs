//! Whether a position still is in the history of its log (KIP-320).
//!
//! A crash of the machine may take the end of a log. What is appended then has the offsets of what
//! was lost, so a reader that was further must go back to where what it has read ends. Its leader
//! epoch tells it: the log begins a new one after each crash.

use std::sync::Arc;

use crate::client::consumer::Consumer;
use crate::client::consumer::assignment::Position;
use crate::config::consumer::OffsetReset;
use crate::engine::Partition;
use crate::error::{Error, Result};
use crate::planted::planted;
use crate::types::TopicPartition;

/// A position that was not compared yet with the log as it is now.
struct Doubtful {
    partition: Arc<Partition>,
    position: Position,
}

impl Consumer {
    /// Takes positions back that lie behind what is left of what was read.
    pub(super) fn validate_positions(&self) -> Result<()> {
        for Doubtful { partition, position } in self.doubtful_positions()? {
            match self.validate(&partition, position) {
                // The next look at the topics says more.
                Ok(()) | Err(Error::UnknownTopicOrPartition(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn doubtful_positions(&self) -> Result<Vec<Doubtful>> {
        let state = self.state()?;
        let doubtful = state.assignment.iter().filter(|assigned| assigned.is_doubtful());
        let doubtful = doubtful.filter_map(|assigned| {
            let partition = Arc::clone(assigned.partition.as_ref()?);
            Some(Doubtful { partition, position: assigned.position.ok()? })
        });
        Ok(doubtful.collect())
    }

    fn validate(&self, partition: &Partition, position: Position) -> Result<()> {
        let epoch = partition.leader_epoch()?;
        let valid = self.within_history(partition, position)?;
        let mut state = self.state()?;
        let assigned = state.assignment.get_mut(partition.id());
        // Unless the user went elsewhere meanwhile.
        if let Some(assigned) = assigned.filter(|assigned| assigned.position == Ok(position)) {
            if valid != position {
                assigned.seek(Ok(valid));
            }
            assigned.validated = Some(epoch);
        }
        Ok(())
    }

    /// The position, or where the log ends that led to it.
    pub(super) fn within_history(
        &self,
        partition: &Partition,
        position: Position,
    ) -> Result<Position> {
        let Position { offset, leader_epoch } = position;
        if leader_epoch < 0 || planted("no-validation") {
            return Ok(position);
        }
        let end = partition.epoch_end(leader_epoch)?;
        if offset <= end.end_offset {
            return Ok(position);
        }
        let partition = partition.id().clone();
        if self.config.auto_offset_reset == OffsetReset::None {
            let (end, end_epoch) = (end.end_offset, end.leader_epoch);
            return Err(Error::LogTruncation { partition, offset, leader_epoch, end, end_epoch });
        }
        note_truncation(&partition, position, end.end_offset);
        Ok(Position { offset: end.end_offset, leader_epoch: end.leader_epoch })
    }

    /// The same for an offset that the group committed: it was once in the log, also where no
    /// epoch came with it.
    pub(super) fn committed_within(
        &self,
        partition: &Partition,
        position: Position,
    ) -> Result<Position> {
        let end = partition.ends()?.log_end_offset;
        let strict = self.config.auto_offset_reset == OffsetReset::None;
        if position.leader_epoch >= 0 || position.offset <= end || strict {
            return self.within_history(partition, position);
        }
        note_truncation(partition.id(), position, end);
        Ok(Position { offset: end, leader_epoch: -1 })
    }
}

fn note_truncation(id: &TopicPartition, position: Position, end: i64) {
    let Position { offset, leader_epoch } = position;
    log::warn!(
        "{id} was read up to offset {offset} (leader epoch {leader_epoch}), but a crash left of \
         that only what is below offset {end}: reading goes on there"
    );
}
