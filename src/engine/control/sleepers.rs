//! Those who sleep on a word until it changes, and are counted: nobody is woken where nobody
//! sleeps, which would cost a call of the system.
//!
//! Who goes to sleep counts himself and looks at the word after that; who changes the word looks at
//! the count after that. So one of them sees the other. Who died in his sleep is counted on, which
//! costs a call now and then. `tests/races` runs this file through every interleaving.

use crate::env::atomic::{AtomicU32, Ordering, fence};

/// A word to sleep on, and how many may do so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleepers<'a> {
    pub(crate) word: &'a AtomicU32,
    pub(crate) count: &'a AtomicU32,
}

impl Sleepers<'_> {
    /// The word as it is now, for who is going to sleep until it changes.
    pub(crate) fn seen(&self) -> u32 {
        self.word.load(Ordering::SeqCst)
    }

    /// Runs `sleep`, which ends when the word is not, or is no longer, what was seen.
    pub(crate) fn sleep<T>(&self, sleep: impl FnOnce(&AtomicU32) -> T) -> T {
        self.count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let slept = sleep(self.word);
        self.count.fetch_sub(1, Ordering::SeqCst);
        slept
    }

    /// Changes the word; tells whether somebody may have to be woken.
    pub(crate) fn change(&self) -> bool {
        self.word.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.count.load(Ordering::Relaxed) != 0
    }
}
