//! The control file: a header and the pages of all partitions, mapped by every process.
//!
//! ```text
//! 64 KiB   header: a few words, and from 4 KiB on 64 doorbells of 64 bytes each
//! 64 KiB   pages 0 to 127, 512 bytes each; and so on
//! ```
//!
//! The first process in makes it anew, so it need not survive anything.

pub(super) mod doorbell;
pub(crate) mod observed;
pub(super) mod page;
mod published;
pub(super) mod sleepers;
mod subscribers;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::engine::control::page::Page;
use crate::env::map::heap;
use crate::env::point::point;
use crate::env::random;
use crate::env::{Access, File, Map, Storage};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::recovery::Trust;
use crate::types::Timestamp;

/// The control file's name.
pub(crate) const FILE: &str = ".brokerless-control";

/// Doorbells in the header.
pub(crate) const BELLS: u64 = 64;

pub(crate) const CHUNK_WORDS: usize = 8192;
const PAGES_IN_CHUNK: usize = CHUNK_WORDS / page::WORDS;
/// Far more partitions than anybody has made in one directory between two reboots.
const MAX_PAGES: u32 = 1 << 24;
const FIRST_BELL: usize = 4096 / 4;

/// "brkless" and the layout's version.
pub(crate) const MAGIC: u64 = 0x6272_6b6c_6573_7301;

pub(crate) const AT_MAGIC: usize = 0;
pub(crate) const AT_TRUST: usize = 1;
const AT_BOOT: usize = 2;
const AT_TOPICS: usize = 3;
const AT_BELLS: usize = 4;
const AT_POISON: usize = 5;
const AT_PAGES: usize = 6;
/// Tells the file from those before and after it.
const AT_ID: usize = 7;
/// When recovery points were last noted, on the wall clock.
const AT_CHECKPOINT: usize = 8;
/// The file's own inode: a copy of the directory, which need not be whole, has another.
const AT_PLACE: usize = 9;
/// As [`AT_TOPICS`], of the directory's settings alone.
const AT_SETTINGS: usize = 10;
/// 1 when the list of topics names the pages of this file. Who died before has left one that others
/// must make anew.
const AT_READY: usize = 11;

/// The control file of an open directory; memory of our own for one that is open read-only.
#[derive(Debug)]
pub(crate) struct Control {
    file: Option<(Arc<dyn Storage>, PathBuf)>,
    header: Arc<dyn Map>,
    chunks: RwLock<HashMap<usize, Arc<dyn Map>>>,
    /// What the processes before us left in this boot, where this one was the first in, and where
    /// something follows from it.
    left_behind: Option<LeftBehind>,
}

impl Control {
    /// Makes the file anew. Only for who has the directory alone.
    pub(crate) fn create(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        clean: bool,
        now: Timestamp,
    ) -> Result<Self> {
        let path = dir.join(FILE);
        let left_behind = LeftBehind::read(&**storage, &path)?;
        files::remove(&**storage, &path)?;
        point("control.removed");
        let mut control = Self::map(storage, path)?;
        point("control.mapped");
        let boot = boot(&**storage);
        control.begin(if clean { Trust::Clean } else { left_behind.trust(boot) });
        control.left_behind = Some(left_behind).filter(|it| !clean && it.same_boot(boot));
        control.header(AT_BOOT).store(boot, Ordering::Release);
        control.set_last_checkpoint(now);
        let place = control.place()?.unwrap_or(0);
        control.header(AT_PLACE).store(place, Ordering::Release);
        control.header(AT_ID).store(random::u128() as u64, Ordering::Release);
        control.header(AT_MAGIC).store(MAGIC, Ordering::Release);
        point("control.ready");
        Ok(control)
    }

