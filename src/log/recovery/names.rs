//! Segments whose file somebody has given the name of another offset than the one it begins at.

use std::path::Path;
use std::sync::Arc;

use crate::env::{Access, Storage};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::recovery::gaps;
use crate::log::scan::{Check, Found, Scan};
use crate::record::BatchInfo;

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The offset that its file is named of.
    pub(crate) name: i64,
    /// The offset that it should be named of.
    pub(crate) base: i64,
}

/// The segments with these names. `start` is where the log began when that was last noted.
pub(crate) fn places(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    names: &[i64],
    start: Option<i64>,
) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for name in names.iter().copied() {
        let begins = begins(storage, dir, name, places.last(), start)?;
        let base = begins.filter(|base| !names.contains(base)).unwrap_or(name);
        places.push(Place { name, base });
    }
    Ok(places)
}

/// What is said of one with another name, where the log would be cut for that.
pub(crate) fn refused(dir: &Path, place: Place) -> Error {
    let Place { name, base } = place;
    let remedy = format!(
        "its first batch begins at offset {base}, so it was given the name of another segment; give \
         it its name back, with its indexes, or run `brokerless verify --repair`, which does that"
    );
    Error::Damaged { path: files::path(dir, name, files::LOG), remedy }
}

/// Where a segment begins, if that is not what its name says, and more than its first batch shows
/// it: no checksum covers the offset of a batch.
fn begins(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    name: i64,
    before: Option<&Place>,
    start: Option<i64>,
) -> Result<Option<i64>> {
    let Some((first, second)) = front(&**storage, &files::path(dir, name, files::LOG))? else {
        return Ok(None);
    };
    let base = first.base_offset;
    if first.magic < 2 || base == name || before.is_some_and(|before| base <= before.base) {
        return Ok(None);
    }
    let end = match before {
        Some(before) => gaps::end_of(storage, dir, before.name)?,
        None => start,
    };
    let follows = end == Some(base);
    if base > name {
        return Ok((before.is_some() && follows).then_some(base));
    }
    let goes_on = second.is_some_and(|second| second.base_offset == first.next_offset());
    let is_free = before.is_none() || end.is_none_or(|end| end <= base);
    Ok((is_free && (follows || goes_on)).then_some(base))
}

/// The first batch of a file, and the second if there is one.
fn front(storage: &dyn Storage, path: &Path) -> Result<Option<(BatchInfo, Option<BatchInfo>)>> {
    let file = storage.open(path, Access::Read).at("open", path)?;
    let len = file.len().at("stat", path)?;
    let mut scan = Scan::new(&*file, path, 0, len, Check::Checksums);
    let mut next = || match scan.next()? {
        Found::Batch(info) => Ok::<_, crate::Error>(Some(info)),
        Found::End | Found::Bad(_) => Ok(None),
    };
    let Some(first) = next()? else { return Ok(None) };
    Ok(Some((first, next()?)))
}
