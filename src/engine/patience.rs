//! Waiting for a lock whose holder may have been stopped: not for ever.
//!
//! No lock of the system can be waited for with a limit. So it is tried, and tried again; after
//! the limit the call fails with [`Error::Timeout`], and nothing has happened.

use std::cell::Cell;
use std::time::Duration;

use crate::env::Clock;
use crate::error::{Error, Result};

/// How often is tried for a lock that holds up a whole group; with the pauses about 100 ms.
const TRIES: u32 = 130;

/// Kafka's `request.timeout.ms`.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

thread_local! {
    static LIMIT: Cell<Duration> = const { Cell::new(REQUEST_TIMEOUT) };
}

/// Runs `work`, in which this thread waits at most `limit` for a lock that another process has;
/// elsewhere it waits 30 s. The limit of one around it holds too.
pub fn with_patience<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    struct Restore(Duration);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let before = LIMIT.get();
    LIMIT.set(limit.min(before));
    let _restore = Restore(before);
    work()
}

/// How long this thread waits for such a lock.
pub(crate) fn limit() -> Duration {
    LIMIT.get()
}

/// A wait that ends when this thread's patience does.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    clock: &'a dyn Clock,
    what: &'static str,
    limit: Duration,
    began: Duration,
    /// Time slept, also where the clock stands still.
    slept: Duration,
    naps: u32,
}

impl<'a> Patience<'a> {
    /// Begins to wait for `what`.
    pub(crate) fn new(what: &'static str, clock: &'a dyn Clock) -> Self {
        let (limit, began) = (limit(), clock.monotonic());
        Self { clock, what, limit, began, slept: Duration::ZERO, naps: 0 }
    }

    /// Runs `nap`, which sleeps at most as long as it is told and says whether it did so to the
    /// end: longer and longer, from 20 us to 5 ms. [`Error::Timeout`] when patience has ended.
    pub(crate) fn nap(&mut self, nap: impl FnOnce(&dyn Clock, Duration) -> bool) -> Result<()> {
        let spent = self.slept.max(self.clock.monotonic().saturating_sub(self.began));
        let left = self.limit.saturating_sub(spent);
        if left.is_zero() {
            return Err(Error::Timeout { what: self.what, after: self.limit });
        }
        let time = Duration::from_micros((20 << self.naps.min(8)).min(5_000)).min(left);
        self.naps += 1;
        if nap(self.clock, time) {
            self.slept += time;
        }
        Ok(())
    }
}

/// Tries until it succeeds or this thread's patience ends.
pub(crate) fn long<T>(
    what: &'static str,
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let mut patience = Patience::new(what, clock);
    loop {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        patience.nap(|clock, time| {
            clock.pause(time);
            true
        })?;
    }
}

/// Tries until it succeeds, for about 100 ms or as long as this thread's patience; then it is
/// [`Error::Timeout`] for `what`.
pub(crate) fn until<T>(
    what: &'static str,
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let (limit, mut slept) = (limit(), Duration::ZERO);
    for tried in 0..TRIES {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        if slept >= limit {
            break;
        }
        slept += pause(clock, tried);
    }
    Err(Error::Timeout { what, after: limit.min(Duration::from_millis(100)) })
}

/// Longer and longer, from 20 us to 1 ms; gives how long.
fn pause(clock: &dyn Clock, tried: u32) -> Duration {
    let time = Duration::from_micros((20_u64 << tried.min(6)).min(1000));
    clock.pause(time);
    time
}
