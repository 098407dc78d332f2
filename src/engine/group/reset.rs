//! Committed offsets that are set back, or forward, by a rule.

use std::collections::HashMap;

use super::Group;
use crate::engine::{Partition, Place};
use crate::error::{Error, Result};
use crate::types::{IsolationLevel, OffsetAndMetadata, TopicPartition};

/// Where a committed offset is set to. What is not in the log becomes its nearer end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// That place; the end if there is no such record.
    At(Place),
    /// That offset; the end if it is below zero.
    Offset(i64),
    /// So many records behind what is committed now, or before it.
    Shift(i64),
}

/// What became of a committed offset.
#[derive(Debug)]
pub struct Reset {
    /// What it was to become.
    pub offset: i64,
    /// Whether that was possible.
    pub outcome: Result<()>,
}

impl Group {
    /// Sets committed offsets of a group without members; the metadata beside them stays. With
    /// `validate_only` it only tells what would be done.
    pub fn reset_offsets(
        &self,
        resets: &[(TopicPartition, ResetTo)],
        validate_only: bool,
    ) -> Result<Vec<Reset>> {
        let committed = self.engine.committed_offsets(self.id())?;
        let mut offsets = Vec::new();
        for (id, reset) in resets {
            let partition = self.engine.partition(id)?;
            let offset = find(&partition, *reset, committed.get(id))?;
            offsets.push((id.clone(), renewed(offset, id, &committed)));
        }
        let outcomes = if validate_only {
            self.may_alter(offsets.len())?
        } else {
            self.alter_offsets(&offsets)?
        };
        let resets = offsets.into_iter().zip(outcomes);
        let resets = resets.map(|((_, to), outcome)| Reset { offset: to.offset, outcome });
        Ok(resets.collect())
    }

    fn may_alter(&self, count: usize) -> Result<Vec<Result<()>>> {
        self.sweep(self.engine.env().clock.monotonic())?;
        let state = self.state()?;
        let refused = || self.unknown("it has members, and only they may commit".to_owned());
        let check = |_| state.may_commit_alone().map_err(|_| refused());
        Ok((0..count).map(check).collect())
    }
}

fn renewed(
    offset: i64,
    id: &TopicPartition,
    committed: &HashMap<TopicPartition, OffsetAndMetadata>,
) -> OffsetAndMetadata {
    let metadata = committed.get(id).map(|before| before.metadata.clone()).unwrap_or_default();
    // That of the record before is not known; a wrong one would look like a log that was cut.
    OffsetAndMetadata { offset, metadata, leader_epoch: -1 }
}

fn find(
    partition: &Partition,
    reset: ResetTo,
    committed: Option<&OffsetAndMetadata>,
) -> Result<i64> {
    let ends = partition.ends()?;
    let (start, end) = (ends.log_start_offset, ends.log_end_offset);
    let found = match reset {
        ResetTo::At(place) => {
            let found = partition.look_up(place, IsolationLevel::ReadUncommitted)?;
            found.map_or(end, |found| found.offset)
        }
        ResetTo::Offset(offset) if offset < 0 => end,
        ResetTo::Offset(offset) => offset,
        ResetTo::Shift(by) => {
            committed.ok_or_else(|| unshifted(partition))?.offset.saturating_add(by)
        }
    };
    Ok(found.clamp(start, end))
}

fn unshifted(partition: &Partition) -> Error {
    let id = partition.id();
    Error::InvalidArgument(format!("nothing is committed for {id} that could be shifted"))
}
