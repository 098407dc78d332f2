//! Mapped parts of a file.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::env::{Map, map};

/// Where a map may begin.
pub(super) const UNIT: u64 = 64 * 1024;

const WORD: u64 = 8;

/// A range of a file whose live bytes are shared memory.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) position: u64,
    words: usize,
    memory: Arc<dyn Map>,
}

impl Region {
    /// `bytes` are what the file holds there.
    pub(super) fn new(position: u64, words: usize, bytes: &[u8]) -> Self {
        let region = Self { position, words, memory: map::heap(words) };
        region.store(position, bytes);
        region
    }

    pub(super) fn end(&self) -> u64 {
        self.position + self.words as u64 * WORD
    }

    /// That range as a map, if it lies inside.
    pub(super) fn view(&self, position: u64, words: usize) -> Option<View> {
        let start = usize::try_from(position.checked_sub(self.position)? / WORD).ok()?;
        let inside = start.checked_add(words).is_some_and(|end| end <= self.words);
        inside.then(|| View { memory: Arc::clone(&self.memory), start, words })
    }

    /// Copies what lies inside to its place in `buf`, which begins at `position` of the file.
    pub(super) fn load(&self, position: u64, buf: &mut [u8]) {
        self.each(position, buf.len(), |word, of_word, of_bytes| {
            let word = word.load(Ordering::Acquire).to_ne_bytes();
            buf[of_bytes].copy_from_slice(&word[of_word]);
        });
    }

    /// The other way round.
    pub(super) fn store(&self, position: u64, bytes: &[u8]) {
        self.each(position, bytes.len(), |word, of_word, of_bytes| {
            let mut changed = word.load(Ordering::Acquire).to_ne_bytes();
            changed[of_word].copy_from_slice(&bytes[of_bytes]);
            word.store(u64::from_ne_bytes(changed), Ordering::Release);
        });
    }

    pub(super) fn copy(&self) -> Self {
        let memory = map::heap(self.words);
        for (to, from) in memory.words().iter().zip(self.memory.words()) {
            to.store(from.load(Ordering::Acquire), Ordering::Release);
        }
        Self { position: self.position, words: self.words, memory }
    }

    /// Calls `with` for each word that holds bytes of the `len` at `position` of the file: which of
    /// its bytes they are, and which of those.
    fn each(
        &self,
        position: u64,
        len: usize,
        mut with: impl FnMut(&AtomicU64, Range<usize>, Range<usize>),
    ) {
        let (start, end) = (position.max(self.position), (position + len as u64).min(self.end()));
        if start >= end {
            return;
        }
        let first = (start - self.position) / WORD;
        let words = &self.memory.words()[first as usize..];
        let mut at = self.position + first * WORD;
        for word in words.iter().take((end - at).div_ceil(WORD) as usize) {
            let (from, to) = (start.max(at), end.min(at + WORD));
            let of_bytes = (from - position) as usize..(to - position) as usize;
            with(word, (from - at) as usize..(to - at) as usize, of_bytes);
            at += WORD;
        }
    }
}

/// A part of a region, as one process has it mapped.
#[derive(Debug)]
pub(super) struct View {
    memory: Arc<dyn Map>,
    start: usize,
    words: usize,
}

impl Map for View {
    fn words(&self) -> &[AtomicU64] {
        &self.memory.words()[self.start..self.start + self.words]
    }

    fn halves(&self) -> &[AtomicU32] {
        &self.memory.halves()[2 * self.start..2 * (self.start + self.words)]
    }
}
