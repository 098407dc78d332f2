//! What a consumer counts; the names are Kafka's.
#![allow(clippy::cast_precision_loss)] // Metrics are floating-point numbers, in Kafka too.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::consumer::polled::Polled;

/// Counts of one consumer.
#[derive(Debug, Default)]
pub(super) struct ConsumerMetrics {
    records: AtomicU64,
    bytes: AtomicU64,
    polls: AtomicU64,
    commits: AtomicU64,
}

impl ConsumerMetrics {
    /// A poll gave records; `bytes` were read for it.
    pub(super) fn took(&self, polled: &[Polled], bytes: usize) {
        let records: usize = polled.iter().map(Polled::len).sum();
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// Offsets were committed.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// The present values; averages are over the consumer's life.
    pub(super) fn values(&self) -> Vec<(&'static str, f64)> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let (records, polls) = (load(&self.records), load(&self.polls));
        vec![
            ("records-consumed-total", records),
            ("bytes-consumed-total", load(&self.bytes)),
            ("fetch-total", polls),
            ("records-per-request-avg", if polls == 0.0 { 0.0 } else { records / polls }),
            ("commit-total", load(&self.commits)),
        ]
    }
}
