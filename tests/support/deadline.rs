//! How long a test may wait.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for any machine; only a test that fails takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A moment after which nobody waits any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// Far enough for anything that works.
    pub(crate) fn far() -> Self {
        Self::after(PATIENCE)
    }

    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Time until then; zero afterwards.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(crate) fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

/// Waits until `condition` holds; panics with `what` when it never does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Deadline::far();
    while !condition() {
        assert!(!deadline.is_over(), "in vain was waited for: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