    /// Opens the file that the first process in has made; `None` if it is not ready.
    pub(crate) fn open(storage: &Arc<dyn Storage>, dir: &Path) -> Result<Option<Self>> {
        if Self::is_missing(&**storage, dir)? {
            return Ok(None);
        }
        let control = Self::map(storage, dir.join(FILE))?;
        if !control.is_made() || control.header(AT_READY).load(Ordering::Acquire) == 0 {
            return Ok(None);
        }
        match (control.header(AT_BOOT).load(Ordering::Acquire), boot(&**storage)) {
            (theirs, ours) if theirs != ours && theirs != 0 && ours != 0 => {
                Err(Error::OtherMachine(dir.to_owned()))
            }
            _ => Ok(Some(control)),
        }
    }

    /// Lets others use the file, as soon as they come in. For who has made it.
    pub(crate) fn set_ready(&self) {
        self.header(AT_READY).store(1, Ordering::Release);
    }

    /// Keeps those out who come in now: they must find the directory closed. For the last one out.
    pub(crate) fn retire(&self) {
        self.header(AT_READY).store(0, Ordering::Release);
    }

    /// The inode of the file; `None` for memory of our own.
    fn place(&self) -> Result<Option<u64>> {
        let Some((storage, path)) = &self.file else { return Ok(None) };
        let file = storage.open(path, Access::Read).at("open", path)?;
        Ok(Some(file.status().at("stat", path)?.id))
    }

    /// Whether there is no such file.
    pub(crate) fn is_missing(storage: &dyn Storage, dir: &Path) -> Result<bool> {
        Ok(LeftBehind::read(storage, &dir.join(FILE))?.0.is_none())
    }

    fn is_made(&self) -> bool {
        self.header(AT_MAGIC).load(Ordering::Acquire) == MAGIC
    }

    /// Refuses a file that was cut or overwritten from outside, as far as that was done before.
    pub(crate) fn check(&self) -> Result<()> {
        let Some((_, path)) = &self.file else { return Ok(()) };
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        let last = chunks.iter().max_by_key(|(index, _)| **index);
        let last = last.map_or(&self.header, |(_, chunk)| chunk);
        if last.is_whole().at("stat", path)? && self.is_made() {
            return Ok(());
        }
        Err(Error::Replaced { path: path.clone(), what: "the file was cut or overwritten" })
    }

    /// Memory of our own in place of the file.
    pub(crate) fn private(trust: Trust) -> Self {
        let control = Self {
            file: None,
            header: heap(CHUNK_WORDS),
            chunks: RwLock::default(),
            left_behind: None,
        };
        control.begin(trust);
        control
    }

    fn map(storage: &Arc<dyn Storage>, path: PathBuf) -> Result<Self> {
        let header = storage.map(&path, 0, CHUNK_WORDS).at("map", &path)?;
        Ok(Self {
            file: Some((storage.clone(), path)),
            header,
            chunks: RwLock::default(),
            left_behind: None,
        })
    }

    fn begin(&self, trust: Trust) {
        self.header(AT_TRUST).store(trust as u64, Ordering::Release);
        self.header(AT_TOPICS).store(2, Ordering::Release);
        self.header(AT_SETTINGS).store(2, Ordering::Release);
    }

    /// Whether the file that this process has mapped is still the directory's.
    pub(crate) fn is_current(&self) -> Result<bool> {
        let Some((storage, path)) = &self.file else { return Ok(true) };
        let now = LeftBehind::read(&**storage, path)?;
        Ok(now.word(AT_ID) == self.header(AT_ID).load(Ordering::Acquire))
    }

    fn header(&self, index: usize) -> &AtomicU64 {
        &self.header.words()[index]
    }

    /// How far the logs can be trusted that nobody has recovered yet.
    pub(crate) fn trust(&self) -> Trust {
        Trust::of(self.header(AT_TRUST).load(Ordering::Acquire))
    }

    /// Numbers for pages that nobody has had since the first process came.
    pub(crate) fn take_pages(&self, count: u32) -> std::ops::Range<u32> {
        let first = self.header(AT_PAGES).fetch_add(u64::from(count), Ordering::AcqRel);
        let first = first.min(MAX_PAGES.into()) as u32;
        first..first.saturating_add(count)
    }

