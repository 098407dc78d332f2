//! The segments of a partition as this process knows them, opened when first used.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::env::{Access, Storage};
use crate::error::{Error, Result};
use crate::log::files;
use crate::log::segment::Segment;

/// Base offsets, and the segments that are open. It may be behind the folder; callers name the
/// newest segment they have been told of, and the folder is listed again if it is not known.
#[derive(Debug)]
pub(crate) struct Segments {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    access: Access,
    known: Mutex<BTreeMap<i64, Option<Arc<Segment>>>>,
}

impl Segments {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: PathBuf, access: Access) -> Self {
        Self { storage, dir, access, known: Mutex::default() }
    }

    /// The segment that begins at `base`.
    pub(crate) fn get(&self, base: i64) -> Result<Arc<Segment>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.entry(base).or_insert(None);
        self.opened(base, place)
    }

    /// The segment that holds `offset` or ends before it, or else the first.
    pub(crate) fn floor(&self, offset: i64, newest: i64) -> Result<Arc<Segment>> {
        let mut known = self.up_to(newest)?;
        let below = known.range(..=offset).next_back().map(|(base, _)| *base);
        let base = below.or_else(|| known.keys().next().copied()).unwrap_or(newest);
        let place = known.entry(base).or_insert(None);
        self.opened(base, place)
    }

    /// The segment behind the one that begins at `base`.
    pub(crate) fn after(&self, base: i64, newest: i64) -> Result<Option<Arc<Segment>>> {
        let mut known = self.up_to(newest)?;
        let next = known.range_mut(base + 1..).next();
        next.map(|(base, place)| self.opened(*base, place)).transpose()
    }

    /// The base offsets, ascending.
    pub(crate) fn bases(&self, newest: i64) -> Result<Vec<i64>> {
        Ok(self.up_to(newest)?.range(..=newest).map(|(base, _)| *base).collect())
    }

    /// Adds a segment that was just made.
    pub(crate) fn insert(&self, segment: Arc<Segment>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(segment.base_offset, Some(segment));
    }

    /// Forgets everything, so that the files are opened again.
    pub(crate) fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn up_to(
        &self,
        newest: i64,
    ) -> Result<std::sync::MutexGuard<'_, BTreeMap<i64, Option<Arc<Segment>>>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // One segment alone may have come by `get`, without those before it.
        if known.len() < 2 || !known.contains_key(&newest) {
            for base in files::offsets(&*self.storage, &self.dir, files::LOG)? {
                known.entry(base).or_insert(None);
            }
        }
        Ok(known)
    }

    fn opened(&self, base: i64, place: &mut Option<Arc<Segment>>) -> Result<Arc<Segment>> {
        if let Some(segment) = place {
            return Ok(segment.clone());
        }
        let segment = Segment::open(&*self.storage, &self.dir, base, self.access);
        let segment = Arc::new(segment.map_err(|error| self.gone(base, error))?);
        *place = Some(segment.clone());
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
