//! Who wants to hear of the next append to a partition: a bit for each doorbell.
//!
//! A reader watches and looks at the end of the log after that; a writer publishes the end and
//! looks at the bits after that. So one of them sees the other. `tests/races` runs this file
//! through every interleaving.

use crate::env::atomic::{AtomicU64, Ordering, fence};

/// Asks for the next ring of `bell`. What the caller reads after it is not older than it.
pub(crate) fn watch(subscribers: &AtomicU64, bell: u64) {
    let bit = 1 << bell;
    if subscribers.load(Ordering::Relaxed) & bit == 0 {
        subscribers.fetch_or(bit, Ordering::SeqCst);
    }
    fence(Ordering::SeqCst);
}

/// The bells to ring, once; the end of the log was published before. It costs no write when
/// nobody listens.
pub(crate) fn take(subscribers: &AtomicU64) -> u64 {
    fence(Ordering::SeqCst);
    if subscribers.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    subscribers.swap(0, Ordering::SeqCst)
}
