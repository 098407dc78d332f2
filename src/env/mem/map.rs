//! Mapped parts of a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::env::{Map, map};

/// Where a map may begin.
pub(super) const UNIT: u64 = 64 * 1024;

const WORD: u64 = 8;

/// A range of a file whose live bytes are shared memory.
#[derive(Debug)]
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
        for (index, byte) in buf.iter_mut().enumerate() {
            if let Some((word, shift)) = self.place(position + index as u64) {
                *byte = (word.load(Ordering::Acquire) >> shift) as u8;
            }
        }
    }

    /// The other way round.
    pub(super) fn store(&self, position: u64, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            if let Some((word, shift)) = self.place(position + index as u64) {
                let old = word.load(Ordering::Acquire) & !(0xff << shift);
                word.store(old | u64::from(*byte) << shift, Ordering::Release);
            }
        }
    }

    pub(super) fn copy(&self) -> Self {
        let memory = map::heap(self.words);
        for (to, from) in memory.words().iter().zip(self.memory.words()) {
            to.store(from.load(Ordering::Acquire), Ordering::Release);
        }
        Self { position: self.position, words: self.words, memory }
    }

    /// The word that holds the byte at `position` of the file, and where in it, in bits.
    fn place(&self, position: u64) -> Option<(&AtomicU64, u32)> {
        let byte = position.checked_sub(self.position)?;
        let word = self.memory.words().get(usize::try_from(byte / WORD).ok()?)?;
        let in_word = (byte % WORD) as u32 * 8;
        Some((word, if cfg!(target_endian = "big") { 56 - in_word } else { in_word }))
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
