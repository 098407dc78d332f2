//! What compaction keeps of a batch (Kafka's `Cleaner.cleanInto`).
//!
//! - Of the records of one key the last one; a tombstone for a time after it was first seen, which
//!   is then written into its batch (the *delete horizon*, KIP-534).
//! - No record of an aborted transaction; the record that ends a transaction as long as there is
//!   a batch of it, and then for a time like a tombstone.
//! - The last batch of each producer, empty if need be: it has the producer's last sequence.
//! - The last batch of each segment that is written, empty if need be: it says where the log went
//!   on.
//!
//! Batches of magic 0 and 1 that must change become batches of magic 2.

use bytes::Bytes;

use crate::error::Corruption;
use crate::log::offset_map::OffsetMap;
use crate::log::transactions::{LastBatches, Transactions};
use crate::record::control::ControlType;
use crate::record::{Batch, BatchBuilder, BatchInfo, Record};
use crate::types::Timestamp;

/// A batch decompresses to no more than this.
const LIMIT: usize = 1 << 30;

/// What is left of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// The batch itself.
    Whole,
    /// Another batch in its place.
    Part(Vec<u8>),
}

/// Decides what is kept.
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) map: &'a OffsetMap,
    pub(crate) last_batches: &'a LastBatches,
    pub(crate) now: Timestamp,
    /// `delete.retention.ms`
    pub(crate) delete_retention: i64,
}

/// Decodes a batch, and says what its control record is about, if it has one.
pub(crate) fn decode(bytes: Bytes) -> Result<(Batch, Option<ControlType>), Corruption> {
    let batch = Batch::decode(bytes, LIMIT)?;
    let mut control = None;
    if batch.info().is_control
        && let Some(record) = batch.records().next().transpose()?
    {
        control = Some(ControlType::parse(record.key.unwrap_or_default())?);
    }
    Ok((batch, control))
}

impl Filter<'_> {
    /// What is left of the next batch of the log. One that is `needed` is left as an empty one at
    /// least.
    pub(crate) fn keep(
        &self,
        bytes: Bytes,
        transactions: &mut Transactions,
        needed: bool,
    ) -> Result<Kept, Corruption> {
        let (batch, control) = decode(bytes)?;
        let info = batch.info();
        let over = transactions.take(info, control);
        let due = !info.is_control || (info.has_delete_horizon && info.base_timestamp <= self.now);
        let (mut kept, mut count) = (Vec::new(), 0);
        if !(over && due) {
            for record in batch.records() {
                let record = record?;
                count += 1;
                if info.is_control || self.keeps(info, &record) {
                    kept.push(record);
                }
            }
        }
        let empty = needed || self.last_batches.holds(info);
        match kept.as_slice() {
            [] if empty => Ok(Kept::Part(BatchBuilder::emptied(info))),
            [] => Ok(Kept::Nothing),
            kept => self.rewrite(info, kept, kept.len() == count, over && info.is_control),
        }
    }

    fn keeps(&self, info: &BatchInfo, record: &Record<'_>) -> bool {
        if record.offset > self.map.latest() {
            return true;
        }
        // A record without a key has no place in a compacted log.
        let Some(key) = record.key else { return false };
        let last = self.map.get(key).is_none_or(|last| record.offset >= last);
        let over = info.has_delete_horizon && info.base_timestamp <= self.now;
        last && (record.value.is_some() || !over)
    }

    /// The batch with the records that are kept. The time of what must go later is set once.
    fn rewrite(
        &self,
        info: &BatchInfo,
        kept: &[Record<'_>],
        all: bool,
        goes_later: bool,
    ) -> Result<Kept, Corruption> {
        let goes_later = goes_later || kept.iter().any(|record| record.value.is_none());
        let horizon = match (info.has_delete_horizon, goes_later) {
            (true, _) => Some(info.base_timestamp),
            (false, true) => Some(self.now.saturating_add(self.delete_retention)),
            (false, false) => None,
        };
        if all && info.has_delete_horizon == horizon.is_some() {
            return Ok(Kept::Whole);
        }
        let mut builder = BatchBuilder::retaining(info, kept[0].offset, horizon);
        for record in kept {
            builder.retain(record);
        }
        builder.finish().map(Kept::Part)
    }
}
