//! How many readers keep the file open in which they stand.
//!
//! Who reads more partitions than a process may have open files opens it anew for each read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Readers that keep a file open, with its indexes up to three.
const MOST: usize = 128;

/// The readers of a process that may keep their files open.
#[derive(Debug, Default)]
pub(crate) struct Seats(Arc<AtomicUsize>);

/// The right to keep a file open, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seats {
    /// A free one, if there is one.
    pub(crate) fn take(&self) -> Option<Seat> {
        let more = |taken| (taken < MOST).then_some(taken + 1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| Seat(Arc::clone(&self.0)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
