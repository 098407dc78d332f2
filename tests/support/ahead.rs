//! A clock that a test moves on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brokerless::env::Clock;
use brokerless::env::clock::SystemClock;
use brokerless::types::Timestamp;

/// Time as it is, and what the test has added: so nothing is late because the machine is busy.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    millis: AtomicU64,
}

impl Ahead {
    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        self.millis.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    fn added(&self) -> u64 {
        self.millis.load(Ordering::SeqCst)
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.added() as i64
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + Duration::from_millis(self.added())
    }
}
