//! Offsets that are missing though something says that they were there: somebody has removed
//! segments.
//!
//! The names of the files tell, the log's noted start, and the end of each sealed segment, which its
//! index leads to; the records themselves are not read.

use std::path::Path;
use std::sync::Arc;

use crate::env::Storage;
use crate::error::{At, Result};
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::log::recovery::Site;
use crate::log::scan::{Check, Found, Scan};
use crate::log::segment::Segment;

/// Missing offsets: from the first to before the second.
pub(crate) type Gap = (i64, i64);

/// How far behind the last entry of its index the end of a segment is looked for.
const NEAR: u64 = 1 << 20;

/// The gaps that a log with these segments has and that no repair has taken note of.
pub(crate) fn find(site: &Site<'_>, epochs: &LeaderEpochs, bases: &[i64]) -> Result<Vec<Gap>> {
    let storage = site.storage;
    let start = start(site.noted_start, epochs).filter(|start| *start < bases[0]);
    let mut gaps: Vec<Gap> = start.map(|start| (start, bases[0])).into_iter().collect();
    if !site.config.compacted {
        gaps.extend(between(storage, site.dir, bases));
    }
    // What lies before the start was to go: a crash in the middle of that may have left any part.
    gaps.retain(|(_, to)| *to > site.log_start_offset);
    if gaps.is_empty() || has_quarantine(&**storage, site.dir)? {
        return Ok(Vec::new());
    }
    let known = read_known(&**storage, site.dir)?;
    gaps.retain(|gap| !known.contains(gap));
    Ok(gaps)
}

/// Where a log began when that was last noted. Kafka notes it in the list of log starts only if it
/// is not the beginning of a segment, and cuts the epochs there.
pub(crate) fn start(noted: Option<i64>, epochs: &LeaderEpochs) -> Option<i64> {
    noted.max(epochs.first())
}

/// The gaps between segments.
fn between(storage: &Arc<dyn Storage>, dir: &Path, bases: &[i64]) -> Vec<Gap> {
    let gap = |pair: &[i64]| {
        // One that cannot be read is left to who reads it.
        let end = end_of(storage, dir, pair[0]).ok().flatten()?;
        (end < pair[1]).then_some((end, pair[1]))
    };
    bases.windows(2).filter_map(gap).collect()
}

/// One past the last offset of a sealed segment; `None` if that is not told at once.
pub(crate) fn end_of(storage: &Arc<dyn Storage>, dir: &Path, base: i64) -> Result<Option<i64>> {
    let segment = Segment::open(storage, dir, base, false)?;
    let last = segment.index.entries()?.checked_sub(1);
    let place = last.map(|last| segment.index.place(last)).transpose()?;
    let (from, len) = (place.map_or(0, |place| u64::from(place.position)), segment.len()?);
    if len.saturating_sub(from) > NEAR {
        return Ok(None);
    }
    let mut scan = Scan::new(&*segment.log, &segment.path, from, len, Check::Headers);
    let mut end = None;
    loop {
        match scan.next()? {
            Found::Batch(info) if info.base_offset >= base => end = Some(info.next_offset()),
            Found::End => return Ok(end),
            Found::Batch(_) | Found::Bad(_) => return Ok(None),
        }
    }
}

/// Whether records were taken out of a log by a recovery or a repair, which told of it.
fn has_quarantine(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    let entries = storage.list(dir).at("list", dir)?;
    Ok(entries.iter().any(|entry| files::is_quarantined(&entry.name)))
}

/// The gaps that a repair has taken note of; of a list that cannot be read, those before that.
pub(crate) fn read_known(storage: &dyn Storage, dir: &Path) -> Result<Vec<Gap>> {
    let bytes = files::read(storage, &dir.join(files::MISSING))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map_while(parse).collect())
}

fn parse(line: &str) -> Option<Gap> {
    let (from, to) = line.split_once(' ')?;
    let gap: Gap = (from.parse().ok()?, to.parse().ok()?);
    Some(gap).filter(|(from, to)| from < to)
}

/// Takes note of gaps, so that nobody tells of them again.
pub(crate) fn write_known(storage: &dyn Storage, dir: &Path, gaps: &[Gap]) -> Result<()> {
    files::replace(storage, &dir.join(files::MISSING), encode_known(gaps).as_bytes())
}

/// The list of these gaps.
pub(crate) fn encode_known(gaps: &[Gap]) -> String {
    let lines: Vec<String> = gaps.iter().map(|(from, to)| format!("{from} {to}\n")).collect();
    lines.concat()
}
