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
        for place in self.places(position, buf.len()) {
            let word = place.word.load(Ordering::Acquire).to_ne_bytes();
            buf[place.of_bytes].copy_from_slice(&word[place.of_word]);
        }
    }

    /// The other way round.
    pub(super) fn store(&self, position: u64, bytes: &[u8]) {
        for place in self.places(position, bytes.len()) {
            let mut word = place.word.load(Ordering::Acquire).to_ne_bytes();
            word[place.of_word].copy_from_slice(&bytes[place.of_bytes]);
            place.word.store(u64::from_ne_bytes(word), Ordering::Release);
        }
    }

    pub(super) fn copy(&self) -> Self {
        let memory = map::heap(self.words);
        for (to, from) in memory.words().iter().zip(self.memory.words()) {
            to.store(from.load(Ordering::Acquire), Ordering::Release);
        }
        Self { position: self.position, words: self.words, memory }
    }

    /// The words that hold bytes of the `len` at `position` of the file.
    fn places(&self, position: u64, len: usize) -> impl Iterator<Item = Place<'_>> {
        let (start, end) = (position.max(self.position), (position + len as u64).min(self.end()));
        let words = start.saturating_sub(self.position) / WORD
            ..end.saturating_sub(self.position).div_ceil(WORD);
        words.map(move |index| {
            let at = self.position + index * WORD;
            let (from, to) = (start.max(at), end.min(at + WORD));
            Place {
                word: &self.memory.words()[index as usize],
                of_word: (from - at) as usize..(to - at) as usize,
                of_bytes: (from - position) as usize..(to - position) as usize,
            }
        })
    }
}

/// A word, which of its bytes are meant, and where they are in a buffer.
struct Place<'a> {
    word: &'a AtomicU64,
    of_word: Range<usize>,
    of_bytes: Range<usize>,
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