    /// Lets page `new` inherit what page `old` of the processes before us proves: that its log was
    /// recovered in this boot, so that every write since then is there, and how far it was synced.
    pub(crate) fn take_over(&self, old: u32, new: u32) -> Result<()> {
        let Some(left_behind) = &self.left_behind else { return Ok(()) };
        let Standing { is_recovered, was_cut, synced } = left_behind.standing(old);
        let page = self.page(new)?;
        page.set_intent(was_cut);
        page.set_synced_before(synced);
        if is_recovered && self.trust() == Trust::Machine {
            page.set_recovered_before();
        }
        Ok(())
    }

    /// Grows when topics or settings change; odd while that is done, or when who did it died.
    pub(crate) fn topics_generation(&self) -> u64 {
        self.header(AT_TOPICS).load(Ordering::Acquire)
    }

    /// Says that topics are being changed. For the holder of the directory's lock.
    pub(crate) fn begin_change_of_topics(&self) {
        self.header(AT_TOPICS).fetch_or(1, Ordering::AcqRel);
    }

    /// The same for the directory's settings.
    pub(crate) fn settings_generation(&self) -> u64 {
        self.header(AT_SETTINGS).load(Ordering::Acquire)
    }

    /// Says that the directory's settings are being changed, and with them those of topics.
    pub(crate) fn begin_change_of_settings(&self) {
        self.begin_change_of_topics();
        self.header(AT_SETTINGS).fetch_or(1, Ordering::AcqRel);
    }

