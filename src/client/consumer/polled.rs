//! What a poll gives: stretches of decoded batches, not single records.

use std::sync::Arc;

use crate::coord::group::Task;
use crate::error::{AtPosition, Result};
use crate::record::{Batch, Mark, Record};
use crate::types::{TimestampType, TopicPartition};

/// What a step of polling came to. After everything but records, call `poll` again.
#[derive(Clone, Debug)]
pub enum Step {
    /// These partitions are about to be taken away; until the next call they may be committed.
    Revoked(Vec<TopicPartition>),
    /// These partitions are assigned now, perhaps beside others.
    Assigned(Vec<TopicPartition>),
    /// The membership of the group ended, so these partitions are somebody else's already: commits
    /// fail. The next call joins the group again.
    Lost(Vec<TopicPartition>),
    /// This member is to share out the group's partitions by its user's own strategy, and to
    /// answer with `Consumer::assigned`.
    Assign(Task),
    /// Records; none if the time is over.
    Records(Vec<Polled>),
    /// A signal came.
    Interrupted,
}

/// Successive records of one batch. A clone shares the bytes.
#[derive(Clone, Debug)]
pub struct Polled {
    pub(super) topic_partition: TopicPartition,
    pub(super) batch: Arc<Located>,
    pub(super) from: Mark,
    pub(super) len: usize,
    pub(super) next_offset: i64,
    /// Which fetch of the partition it is from; see `Consumer::consumed`.
    pub(super) stamp: u64,
}

/// A batch, and where it was read.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) batch: Batch,
    pub(super) path: Arc<std::path::Path>,
    pub(super) position: u64,
}

impl Polled {
    /// Where the records are from.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The leader epoch they were written in; `None` for formats that do not know it.
    pub fn leader_epoch(&self) -> Option<i32> {
        Some(self.batch.batch.info().leader_epoch).filter(|epoch| *epoch >= 0)
    }

    /// Who set their timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        self.batch.batch.info().timestamp_type
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no record; a poll never gives that.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One past the last of the records.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The batch they are in.
    pub fn batch(&self) -> &Batch {
        &self.batch.batch
    }

    /// Reads the records; an error ends them.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'_>>> {
        let Located { batch, path, position } = &*self.batch;
        let records = batch.records_at(self.from).take(self.len);
        records.map(|record| record.at_position(path, *position))
    }
}
