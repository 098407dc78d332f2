//! The segments of a partition as this process knows them, opened when used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::env::Storage;
use crate::error::{Error, Result};
use crate::log::files;
use crate::log::segment::Segment;

/// Base offsets, and the segments that are open.
///
/// Callers name the newest segment that is published; only what is not newer is listed, for a
/// segment that is being made may yet be taken back.
#[derive(Debug)]
pub(crate) struct Segments {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    writable: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Open for as long as somebody uses them, so that a long log needs few open files.
    segments: BTreeMap<i64, Weak<Segment>>,
    /// The one that [`get`](Segments::get) gave last stays open: it is the active one.
    recent: Option<Arc<Segment>>,
    /// All segments up to this base offset are listed.
    listed: Option<i64>,
}

impl Segments {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: PathBuf, writable: bool) -> Self {
        Self { storage, dir, writable, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment that begins at `base`.
    pub(crate) fn get(&self, base: i64) -> Result<Arc<Segment>> {
        let mut known = self.known();
        if let Some(recent) = known.recent.as_ref().filter(|recent| recent.base_offset == base) {
            return Ok(recent.clone());
        }
        let segment = self.opened(&mut known, base)?;
        known.recent = Some(segment.clone());
        Ok(segment)
    }

    /// The segment that holds `offset` or ends before it, or else the first.
    pub(crate) fn floor(&self, offset: i64, newest: i64) -> Result<Arc<Segment>> {
        let mut known = self.up_to(newest)?;
        let below = known.segments.range(..=offset.min(newest)).next_back();
        let base = below.or_else(|| known.segments.iter().next()).map_or(newest, |(base, _)| *base);
        self.opened(&mut known, base)
    }

    /// The segment behind the one that begins at `base`.
    pub(crate) fn after(&self, base: i64, newest: i64) -> Result<Option<Arc<Segment>>> {
        if base >= newest {
            return Ok(None);
        }
        let mut known = self.up_to(newest)?;
        let next = known.segments.range(base + 1..=newest).next().map(|(base, _)| *base);
        next.map(|base| self.opened(&mut known, base)).transpose()
    }

    /// Where the segment behind the one at `base` begins; `newest` if none is known.
    pub(crate) fn next_base(&self, base: i64, newest: i64) -> Result<i64> {
        let known = self.up_to(newest)?;
        Ok(known.segments.range(base + 1..=newest).next().map_or(newest, |(base, _)| *base))
    }

    /// The base offsets, ascending.
    pub(crate) fn bases(&self, newest: i64) -> Result<Vec<i64>> {
        Ok(self.up_to(newest)?.segments.range(..=newest).map(|(base, _)| *base).collect())
    }

    /// Closes what nobody uses just now.
    pub(crate) fn close(&self) {
        self.known().recent = None;
    }

    /// Forgets everything, so that the files are opened again.
    pub(crate) fn clear(&self) {
        *self.known() = Known::default();
    }

    fn up_to(&self, newest: i64) -> Result<MutexGuard<'_, Known>> {
        let mut known = self.known();
        if known.listed != Some(newest) {
            for base in files::offsets(&*self.storage, &self.dir, files::LOG)? {
                if base <= newest {
                    known.segments.entry(base).or_default();
                }
            }
            known.listed = Some(newest);
        }
        Ok(known)
    }

    fn opened(&self, known: &mut Known, base: i64) -> Result<Arc<Segment>> {
        if let Some(segment) = known.segments.get(&base).and_then(Weak::upgrade) {
            return Ok(segment);
        }
        let segment = Segment::open(&self.storage, &self.dir, base, self.writable);
        let segment = Arc::new(segment.map_err(|error| self.gone(base, error))?);
        known.segments.insert(base, Arc::downgrade(&segment));
        Ok(segment)
    }

    fn gone(&self, base: i64, error: Error) -> Error {
        match error {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                let path = files::path(&self.dir, base, files::LOG);
                Error::Replaced { path, what: "the file is gone" }
            }
            other => other,
        }
    }
}