    /// Says that what was begun is done. For the holder of the directory's lock.
    pub(crate) fn end_changes(&self) {
        // Who sees that the topics have changed looks at the settings too.
        for index in [AT_SETTINGS, AT_TOPICS] {
            if self.header(index).load(Ordering::Acquire) % 2 == 1 {
                self.header(index).fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// Remembers that a sync failed: after all are gone, the logs are read as after a crash.
    pub(crate) fn poison(&self) {
        self.header(AT_POISON).store(1, Ordering::Release);
    }

    /// When recovery points were last noted.
    pub(crate) fn last_checkpoint(&self) -> Timestamp {
        self.header(AT_CHECKPOINT).load(Ordering::Acquire) as Timestamp
    }

    pub(crate) fn set_last_checkpoint(&self, now: Timestamp) {
        self.header(AT_CHECKPOINT).store(now as u64, Ordering::Release);
    }

    /// The number of a doorbell for a process; more than 64 processes share them.
    pub(crate) fn next_bell(&self) -> u64 {
        self.header(AT_BELLS).fetch_add(1, Ordering::AcqRel) % BELLS
    }

    /// The word that the owner of doorbell `bell` waits on.
    pub(crate) fn bell(&self, bell: u64) -> &AtomicU32 {
        &self.header.halves()[FIRST_BELL + 16 * (bell % BELLS) as usize]
    }

    /// Page number `slot`; the file grows as far as needed.
    pub(crate) fn page(&self, slot: u32) -> Result<Page> {
        if slot >= MAX_PAGES {
            return Err(self.too_many());
        }
        let slot = slot as usize;
        let chunk = self.chunk(slot / PAGES_IN_CHUNK)?;
        Ok(Page::new(chunk, slot % PAGES_IN_CHUNK * page::WORDS))
    }

    fn too_many(&self) -> Error {
        let path = self.file.as_ref().map_or_else(|| FILE.into(), |(_, path)| path.clone());
        let remedy = "it counts more partitions than there can be; close every process that uses \
                      the directory, and the next makes it anew";
        Error::Damaged { path, remedy: remedy.to_owned() }
    }

    fn chunk(&self, index: usize) -> Result<Arc<dyn Map>> {
        let known = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(chunk) = known.get(&index) {
            return Ok(chunk.clone());
        }
        drop(known);
        let chunk = self.map_chunk(index)?;
        let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
        Ok(chunks.entry(index).or_insert(chunk).clone())
    }

    /// Lets go of pages that nobody in this process uses; who asks for one maps it again.
    pub(crate) fn forget_unused(&self) {
        let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
        // Where there is no file, what was forgotten would be lost.
        chunks.retain(|_, chunk| self.file.is_none() || Arc::strong_count(chunk) > 1);
    }

    fn map_chunk(&self, index: usize) -> Result<Arc<dyn Map>> {
        let Some((storage, path)) = &self.file else { return Ok(heap(CHUNK_WORDS)) };
        let position = (index as u64 + 1) * CHUNK_WORDS as u64 * 8;
        storage.map(path, position, CHUNK_WORDS).at("map", path)
    }
}

/// What the processes before us tell of a log.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    is_recovered: bool,
    /// Who had the right to change it died in the middle of a change, or of recovery: he may have
    /// cut it.
    was_cut: bool,
    /// Up to where it was synced, if that is known.
    synced: Option<i64>,
}

/// The words of a control file that nobody maps any more. They are read one by one: the file may
/// have any size.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind(Option<Arc<dyn File>>);

impl LeftBehind {
    pub(crate) fn read(storage: &dyn Storage, path: &Path) -> Result<Self> {
        match storage.open(path, Access::Read) {
            Ok(file) => Ok(Self(Some(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(error).at("open", path),
        }
    }

    /// 0 where there is none: nothing follows from that.
    fn word(&self, index: usize) -> u64 {
        let mut word = [0; 8];
        let read = self.0.as_ref().map(|file| file.read_at(8 * index as u64, &mut word));
        if matches!(read, Some(Ok(8))) { u64::from_ne_bytes(word) } else { 0 }
    }

    fn same_boot(&self, boot: u64) -> bool {
        let known = boot != 0 && self.word(AT_BOOT) == boot && self.word(AT_MAGIC) == MAGIC;
        known && self.word(AT_POISON) == 0 && self.is_no_copy()
    }

    fn is_no_copy(&self) -> bool {
        let status = self.0.as_ref().and_then(|file| file.status().ok());
        status.is_some_and(|status| status.id == self.word(AT_PLACE))
    }

    /// How far writes can be trusted that nobody synced.
    fn trust(&self, boot: u64) -> Trust {
        let whole = self.same_boot(boot) && self.word(AT_TRUST) != Trust::Machine as u64;
        if whole { Trust::Process } else { Trust::Machine }
    }

    /// The same of the log of a page.
    pub(crate) fn trust_of(&self, boot: u64, slot: Option<u32>) -> Trust {
        let is_recovered = || slot.is_some_and(|slot| self.standing(slot).is_recovered);
        if self.same_boot(boot) && is_recovered() { Trust::Process } else { self.trust(boot) }
    }

    /// What is known of a log; nobody has written to one that was not recovered. Pages that the list of topics does not name tell nothing: who numbered
    /// them died before he wrote it.
    fn standing(&self, slot: u32) -> Standing {
        if self.word(AT_READY) != 1 {
            return Standing::default();
        }
        let word = |index| self.word(CHUNK_WORDS + slot as usize * page::WORDS + index);
        let is_recovered = word(page::VALID) == 1;
        // What was being cut may come back in a crash, though all that is left was synced.
        if word(page::INTENT) != 0 {
            return Standing { is_recovered, was_cut: true, synced: None };
        }
        let before = page::known_offset(word(page::SYNCED_BEFORE));
        let synced = if is_recovered { Some(word(page::SYNCED) as i64) } else { before };
        Standing { is_recovered, was_cut: false, synced }
    }
}

/// This boot of the machine as a word; 0 where the system does not tell.
pub(crate) fn boot(storage: &dyn Storage) -> u64 {
    let id = storage.boot_id();
    if id.is_empty() {
        return 0;
    }
    let (front, back) = id.as_bytes().split_at(id.len() / 2);
    u64::from(crc32c::crc32c(front)) << 32 | u64::from(crc32c::crc32c(back)) | 1
}
