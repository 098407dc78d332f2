//! The machine's clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::Clock;
use crate::types::Timestamp;

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        timestamp(SystemTime::now())
    }

    #[cfg(target_os = "linux")]
    fn uptime(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// Time since the machine started (on Linux without the time it slept).
    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::Monotonic);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// Milliseconds since the Unix epoch; negative before it.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_millis() as Timestamp,
        Err(before) => -(before.duration().as_millis() as Timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_go_back() {
        let first = SystemClock.monotonic();
        let second = SystemClock.monotonic();

        assert!(first > Duration::ZERO);
        assert!(second >= first);
    }

    #[test]
    fn wall_clock_time_is_in_milliseconds() {
        let year_2020 = 1_577_836_800_000;
        let year_2500 = 16_725_225_600_000;

        assert!((year_2020..year_2500).contains(&SystemClock.now()));
    }

    #[test]
    fn a_time_before_the_epoch_is_negative() {
        assert_eq!(timestamp(UNIX_EPOCH - Duration::from_millis(5)), -5);
    }
}
