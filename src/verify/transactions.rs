//! What the log says of transactions, against what the transaction index says.

use std::path::Path;

use crate::env::Storage;
use crate::error::{Corruption, Result};
use crate::log::aborted::{self, AbortedTransaction};
use crate::log::producers::Producers;
use crate::record::control::EndTransactionMarker;
use crate::record::{Batch, BatchInfo};

/// The producers of a log, and the transactions of the segment that is walked over.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    pub(crate) producers: Producers,
    aborted: Vec<AbortedTransaction>,
    /// Producer and offset of each record that aborts a transaction.
    markers: Vec<(i64, i64)>,
}

impl Transactions {
    /// As they were at the newest snapshot up to `offset`.
    pub(crate) fn at(storage: &dyn Storage, dir: &Path, offset: i64) -> Result<Self> {
        let known = Producers::load(storage, dir, offset)?.filter(|(at, _)| *at == offset);
        let producers = known.map(|(_, producers)| producers).unwrap_or_default();
        Ok(Self { producers, ..Self::default() })
    }

    /// Takes in a batch. The error says what is wrong with its control record.
    pub(crate) fn take(&mut self, info: &BatchInfo, batch: &Batch) -> Result<(), Corruption> {
        let marker = if info.is_control { EndTransactionMarker::of(batch)? } else { None };
        if info.is_control && marker.is_none() {
            return Ok(());
        }
        if marker.is_some_and(|marker| !marker.committed) {
            self.markers.push((info.producer_id, info.base_offset));
        }
        self.aborted.extend(self.producers.replay(info, marker));
        Ok(())
    }

    /// Ends a segment: gives the transactions that were aborted in it.
    pub(crate) fn end_segment(&mut self) -> Vec<AbortedTransaction> {
        self.markers.clear();
        std::mem::take(&mut self.aborted)
    }

    /// What is wrong with the index of the segment that was walked over.
    pub(crate) fn disagreement(
        &self,
        storage: &dyn Storage,
        dir: &Path,
        base: i64,
        end: i64,
    ) -> Result<Option<String>> {
        let Some(entries) = aborted::read(storage, dir, base)? else {
            return Ok(Some("it is no list of transactions of its segment".to_owned()));
        };
        let entries: Vec<_> = entries.iter().filter(|entry| entry.last_offset < end).collect();
        let same = |a: &AbortedTransaction, b: &AbortedTransaction| {
            (a.producer_id, a.last_offset) == (b.producer_id, b.last_offset)
                && a.first_offset <= b.first_offset
        };
        let missing = self.aborted.iter().find(|due| !entries.iter().any(|entry| same(entry, due)));
        if let Some(missing) = missing {
            let AbortedTransaction { producer_id, last_offset, .. } = missing;
            return Ok(Some(format!(
                "the transaction of producer {producer_id} that offset {last_offset} aborts is \
                 missing: its records would count as committed"
            )));
        }
        let stray = entries
            .iter()
            .find(|entry| !self.markers.contains(&(entry.producer_id, entry.last_offset)));
        Ok(stray.map(|stray| {
            format!(
                "it says that offset {} aborts a transaction of producer {}, and it does not",
                stray.last_offset, stray.producer_id
            )
        }))
    }
}
