//! What compaction keeps of a batch (Kafka's `Cleaner.cleanInto`).
//!
//! - Of the records of one key the last one; a tombstone for a time after it was first seen, which
//!   is then written into its batch (the *delete horizon*, KIP-534).
//! - No record of an aborted transaction; the record that ends a transaction as long as there is
//!   a batch of it, and then for a time like a tombstone.
//! - The last batch of each producer that has not expired, empty if need be: it has the producer's
//!   last sequence.
//! - The last batch of what is compacted in one round, empty if need be; and the last one of a
//!   segment that takes the place of several, if without it nothing told so.
//!
//! Batches of magic 0 and 1 that must change become batches of magic 2.

use bytes::Bytes;

use crate::error::Corruption;
use crate::log::offset_map::OffsetMap;
use crate::log::transactions::{LastBatches, Transactions};
use crate::record::control::ControlType;
use crate::record::{Batch, BatchBuilder, BatchInfo, Record};
use crate::types::Timestamp;

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
    /// Whether the clock can be believed: if not, nothing is deleted by it, and no time is set.
    pub(crate) by_clock: bool,
    /// `delete.retention.ms`
    pub(crate) delete_retention: i64,
    /// A batch decompresses to at most so many bytes.
    pub(crate) max_decompressed: usize,
}

/// Decodes a batch, and says what its control record is about, if it has one.
pub(crate) fn decode(
    bytes: Bytes,
    limit: usize,
) -> Result<(Batch, Option<ControlType>), Corruption> {
    let batch = Batch::decode(bytes, limit)?;
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
        let (batch, control) = decode(bytes, self.max_decompressed)?;
        let info = batch.info();
        let over = transactions.take(info, control);
        let due = !info.is_control || self.is_past(info);
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
        last && (record.value.is_some() || !self.is_past(info))
    }

    /// Whether the time is over for which tombstones and markers of a batch are kept.
    fn is_past(&self, info: &BatchInfo) -> bool {
        info.is_past_horizon(self.now) && self.by_clock
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
            (false, true) if !self.by_clock => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::aborted::AbortedTransaction;
    use crate::record::control::EndTransactionMarker;
    use crate::record::{stamp, verify};
    use crate::types::Compression;

    const DAY: i64 = 86_400_000;

    /// A batch of producer 7 with one record, in a transaction, or the end of one.
    fn batch(offset: i64, end: Option<bool>) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None, None);
        builder.set_producer(7, 0, if end.is_some() { -1 } else { offset as i32 });
        builder.set_transactional();
        if let Some(committed) = end {
            builder.set_control();
            let marker = EndTransactionMarker { committed, coordinator_epoch: 0 };
            builder.append(1, Some(&marker.key()), Some(&marker.value()), &[]);
        } else {
            builder.append(1, Some(b"k"), Some(b"v"), &[]);
        }
        let mut bytes = builder.finish().unwrap();
        stamp(&mut bytes, offset, 0);
        bytes
    }

    /// One walk over a log: what is left of it.
    fn clean(log: &[Vec<u8>], aborted: &[AbortedTransaction], now: Timestamp) -> Vec<Vec<u8>> {
        let (mut map, mut last_batches) = (OffsetMap::new(1000), LastBatches::default());
        // A newer record has the key.
        map.put(b"k", 100);
        map.set_latest(100);
        last_batches.take(&verify(&batch(90, None)).unwrap());
        let filter = Filter {
            map: &map,
            last_batches: &last_batches,
            now,
            by_clock: true,
            delete_retention: DAY,
            max_decompressed: usize::MAX,
        };
        let mut transactions = Transactions::at(0, aborted);
        let kept = |bytes: &Vec<u8>| match filter
            .keep(Bytes::copy_from_slice(bytes), &mut transactions, false)
            .unwrap()
        {
            Kept::Nothing => None,
            Kept::Whole => Some(bytes.clone()),
            Kept::Part(part) => Some(part),
        };
        log.iter().filter_map(kept).collect()
    }

    #[test]
    fn the_end_of_a_transaction_goes_a_while_after_its_records() {
        let aborted = AbortedTransaction {
            producer_id: 7,
            first_offset: 0,
            last_offset: 1,
            last_stable_offset: 0,
        };
        for (committed, aborted) in [(true, vec![]), (false, vec![aborted])] {
            let log = [batch(0, None), batch(1, Some(committed))];

            let first = clean(&log, &aborted, 5);
            assert_eq!(first, [log[1].clone()], "the records are gone, their end stands");
            let second = clean(&first, &[], 6);
            let info = verify(&second[0]).unwrap();
            assert!(info.has_delete_horizon && info.base_timestamp == 6 + DAY);
            assert_eq!(clean(&second, &[], 5 + DAY), second, "a moment too early");

            assert_eq!(clean(&second, &[], 6 + DAY), [[0; 0]; 0]);
        }
    }

    #[test]
    fn an_aborted_transaction_whose_end_is_gone_does_not_reach_into_the_next_one() {
        let entry = |first_offset, last_offset| AbortedTransaction {
            producer_id: 7,
            first_offset,
            last_offset,
            last_stable_offset: first_offset,
        };
        // Of the first one nothing is left, or only records.
        for from in [2, 0] {
            let mut transactions = Transactions::at(0, &[entry(0, 1), entry(4, 5)]);
            let mut is_over = |offset, end: Option<bool>| {
                let control =
                    end.map(|it| if it { ControlType::Commit } else { ControlType::Abort });
                transactions.take(&verify(&batch(offset, end)).unwrap(), control)
            };
            assert!(from == 2 || is_over(0, None), "it was aborted");

            assert!(!is_over(2, None), "these records count");
            assert!(!is_over(3, Some(true)), "and are the transaction's");
            assert!(is_over(4, None), "the next one was aborted again");
            assert!(!is_over(5, Some(false)));
            assert_eq!(transactions.left(), [entry(4, 5)]);
        }
    }

    #[test]
    fn the_last_batch_of_a_producer_stays_as_an_empty_one() {
        let log = [batch(89, None), batch(90, None)];

        let left = clean(&log, &[], 5);

        let info = verify(&left[0]).unwrap();
        assert_eq!((left.len(), info.base_sequence, info.records_count), (1, 90, Some(0)));
    }
}
