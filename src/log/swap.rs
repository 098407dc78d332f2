//! How segments are replaced by one that holds what compaction left of them (Kafka's
//! `LocalLog.replaceSegments` and the first passes of its `LogLoader`).
//!
//! 1. The new files are written as `.cleaned` and synced, names too. A crash leaves files that
//!    recovery removes.
//! 2. They are renamed to `.swap` and the names synced. As long as there is a `.cleaned` file, not
//!    all of them were: recovery removes both kinds.
//! 3. The old segments but the first go, and the names are synced; the new files take the first
//!    one's names, and the names are synced. A crash leaves a `.swap` file: recovery does the rest
//!    of this step.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::point::point;
use crate::env::{Entry, Storage};
use crate::error::{At, Result};
use crate::log::files;
use crate::log::retention::DELETED;
use crate::log::scan::{Check, Found, Scan};
use crate::log::segment::Segment;

/// Behind the names of files that are being written.
pub(crate) const CLEANED: &str = ".cleaned";
/// Behind the names of files that are whole.
pub(crate) const SWAP: &str = ".swap";
/// The files of a segment, the log last.
const PARTS: [&str; 4] = [files::INDEX, files::TIME_INDEX, files::TXN_INDEX, files::LOG];

/// Whether a compaction that did not come to its end has left files.
pub(crate) fn is_unsettled(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    let left = Leftovers::list(storage, dir)?;
    Ok(!(left.cleaned.is_empty() && left.swap.is_empty()))
}

/// Completes the swaps that were staged, and undoes the others. For the holder of the partition's
/// lock, or where nobody else can have the log. After `Ok` it survives a crash; after `Err` it can
/// be tried again.
pub(crate) fn settle(storage: &Arc<dyn Storage>, dir: &Path) -> Result<()> {
    settle_listed(storage, dir, &storage.list(dir).at("list", dir)?).map(drop)
}

/// The same for a folder that was listed; tells whether it has changed.
pub(crate) fn settle_listed(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    entries: &[Entry],
) -> Result<bool> {
    let mut left = Leftovers::of(entries);
    if left.is_empty() {
        return Ok(false);
    }
    left.undo(&**storage, dir)?;
    point("swap.undone");
    let logs = left.swap.iter().filter(|part| part.suffix == files::LOG);
    for base in logs.map(|part| part.base) {
        let replaced = base + 1..end_of(storage, dir, base)?;
        let mut bases = files::offsets(&**storage, dir, files::LOG)?;
        bases.retain(|base| replaced.contains(base));
        remove_replaced(&**storage, dir, &bases, &replaced)?;
    }
    left.rename_staged(&**storage, dir)?;
    Ok(true)
}

/// Puts the cleaned files of the first segment of a `group`, which survive a crash, into the place of
/// all of it; what the group has begun before `end` is in them. For the holder of the partition's
/// lock; after `Err` the log must be [settled](settle).
pub(crate) fn swap_in(storage: &dyn Storage, dir: &Path, group: &[i64], end: i64) -> Result<()> {
    for part in Leftovers::list(storage, dir)?.cleaned {
        part.rename(storage, dir, CLEANED, SWAP)?;
        point("swap.staging");
    }
    storage.sync_dir(dir).at("sync", dir)?;
    point("swap.staged");
    remove_replaced(storage, dir, &group[1..], &(group[0] + 1..end))?;
    point("swap.removed");
    Leftovers::list(storage, dir)?.rename_staged(storage, dir)
}

/// Offsets behind the base of a staged segment whose files it replaces.
#[derive(Debug)]
pub(crate) struct Replaced(Range<i64>);

impl Replaced {
    /// Whether a file of that name is one of them.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let kinds = PARTS.iter().chain([&files::SNAPSHOT]);
        let mut offsets = kinds.filter_map(|suffix| files::offset_of(name, suffix));
        offsets.any(|offset| self.0.contains(&offset))
    }
}

/// What the staged segments replace in a folder that was listed.
pub(crate) fn replaced(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    entries: &[Entry],
) -> Result<Vec<Replaced>> {
    let left = Leftovers::of(entries);
    let logs = left.swap.iter().filter(|part| part.suffix == files::LOG);
    logs.filter(|part| part.base < left.least_cleaned())
        .map(|part| Ok(Replaced(part.base + 1..end_of(storage, dir, part.base)?)))
        .collect()
}

/// Whether the staged files of the segment at `base` are all there, in a folder that was listed.
pub(crate) fn is_whole(entries: &[Entry], base: i64) -> bool {
    base < Leftovers::of(entries).least_cleaned()
}

/// The folder and the base offset of a segment, if that is the path of a file of it.
pub(crate) fn part_at(path: &Path) -> Option<(&Path, i64)> {
    let part = part_of(path.file_name()?.to_str()?, "")?;
    Some((path.parent()?, part.base))
}

/// The path of the file that is staged for a path.
pub(crate) fn behind(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SWAP);
    PathBuf::from(name)
}

