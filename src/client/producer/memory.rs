//! `buffer.memory`: how many bytes of records may wait for their delivery.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Buffers kept for reuse, and the largest that is worth keeping.
const SPARE_BUFFERS: usize = 8;
const SPARE_BYTES: usize = 1 << 20;

/// What is taken at once, where memory is plentiful.
const STEP: usize = 4096;

/// A number of bytes that is lent and given back.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    used: AtomicUsize,
    /// Changes whenever memory is given back while somebody waits for it.
    word: AtomicU32,
    waiting: AtomicU32,
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            word: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            spare: Mutex::default(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Makes sure that there are `need` bytes beside the `room` that was taken before and is not
    /// used yet. Gives how many it took: some more than needed, to be asked less often.
    pub(super) fn take_for(&self, need: usize, room: usize) -> Option<usize> {
        if need <= room {
            return Some(0);
        }
        let least = need - room;
        let ample = least.max(STEP);
        let steps = if ample < self.limit / 8 { [ample, least] } else { [least, least] };
        steps.into_iter().find(|&bytes| self.take(bytes))
    }

    /// Takes `bytes` if there are so many.
    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Gives `bytes` back. Wakes those who wait; no system call when nobody does.
    pub(super) fn give_back(&self, bytes: usize) {
        // SeqCst, here and in `wait`: either the waiter sees the memory or we see the waiter.
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.is_short() {
            self.word.fetch_add(1, Ordering::SeqCst);
            crate::env::wake::wake_all(&self.word);
        }
    }

    /// Whether somebody waits for memory, so that no batch may linger.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Registers a waiter, until the guard is dropped.
    pub(super) fn wait(&self) -> Waiter<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiter(self)
    }

    /// An empty buffer, perhaps one of earlier use.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let spare = self.spare.try_lock().ok().and_then(|mut spare| spare.pop());
        spare.unwrap_or_default()
    }

    /// Keeps a buffer for reuse.
    pub(super) fn recycle(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES {
            spare.push(buffer);
        }
    }
}

/// One who waits for memory.
#[derive(Debug)]
pub(super) struct Waiter<'a>(&'a Memory);

impl Waiter<'_> {
    /// The word to sleep on; read its value, look for memory again, then sleep.
    pub(super) fn word(&self) -> &AtomicU32 {
        &self.0.word
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_lent_than_there_is() {
        let memory = Memory::new(100);

        assert!(memory.take(60));
        assert!(!memory.take(41));
        assert!(memory.take(40));
        memory.give_back(60);
        assert!(memory.take(60));
    }

    #[test]
    fn memory_is_taken_in_steps_while_it_is_plentiful() {
        let memory = Memory::new(100_000);

        assert_eq!(memory.take_for(100, 0), Some(STEP));
        assert_eq!(memory.take_for(100, 100), Some(0));
        assert!(memory.take(100_000 - STEP - 150));
        assert_eq!(memory.take_for(150, 50), Some(100));
        assert_eq!(memory.take_for(100, 0), None);
        assert_eq!(Memory::new(1_000).take_for(100, 0), Some(100));
    }

    #[test]
    fn giving_back_changes_the_word_only_for_a_waiter() {
        let memory = Memory::new(10);
        assert!(memory.take(10));
        memory.give_back(5);
        assert_eq!(memory.word.load(Ordering::SeqCst), 0);

        let waiter = memory.wait();
        memory.give_back(5);

        assert_eq!(waiter.word().load(Ordering::SeqCst), 1);
        assert!(memory.is_short());
        drop(waiter);
        assert!(!memory.is_short());
    }
}
