//! How a waiting reader hears of an append in any process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::control::Control;
use crate::engine::control::subscribers;
use crate::engine::partition::Partition;
use crate::env::Clock;
use crate::env::wake::{self, Woken};

/// No wait is longer: a process may die between an append and its ring.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The one word that the readers of a process wait on, whatever they read.
///
/// Take the [`value`](Self::value), [`watch`](Self::watch) each partition, look at the ends once
/// more, and only then [`wait`](Self::wait): an append after the look changes the value.
#[derive(Clone, Debug)]
pub struct Doorbell {
    control: Arc<Control>,
    clock: Arc<dyn Clock>,
    bell: u64,
}

impl Doorbell {
    pub(crate) fn new(control: Arc<Control>, clock: Arc<dyn Clock>) -> Self {
        let bell = control.next_bell();
        Self { control, clock, bell }
    }

    /// Which of the directory's doorbells it is.
    pub(crate) fn number(&self) -> u64 {
        self.bell
    }

    /// What to give to [`wait`](Self::wait).
    pub fn value(&self) -> u32 {
        self.control.bell(self.bell).load(Ordering::Acquire)
    }

    /// Asks for a ring at the next append to `partition`; good for one ring.
    pub fn watch(&self, partition: &Partition) {
        subscribers::watch(partition.subscribers(), self.bell);
    }

    /// Sleeps until the bell is rung after `seen` was taken, a signal comes, or the time is over:
    /// `timeout`, but at most 100 ms.
    pub fn wait(&self, seen: u32, timeout: Duration) -> Woken {
        self.clock.wait(self.control.bell(self.bell), seen, timeout.min(LONGEST_WAIT))
    }

    /// Wakes every reader of this process.
    pub fn ring(&self) {
        ring(&self.control, self.bell);
    }
}

/// Rings for all who watch. It costs no system call when nobody does.
pub(crate) fn ring_all(control: &Control, subscribers: &AtomicU64) {
    let mut bells = subscribers::take(subscribers);
    while bells != 0 {
        ring(control, u64::from(bells.trailing_zeros()));
        bells &= bells - 1;
    }
}

/// Rings for the readers of one process.
pub(crate) fn ring(control: &Control, bell: u64) {
    let word = control.bell(bell);
    word.fetch_add(1, Ordering::SeqCst);
    wake::wake_all(word);
}