/// One past the last offset in a staged segment.
fn end_of(storage: &Arc<dyn Storage>, dir: &Path, base: i64) -> Result<i64> {
    let segment = Segment::open_behind(storage, dir, base, SWAP)?;
    let mut scan = Scan::new(&*segment.log, &segment.path, 0, segment.len()?, Check::Headers);
    let mut end = base;
    while let Found::Batch(info) = scan.next()? {
        end = info.next_offset();
    }
    Ok(end)
}

/// Removes the segments at `bases`, and the snapshots of offsets that are replaced.
fn remove_replaced(
    storage: &dyn Storage,
    dir: &Path,
    bases: &[i64],
    replaced: &Range<i64>,
) -> Result<()> {
    for old in bases {
        Segment::remove(storage, dir, *old)?;
        point("swap.removing");
    }
    let snapshots = files::offsets(storage, dir, files::SNAPSHOT)?;
    for old in snapshots.into_iter().filter(|offset| replaced.contains(offset)) {
        files::remove(storage, &files::path(dir, old, files::SNAPSHOT))?;
    }
    Ok(())
}

/// A file of a segment, without what stands behind its name.
#[derive(Debug)]
struct Part {
    base: i64,
    suffix: &'static str,
}

impl Part {
    fn rename(&self, storage: &dyn Storage, dir: &Path, from: &str, to: &str) -> Result<()> {
        let path = |behind| files::path(dir, self.base, &format!("{}{behind}", self.suffix));
        storage.rename(&path(from), &path(to)).at("rename", &path(from))
    }

    fn remove(&self, storage: &dyn Storage, dir: &Path, behind: &str) -> Result<()> {
        files::remove(storage, &files::path(dir, self.base, &format!("{}{behind}", self.suffix)))
    }
}

/// What was left in a partition's folder.
#[derive(Debug, Default)]
struct Leftovers {
    cleaned: Vec<Part>,
    swap: Vec<Part>,
    /// Names of files.
    deleted: Vec<String>,
}

impl Leftovers {
    fn list(storage: &dyn Storage, dir: &Path) -> Result<Self> {
        Ok(Self::of(&storage.list(dir).at("list", dir)?))
    }

    fn of(entries: &[Entry]) -> Self {
        let mut left = Self::default();
        for entry in entries {
            let part = |behind| part_of(&entry.name, behind);
            if entry.name.ends_with(DELETED) {
                left.deleted.push(entry.name.clone());
            } else if let Some(part) = part(CLEANED) {
                left.cleaned.push(part);
            } else if let Some(part) = part(SWAP) {
                left.swap.push(part);
            }
        }
        // The log is renamed last.
        left.swap.sort_by_key(|part| (part.base, PARTS.iter().position(|it| *it == part.suffix)));
        left
    }

    fn is_empty(&self) -> bool {
        self.cleaned.is_empty() && self.swap.is_empty() && self.deleted.is_empty()
    }

    /// The first segment that is not whole: from here on nothing staged counts.
    fn least_cleaned(&self) -> i64 {
        self.cleaned.iter().map(|part| part.base).min().unwrap_or(i64::MAX)
    }

    /// Gives the staged files the names of those they replace, which survive a crash after `Ok`.
    fn rename_staged(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        storage.sync_dir(dir).at("sync", dir)?;
        for part in &self.swap {
            part.rename(storage, dir, SWAP, "")?;
            point("swap.renaming");
        }
        storage.sync_dir(dir).at("sync", dir)
    }

    /// Removes what was not whole when the process or the machine died, and what somebody was
    /// about to remove.
    fn undo(&mut self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let least = self.least_cleaned();
        let (not_whole, whole) =
            std::mem::take(&mut self.swap).into_iter().partition(|part| part.base >= least);
        self.swap = whole;
        // The cleaned ones are the proof that the others are not whole.
        let not_whole: Vec<Part> = not_whole;
        for part in &not_whole {
            part.remove(storage, dir, SWAP)?;
        }
        if !not_whole.is_empty() {
            storage.sync_dir(dir).at("sync", dir)?;
        }
        for part in self.cleaned.drain(..) {
            part.remove(storage, dir, CLEANED)?;
        }
        for name in self.deleted.drain(..) {
            files::remove(storage, &dir.join(name))?;
        }
        Ok(())
    }
}

fn part_of(name: &str, behind: &str) -> Option<Part> {
    let name = name.strip_suffix(behind)?;
    PARTS
        .into_iter()
        .find_map(|suffix| Some(Part { base: files::offset_of(name, suffix)?, suffix }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::mem::MemDisk;

    #[test]
    fn a_swap_takes_away_what_it_replaces_and_nothing_else_wherever_its_last_batch_says_it_ends() {
        let (disk, dir) = (MemDisk::new(), Path::new("/log"));
        disk.create_dir(dir).unwrap();
        let storage: Arc<dyn Storage> = Arc::new(disk);
        for base in [0, 50, 100, 150] {
            Segment::create(&storage, dir, base).unwrap();
        }
        Segment::create_behind(&storage, dir, 0, CLEANED).unwrap();

        swap_in(&*storage, dir, &[0, 50], i64::MAX).unwrap();

        assert_eq!(files::offsets(&*storage, dir, files::LOG).unwrap(), [0, 100, 150]);
        assert!(!is_unsettled(&*storage, dir).unwrap());
    }
}
