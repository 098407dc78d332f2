//! Committed offsets that are set back, or forward, by a rule.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Group, check_id};
use crate::engine::{Engine, Partition, Place};
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

type Offsets = Vec<(TopicPartition, OffsetAndMetadata)>;

impl Group {
    /// Sets committed offsets of a group without members; the metadata beside them stays.
    pub fn reset_offsets(&self, resets: &[(TopicPartition, ResetTo)]) -> Result<Vec<Reset>> {
        let offsets = self.engine.find_offsets(self.id(), resets)?;
        let outcomes = self.alter_offsets(&offsets)?;
        Ok(told(offsets, outcomes))
    }
}

impl Engine {
    /// Only tells what [`Group::reset_offsets`] would do, also where nothing may be written.
    pub fn preview_reset(
        self: &Arc<Self>,
        group: &str,
        resets: &[(TopicPartition, ResetTo)],
    ) -> Result<Vec<Reset>> {
        check_id(group)?;
        let offsets = self.find_offsets(group, resets)?;
        let state = self.state_of_group(group)?;
        let refused = |_| has_members(group);
        let outcomes = offsets.iter().map(|_| state.may_commit_alone().map_err(refused)).collect();
        Ok(told(offsets, outcomes))
    }

    fn find_offsets(&self, group: &str, resets: &[(TopicPartition, ResetTo)]) -> Result<Offsets> {
        let committed = self.committed_offsets(group)?;
        let found = resets.iter().map(|(id, reset)| {
            let offset = find(&*self.partition(id)?, *reset, committed.get(id))?;
            Ok((id.clone(), renewed(offset, id, &committed)))
        });
        found.collect()
    }
}

fn has_members(group: &str) -> Error {
    let why = "it has members, and only they may commit".to_owned();
    Error::UnknownMemberId { group: group.to_owned(), why }
}

fn told(offsets: Offsets, outcomes: Vec<Result<()>>) -> Vec<Reset> {
    let resets = offsets.into_iter().zip(outcomes);
    resets.map(|((_, to), outcome)| Reset { offset: to.offset, outcome }).collect()
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
