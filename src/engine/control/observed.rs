//! The control file as somebody sees it who takes no part: it is read, not mapped, and not made.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::control::page::{Page, WORDS};
use crate::engine::control::{AT_MAGIC, AT_TRUST, CHUNK_WORDS, FILE, MAGIC};
use crate::env::map::heap;
use crate::env::{Access, File, Storage};
use crate::error::{At, Result};
use crate::log::recovery::Trust;

/// The control file of a directory that somebody has open.
#[derive(Debug)]
pub(crate) struct Observed {
    file: Arc<dyn File>,
    path: PathBuf,
}

/// The sequence of a page is its second word; it is read first.
const SEQUENCE: usize = 1;

impl Observed {
    /// `None` if the first process in has not made it yet.
    pub(crate) fn open(storage: &dyn Storage, dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let Ok(file) = storage.open(&path, Access::Read) else { return Ok(None) };
        let observed = Self { file, path };
        let ready = observed.word(AT_MAGIC)? == MAGIC;
        Ok(ready.then_some(observed))
    }

    /// How far the logs can be trusted that nobody has recovered since it was opened.
    pub(crate) fn trust(&self) -> Result<Trust> {
        Ok(Trust::of(self.word(AT_TRUST)?))
    }

    fn word(&self, index: usize) -> Result<u64> {
        let mut word = [0; 8];
        self.file.read_at(index as u64 * 8, &mut word).at("read", &self.path)?;
        Ok(u64::from_ne_bytes(word))
    }

    /// The page of that number at one moment; `None` if it changes faster than it can be read.
    pub(crate) fn page(&self, slot: u32) -> Result<Option<Page>> {
        const TRIES: usize = 1000;
        let mut words = self.words(slot)?;
        for _ in 0..TRIES {
            let again = self.words(slot)?;
            // The slot it points to is written only after the sequence has moved on.
            if again[SEQUENCE] == words[SEQUENCE] {
                return Ok(Some(page(&words)));
            }
            words = again;
        }
        Ok(None)
    }

    fn words(&self, slot: u32) -> Result<[u64; WORDS]> {
        let first = CHUNK_WORDS as u64 + u64::from(slot) * WORDS as u64;
        let mut bytes = [0; WORDS * 8];
        self.file.read_at(first * 8, &mut bytes).at("read", &self.path)?;
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        Ok(words)
    }
}

fn page(words: &[u64; WORDS]) -> Page {
    let map = heap(WORDS);
    for (place, word) in map.words().iter().zip(words) {
        place.store(*word, Ordering::Relaxed);
    }
    Page::new(map, 0)
}
