//! What a producer counts; the names are Kafka's.
#![allow(clippy::cast_precision_loss)] // Metrics are floating-point numbers, in Kafka too.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one producer, added up batch by batch.
#[derive(Debug, Default)]
pub(super) struct ProducerMetrics {
    records: AtomicU64,
    batches: AtomicU64,
    uncompressed: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
}

impl ProducerMetrics {
    /// A batch was appended.
    pub(super) fn sent(&self, records: i32, uncompressed: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.uncompressed.fetch_add(uncompressed as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Records failed.
    pub(super) fn failed(&self, records: i32) {
        self.errors.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// The present values; averages are over the producer's life.
    pub(super) fn values(&self, limit: usize, used: usize) -> Vec<(&'static str, f64)> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let (records, batches) = (load(&self.records), load(&self.batches));
        let (uncompressed, bytes) = (load(&self.uncompressed), load(&self.bytes));
        vec![
            ("record-send-total", records),
            ("record-error-total", load(&self.errors)),
            ("byte-total", bytes),
            ("request-total", batches),
            ("batch-size-avg", average(bytes, batches)),
            ("records-per-request-avg", average(records, batches)),
            ("record-size-avg", average(uncompressed, records)),
            ("compression-rate-avg", average(bytes, uncompressed)),
            ("buffer-total-bytes", limit as f64),
            ("buffer-available-bytes", limit.saturating_sub(used) as f64),
        ]
    }
}

fn average(sum: f64, count: f64) -> f64 {
    if count == 0.0 { 0.0 } else { sum / count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_over_all_batches() {
        let metrics = ProducerMetrics::default();
        metrics.sent(1, 100, 100);
        metrics.sent(3, 300, 100);

        let values = metrics.values(1_000, 400);
        let value = |name| values.iter().find(|(n, _)| *n == name).unwrap().1;

        assert!((value("record-send-total") - 4.0).abs() < f64::EPSILON);
        assert!((value("records-per-request-avg") - 2.0).abs() < f64::EPSILON);
        assert!((value("compression-rate-avg") - 0.5).abs() < f64::EPSILON);
        assert!((value("buffer-available-bytes") - 600.0).abs() < f64::EPSILON);
    }

    #[test]
    fn nothing_sent_has_averages_of_zero() {
        let values = ProducerMetrics::default().values(0, 0);

        assert!(values.iter().all(|(_, value)| *value == 0.0));
    }
}
