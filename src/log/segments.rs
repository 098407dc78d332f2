//! The segments of a partition as this process knows them, opened when used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::env::Storage;
use crate::error::{Error, Result};
use crate::log::files;
use crate::log::segment::Segment;

/// Which list of segments is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edition {
    /// The newest segment that is published; one that is being made may yet be taken back.
    pub(crate) newest: i64,
    /// Grows when segments are replaced. What was read while it grew counts for nothing.
    pub(crate) swaps: u64,
}

/// Base offsets, and the segments that are open.
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
    /// What is listed.
    listed: Option<Edition>,
}

impl Segments {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: PathBuf, writable: bool) -> Self {
        Self { storage, dir, writable, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The active segment, which begins at `base`.
    pub(crate) fn active(&self, base: i64) -> Result<Arc<Segment>> {
        let mut known = self.known();
        if let Some(recent) = known.recent.as_ref().filter(|recent| recent.base_offset == base) {
            return Ok(recent.clone());
        }
        let segment = self.opened(&mut known, base)?;
        known.recent = Some(segment.clone());
        Ok(segment)
    }

    /// The segment that begins at `base`.
    pub(crate) fn get(&self, base: i64, edition: Edition) -> Result<Arc<Segment>> {
        let mut known = self.up_to(edition)?;
        self.opened(&mut known, base)
    }

    /// The segment that holds `offset` or ends before it, or else the first.
    pub(crate) fn floor(&self, offset: i64, edition: Edition) -> Result<Arc<Segment>> {
        let mut known = self.up_to(edition)?;
        let below = known.segments.range(..=offset.min(edition.newest)).next_back();
        let base = below.or_else(|| known.segments.iter().next());
        let base = base.map_or(edition.newest, |(base, _)| *base);
        self.opened(&mut known, base)
    }

    /// The segment behind the one that begins at `base`.
    pub(crate) fn after(&self, base: i64, edition: Edition) -> Result<Option<Arc<Segment>>> {
        if base >= edition.newest {
            return Ok(None);
        }
        let mut known = self.up_to(edition)?;
        let next = known.segments.range(base + 1..=edition.newest).next().map(|(base, _)| *base);
        next.map(|base| self.opened(&mut known, base)).transpose()
    }

    /// Where the segment behind the one at `base` begins; the newest if none is known.
    pub(crate) fn next_base(&self, base: i64, edition: Edition) -> Result<i64> {
        let known = self.up_to(edition)?;
        let next = known.segments.range(base + 1..=edition.newest).next();
        Ok(next.map_or(edition.newest, |(base, _)| *base))
    }

    /// The base offsets, ascending.
    pub(crate) fn bases(&self, edition: Edition) -> Result<Vec<i64>> {
        let known = self.up_to(edition)?;
        Ok(known.segments.range(..=edition.newest).map(|(base, _)| *base).collect())
    }

    /// Closes what nobody uses just now.
    pub(crate) fn close(&self) {
        self.known().recent = None;
    }

    /// Forgets everything, so that the files are opened again.
    pub(crate) fn clear(&self) {
        *self.known() = Known::default();
    }

    fn up_to(&self, edition: Edition) -> Result<MutexGuard<'_, Known>> {
        let mut known = self.known();
        if known.listed == Some(edition) {
            return Ok(known);
        }
        if known.listed.is_none_or(|listed| listed.swaps != edition.swaps) {
            // Others may have been replaced since they were active. The active segment is never replaced, but what is open may have been sealed since.
            let active = known.recent.take_if(|recent| recent.base_offset == edition.newest);
            *known = Known { recent: active, ..Known::default() };
        }
        for base in files::offsets(&*self.storage, &self.dir, files::LOG)? {
            if base <= edition.newest {
                known.segments.entry(base).or_default();
            }
        }
        known.listed = Some(edition);
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
