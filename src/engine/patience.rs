//! Waiting for a lock whose holder may have been stopped: not for long.

use std::time::Duration;

use crate::env::Clock;
use crate::error::{Error, Result};

/// How often is tried; with the pauses about 100 ms.
const TRIES: u32 = 130;

/// Tries until it succeeds, for about 100 ms; then it is [`Error::Timeout`] for `what`.
pub(crate) fn until<T>(
    what: &'static str,
    clock: &dyn Clock,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    for tried in 0..TRIES {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
        pause(clock, tried);
    }
    Err(Error::Timeout { what, after: Duration::from_millis(100) })
}

/// Longer and longer, from 20 us to 1 ms.
fn pause(clock: &dyn Clock, tried: u32) {
    let micros = 20_u64 << tried.min(6);
    clock.pause(Duration::from_micros(micros.min(1000)));
}
