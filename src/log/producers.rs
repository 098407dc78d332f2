//! What a log remembers of idempotent and transactional producers (Kafka's
//! `ProducerStateManager`), and the snapshots it keeps of that.
//!
//! ```text
//! version i16 = 1 | crc32c u32 of what follows | count i32 | entries of 46 bytes:
//! producer id i64 | epoch i16 | last sequence i32 | last offset i64 | offset delta i32
//! | timestamp i64 | coordinator epoch i32 | first offset of the open transaction i64
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use crate::env::Storage;
use crate::error::Result;
use crate::log::aborted::AbortedTransaction;
use crate::log::files;
use crate::record::BatchInfo;
use crate::record::control::EndTransactionMarker;
use crate::types::Timestamp;

/// What is known of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    /// Last sequence minus first of the last batch.
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: Timestamp,
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction began, or -1.
    pub(crate) open_from: i64,
}

/// The producers of one log up to some offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers(BTreeMap<i64, Producer>);

const VERSION: [u8; 2] = [0, 1];
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

impl Producers {
    /// Takes in one batch of the log; `control` is what a control batch says. Gives the
    /// transaction that it aborts, if it does.
    pub(crate) fn replay(
        &mut self,
        info: &BatchInfo,
        control: Option<EndTransactionMarker>,
    ) -> Option<AbortedTransaction> {
        if info.producer_id < 0 {
            return None;
        }
        if let Some(marker) = control {
            return self.end(info, marker);
        }
        self.data(info);
        None
    }

    fn data(&mut self, info: &BatchInfo) {
        let producer = self.entry(info);
        // Not the number of records: compaction takes some and leaves the offsets.
        let delta = (info.last_offset - info.base_offset) as i32;
        producer.last_sequence = info.base_sequence.wrapping_add(delta) & i32::MAX;
        producer.last_offset = info.last_offset;
        producer.offset_delta = delta;
        producer.timestamp = info.max_timestamp;
        if info.is_transactional && producer.open_from < 0 {
            producer.open_from = info.base_offset;
        }
    }

    fn end(
        &mut self,
        info: &BatchInfo,
        marker: EndTransactionMarker,
    ) -> Option<AbortedTransaction> {
        let producer = self.entry(info);
        let first_offset = std::mem::replace(&mut producer.open_from, -1);
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.timestamp = info.max_timestamp;
        let aborted = !marker.committed && first_offset >= 0;
        aborted.then(|| AbortedTransaction {
            producer_id: info.producer_id,
            first_offset,
            last_offset: info.base_offset,
            last_stable_offset: self.first_unstable_offset().unwrap_or(info.next_offset()),
        })
    }

    fn entry(&mut self, info: &BatchInfo) -> &mut Producer {
        let producer = self.0.entry(info.producer_id).or_insert(Producer {
            epoch: info.producer_epoch,
            last_sequence: -1,
            last_offset: -1,
            offset_delta: 0,
            timestamp: info.max_timestamp,
            coordinator_epoch: -1,
            open_from: -1,
        });
        producer.epoch = info.producer_epoch;
        producer
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the oldest open transaction begins.
    pub(crate) fn first_unstable_offset(&self) -> Option<i64> {
        self.0.values().map(|producer| producer.open_from).filter(|from| *from >= 0).min()
    }

    /// The newest readable snapshot at or below `offset`, and the offset it was taken at.
    pub(crate) fn load(
        storage: &dyn Storage,
        dir: &Path,
        offset: i64,
    ) -> Result<Option<(i64, Self)>> {
        Self::newest(storage, dir, &files::offsets(storage, dir, files::SNAPSHOT)?, offset)
    }

    /// The same where it is known which snapshots there are, ascending.
    pub(crate) fn newest(
        storage: &dyn Storage,
        dir: &Path,
        snapshots: &[i64],
        offset: i64,
    ) -> Result<Option<(i64, Self)>> {
        for at in snapshots.iter().rev().copied().filter(|at| *at <= offset) {
            let bytes = files::read(storage, &files::path(dir, at, files::SNAPSHOT))?;
            if let Some(producers) = bytes.and_then(|bytes| Self::parse(&bytes)) {
                return Ok(Some((at, producers)));
            }
        }
        Ok(None)
    }

    /// Keeps a snapshot of the producers as they are at `offset`.
    pub(crate) fn save(&self, storage: &dyn Storage, dir: &Path, offset: i64) -> Result<()> {
        files::replace(storage, &files::path(dir, offset, files::SNAPSHOT), &self.encode())
    }

    /// Reads a snapshot; `None` if it is damaged.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse_list(bytes).map(|entries| Self(entries.into_iter().collect()))
    }

    /// The same, in the order of the file.
    pub(crate) fn parse_list(bytes: &[u8]) -> Option<Vec<(i64, Producer)>> {
        let (version, rest) = bytes.split_first_chunk::<2>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        if *version != VERSION || crc32c::crc32c(rest) != u32::from_be_bytes(*crc) {
            return None;
        }
        let (count, entries) = rest.split_first_chunk::<4>()?;
        let (entries, over) = entries.as_chunks::<ENTRY>();
        let whole =
            over.is_empty() && usize::try_from(i32::from_be_bytes(*count)) == Ok(entries.len());
        whole.then(|| entries.iter().map(parse_entry).collect())
    }

    /// The bytes of a snapshot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let count = i32::try_from(self.0.len()).expect("fewer producers than 2^31");
        let mut entries = count.to_be_bytes().to_vec();
        for (id, producer) in &self.0 {
            entries.extend_from_slice(&id.to_be_bytes());
            entries.extend_from_slice(&producer.epoch.to_be_bytes());
            entries.extend_from_slice(&producer.last_sequence.to_be_bytes());
            entries.extend_from_slice(&producer.last_offset.to_be_bytes());
            entries.extend_from_slice(&producer.offset_delta.to_be_bytes());
            entries.extend_from_slice(&producer.timestamp.to_be_bytes());
            entries.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
            entries.extend_from_slice(&producer.open_from.to_be_bytes());
        }
        let crc = crc32c::crc32c(&entries).to_be_bytes();
        [&VERSION[..], &crc, &entries].concat()
    }
}

fn parse_entry(entry: &[u8; ENTRY]) -> (i64, Producer) {
    let mut rest = &entry[..];
    let mut number = |bytes: usize| {
        let (field, after) = rest.split_at(bytes);
        rest = after;
        let sign = if field[0] & 0x80 == 0 { 0_i64 } else { -1 };
        field.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
    };
    let id = number(8);
    let producer = Producer {
        epoch: number(2) as i16,
        last_sequence: number(4) as i32,
        last_offset: number(8),
        offset_delta: number(4) as i32,
        timestamp: number(8),
        coordinator_epoch: number(4) as i32,
        open_from: number(8),
    };
    (id, producer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn producers() -> Producers {
        let producer = Producer {
            epoch: 3,
            last_sequence: 41,
            last_offset: 1 << 40,
            offset_delta: 1,
            timestamp: 1_700_000_000_000,
            coordinator_epoch: -1,
            open_from: 12,
        };
        Producers(BTreeMap::from([(5, producer), (9, Producer { open_from: -1, ..producer })]))
    }

    #[test]
    fn a_snapshot_reads_as_it_was_written() {
        assert_eq!(Producers::parse(&producers().encode()), Some(producers()));
        assert_eq!(producers().first_unstable_offset(), Some(12));
    }

    #[test]
    fn a_snapshot_with_a_flipped_bit_is_refused() {
        let bytes = producers().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Producers::parse(&bad), None, "bit {bit}");
        }
    }
}
