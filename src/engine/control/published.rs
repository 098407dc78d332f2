//! A few words that change in one step for who reads them, without a lock.
//!
//! There are two slots. The sequence says which is valid; a new value goes into the other one. A
//! reader that finds the sequence moved on has perhaps read a slot that was written again.
//!
//! `tests/races` runs this file through every interleaving.

use crate::env::atomic::{AtomicU64, Ordering, fence};
use crate::env::point::point;

/// Where a value is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published<'a> {
    /// Grows by one with each value.
    pub(crate) sequence: &'a AtomicU64,
    /// Of as many words each as the value has.
    pub(crate) slots: [&'a [AtomicU64]; 2],
}

impl Published<'_> {
    /// The value that was published last.
    pub(crate) fn get<const WORDS: usize>(&self) -> [u64; WORDS] {
        loop {
            let sequence = self.sequence.load(Ordering::Acquire);
            let slot = self.slots[(sequence & 1) as usize];
            let words = std::array::from_fn(|index| slot[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            // The slot is written again only after the sequence has moved on.
            if self.sequence.load(Ordering::Relaxed) == sequence {
                return words;
            }
        }
    }

    /// Makes `words` the value. One at a time: the caller has a lock.
    pub(crate) fn set<const WORDS: usize>(&self, words: [u64; WORDS]) {
        let sequence = self.sequence.load(Ordering::Relaxed).wrapping_add(1);
        let slot = self.slots[(sequence & 1) as usize];
        // A reader that sees one of the words below must see that the sequence moved on before.
        fence(Ordering::Release);
        for (index, word) in words.into_iter().enumerate() {
            slot[index].store(word, Ordering::Relaxed);
        }
        point("page.stored");
        self.sequence.store(sequence, Ordering::Release);
    }
}
