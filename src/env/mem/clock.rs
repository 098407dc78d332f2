//! A clock that stands until it is moved.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Clock;
use crate::types::Timestamp;

/// Noon of the first day of 2024, UTC.
const START: Timestamp = 1_704_110_400_000;

/// A clock that tests move.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// Nanoseconds.
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock at noon of the first day of 2024.
    pub fn new() -> Self {
        Self { now: AtomicI64::new(START), monotonic: AtomicU64::new(0) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
        self.monotonic.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Lets the wall clock jump; monotonic time stands.
    pub fn set_now(&self, now: Timestamp) {
        self.now.store(now, Ordering::Relaxed);
    }
}

impl Clone for ManualClock {
    /// A second clock that shows the same time.
    fn clone(&self) -> Self {
        Self {
            now: AtomicI64::new(self.now()),
            monotonic: AtomicU64::new(self.monotonic.load(Ordering::Relaxed)),
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.now.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_advance_together() {
        let clock = ManualClock::new();

        clock.advance(Duration::from_millis(1500));

        assert_eq!(clock.now(), START + 1500);
        assert_eq!(clock.monotonic(), Duration::from_millis(1500));
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_no_passing_of_time() {
        let clock = ManualClock::new();

        clock.set_now(7);

        assert_eq!(clock.now(), 7);
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }
}
