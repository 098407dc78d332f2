//! Shared memory, seen only as atomics.
//!
//! Other processes write to it at any time, so there is never a plain reference into it. A mapped
//! file never shrinks and all of its mapped range is allocated: no access raises `SIGBUS`, unless
//! somebody from outside cuts the file, which `is_whole` tells.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};

use super::Map;

/// Private memory of the same shape: `words` zeros.
pub fn heap(words: usize) -> Arc<dyn Map> {
    let lines = words.div_ceil(LINE);
    Arc::new(Heap { lines: (0..lines).map(|_| Line::default()).collect(), words })
}

/// Maps `words` words of `file` from `position`; all of the range must be allocated.
pub(super) fn file(file: fs::File, position: u64, words: usize) -> io::Result<Arc<dyn Map>> {
    let bytes = words.checked_mul(size_of::<AtomicU64>()).ok_or(io::ErrorKind::InvalidInput)?;
    let map = MmapOptions::new().offset(position).len(bytes).map_raw(&file)?;
    Ok(Arc::new(Mapped { map, words, file, end: position + bytes as u64 }))
}

#[derive(Debug)]
struct Mapped {
    map: MmapRaw,
    words: usize,
    file: fs::File,
    /// Where in the file the map ends.
    end: u64,
}

impl Map for Mapped {
    #[allow(clippy::cast_ptr_alignment)] // a map starts on a page
    fn words(&self) -> &[AtomicU64] {
        let start = self.map.as_mut_ptr().cast::<AtomicU64>();
        debug_assert!(start.is_aligned());
        // SAFETY: the start is aligned, as `position` is a multiple of the page size; `words` words
        // fit into the map; the map lives as long as `self`; every bit pattern is a valid word;
        // atomics may be written through a shared reference, by other processes too.
        unsafe { std::slice::from_raw_parts(start, self.words) }
    }

    fn halves(&self) -> &[AtomicU32] {
        halves(self.words())
    }

    fn is_whole(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.file)?.st_size as u64 >= self.end)
    }
}

/// Words on one cache line.
const LINE: usize = 8;

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line([AtomicU64; LINE]);

#[derive(Debug)]
struct Heap {
    lines: Box<[Line]>,
    words: usize,
}

impl Map for Heap {
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: a `Line` is exactly its words (64 bytes, aligned to 64), so the lines are
        // `lines.len() * LINE` words in a row, at least `words` of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<AtomicU64>(), self.words) }
    }

    fn halves(&self) -> &[AtomicU32] {
        halves(self.words())
    }
}

fn halves(words: &[AtomicU64]) -> &[AtomicU32] {
    // SAFETY: each word is two halves with a weaker alignment; the bytes live as long as `words`;
    // atomics may be written through a shared reference. No place is used as word and as half, as
    // `Map` demands, so accesses of different sizes do not meet.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<AtomicU32>(), words.len() * 2) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn heap_memory_starts_on_a_cache_line_and_is_zero() {
        for words in [0, 1, 7, 8, 9, 1024] {
            let map = heap(words);

            assert_eq!(map.words().len(), words);
            assert_eq!(map.halves().len(), 2 * words);
            assert_eq!(map.words().as_ptr().addr() % 64, 0);
            assert!(map.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn halves_lie_where_the_words_lie() {
        let map = heap(3);

        map.halves()[3].store(5, Ordering::Relaxed);

        assert_eq!(map.words()[0].load(Ordering::Relaxed), 0);
        assert_ne!(map.words()[1].load(Ordering::Relaxed), 0);
        assert_eq!(map.words()[2].load(Ordering::Relaxed), 0);
    }
}
