//! How many records an iteration polls at once.

/// A poll is where offsets are committed when it is time, so the records of one should not keep a
/// slow loop busy for long. Fast loops poll as many as they may.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    records: u32,
    /// When the records of the last poll came, in seconds.
    since: Option<f64>,
}

const FIRST: u32 = 32;

/// Seconds that one poll's records should last at least, and at most.
const SHORT: f64 = 0.1;
const LONG: f64 = 1.0;

impl Default for Pace {
    fn default() -> Self {
        Self { records: FIRST, since: None }
    }
}

impl Pace {
    /// How many records to poll now that those of the last poll are used up.
    pub(super) fn next(&mut self, now: f64, most: usize) -> usize {
        if let Some(since) = self.since.take() {
            self.records = adapted(self.records, now - since);
        }
        self.records = self.records.min(u32::try_from(most).unwrap_or(u32::MAX));
        self.records as usize
    }

    /// Records came.
    pub(super) fn begin(&mut self, now: f64) {
        self.since = Some(now);
    }
}

fn adapted(records: u32, lasted: f64) -> u32 {
    if lasted < SHORT {
        records.saturating_mul(2)
    } else if lasted > LONG {
        ((f64::from(records) / lasted) as u32).max(1)
    } else {
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_loop_soon_polls_as_much_as_it_may() {
        let mut pace = Pace::default();

        let polled: Vec<_> = (0..6)
            .map(|_| {
                let records = pace.next(5.0, 500);
                pace.begin(5.0);
                records
            })
            .collect();

        assert_eq!(polled, [32, 64, 128, 256, 500, 500]);
    }

    #[test]
    fn a_loop_of_a_second_a_record_polls_one_by_one() {
        let mut pace = Pace::default();
        let first = pace.next(0.0, 500);
        pace.begin(0.0);

        let second = pace.next(32.0, 500);

        assert_eq!((first, second), (32, 1));
    }
}
