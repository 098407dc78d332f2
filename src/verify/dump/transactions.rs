//! What a partition keeps of producers: indexes of aborted transactions, and snapshots.

use std::path::Path;

use crate::env::Env;
use crate::error::Result;
use crate::log::producers::Producers;
use crate::log::{aborted, files};
use crate::types::Timestamp;

pub use crate::log::aborted::AbortedTransaction as Aborted;

/// What a snapshot says of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The last sequence number of its last batch.
    pub last_sequence: i32,
    /// The last offset of its last batch; -1 if it has none.
    pub last_offset: i64,
    /// Last sequence number minus the first of its last batch.
    pub offset_delta: i32,
    /// The timestamp of its last batch.
    pub timestamp: Timestamp,
    /// The epoch of who ended its last transaction.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub open_from: Option<i64>,
}

/// The entries of an index of aborted transactions, and how many bytes behind them are none.
pub fn transactions(path: &Path, env: &Env) -> Result<(Vec<Aborted>, u64)> {
    let (_, len) = super::open(&*env.storage, path)?;
    let bytes = files::read(&*env.storage, path)?.unwrap_or_default();
    let entries = aborted::parse_all(&bytes);
    let read = entries.len() * aborted::ENTRY;
    Ok((entries, len.saturating_sub(read as u64)))
}

/// The entries of a snapshot of producers, in their order; `None` if it is damaged.
pub fn snapshot(path: &Path, env: &Env) -> Result<Option<Vec<ProducerEntry>>> {
    super::open(&*env.storage, path)?;
    let bytes = files::read(&*env.storage, path)?.unwrap_or_default();
    let entries = Producers::parse_list(&bytes);
    Ok(entries.map(|entries| {
        entries
            .into_iter()
            .map(|(producer_id, it)| ProducerEntry {
                producer_id,
                epoch: it.epoch,
                last_sequence: it.last_sequence,
                last_offset: it.last_offset,
                offset_delta: it.offset_delta,
                timestamp: it.timestamp,
                coordinator_epoch: it.coordinator_epoch,
                open_from: (it.open_from >= 0).then_some(it.open_from),
            })
            .collect()
    }))
}
