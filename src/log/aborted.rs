//! The transaction index: aborted transactions of a segment (Kafka's `TransactionIndex`).
//!
//! ```text
//! version i16 = 0 | producer id i64 | first offset i64 | last offset i64 | last stable offset i64
//! ```

use std::path::Path;
use std::sync::Arc;

use crate::env::{Access, File, Storage};
use crate::error::{At, Result};
use crate::log::files;
use crate::planted::planted;
use crate::record::BatchInfo;

/// One aborted transaction: what `producer_id` wrote between the two offsets does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Who wrote it.
    pub producer_id: i64,
    /// Its first record's offset.
    pub first_offset: i64,
    /// The offset of the control record that aborted it.
    pub last_offset: i64,
    /// The last stable offset when it was aborted.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    /// Whether a batch was written in this transaction.
    pub fn covers(&self, batch: &BatchInfo) -> bool {
        let offsets = self.first_offset..=self.last_offset;
        batch.is_transactional
            && batch.producer_id == self.producer_id
            && offsets.contains(&batch.base_offset)
    }
}

pub(crate) const ENTRY: usize = 2 + 4 * 8;

/// The entries of a segment's index; none if it has no index. `None` if they cannot be right: there
/// is no checksum, but each abort lies behind what it aborts, in its segment, and behind the one
/// before.
pub(crate) fn read(
    storage: &dyn Storage,
    dir: &Path,
    base: i64,
) -> Result<Option<Vec<AbortedTransaction>>> {
    let bytes = files::read(storage, &files::path(dir, base, files::TXN_INDEX))?;
    let bytes = bytes.unwrap_or_default();
    let (entries, rest) = bytes.as_chunks::<ENTRY>();
    let entries: Option<Vec<_>> = entries.iter().map(parse).collect();
    Ok(entries.filter(|entries| rest.is_empty() && are_right(entries, base)))
}

fn are_right(entries: &[AbortedTransaction], base: i64) -> bool {
    let is_right = |entry: &AbortedTransaction| {
        let AbortedTransaction { first_offset, last_offset, last_stable_offset, .. } = *entry;
        (0..last_offset).contains(&first_offset)
            && (base..files::MAX_BASE).contains(&last_offset)
            && (0..=last_offset + 1).contains(&last_stable_offset)
    };
    let ascend = |before: &AbortedTransaction, after: &AbortedTransaction| {
        before.last_offset < after.last_offset
    };
    entries.iter().all(is_right) && entries.is_sorted_by(ascend)
}

/// The entries up to the first that is none.
pub(crate) fn parse_all(bytes: &[u8]) -> Vec<AbortedTransaction> {
    bytes.as_chunks::<ENTRY>().0.iter().map_while(parse).collect()
}

/// Writes a segment's index anew; without entries there is no file. After `Ok` it survives a crash:
/// nobody would look at the segment again, and readers would be given what was aborted. So what
/// reads as it should is written too: who wrote it may have died before it was synced, or that
/// has failed.
pub(crate) fn write(
    storage: &dyn Storage,
    dir: &Path,
    base: i64,
    entries: &[AbortedTransaction],
) -> Result<()> {
    let path = files::path(dir, base, files::TXN_INDEX);
    if entries.is_empty() {
        return files::remove(storage, &path);
    }
    let bytes: Vec<u8> = entries.iter().flat_map(encode).collect();
    if planted("no-aborted-sync") {
        return files::put(storage, &path, &bytes);
    }
    files::replace(storage, &path, &bytes)
}

/// Writes an index to a path of its own, also one without entries.
pub(crate) fn write_to(
    storage: &dyn Storage,
    path: &Path,
    entries: &[AbortedTransaction],
) -> Result<Arc<dyn File>> {
    let file = storage.open(path, Access::Write).at("open", path)?;
    file.set_len(0).at("truncate", path)?;
    let bytes: Vec<u8> = entries.iter().flat_map(encode).collect();
    file.write_at(0, &bytes).at("write", path)?;
    Ok(file)
}

fn parse(entry: &[u8; ENTRY]) -> Option<AbortedTransaction> {
    let (version, fields) = entry.split_first_chunk::<2>()?;
    let number =
        |index: usize| fields.as_chunks::<8>().0.get(index).map(|b| i64::from_be_bytes(*b));
    (*version == [0, 0]).then_some(AbortedTransaction {
        producer_id: number(0)?,
        first_offset: number(1)?,
        last_offset: number(2)?,
        last_stable_offset: number(3)?,
    })
}

fn encode(entry: &AbortedTransaction) -> [u8; ENTRY] {
    let fields =
        [entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset];
    let mut bytes = [0; ENTRY];
    for (place, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_as_it_was_written() {
        let entry = AbortedTransaction {
            producer_id: 7,
            first_offset: 10,
            last_offset: 20,
            last_stable_offset: 21,
        };

        assert_eq!(parse(&encode(&entry)), Some(entry));
    }
}
