//! The transactions of a log, read again from the newest snapshot of producers on.

use crate::env::Entry;
use crate::error::Result;
use crate::log::aborted::{self, AbortedTransaction};
use crate::log::files;
use crate::log::producers::Producers;
use crate::log::recovery::Site;
use crate::log::replay;
use crate::log::segment::Segment;
use crate::log::tail::Tail;

/// What the log says of transactions, from the newest snapshot on.
pub(crate) struct Transactions {
    pub(crate) first_unstable_offset: Option<i64>,
    pub(crate) has_producers: bool,
    pub(crate) aborted: Vec<AbortedTransaction>,
}

impl Transactions {
    /// `entries` are the names in the folder; the indexes of the segments `rebuilt` are made anew.
    /// From the segment at `plain` on, nothing is of an idempotent or transactional producer.
    pub(crate) fn replay(
        site: &Site<'_>,
        entries: &[Entry],
        bases: &[i64],
        rebuilt: &[i64],
        plain: Option<i64>,
        tail: &Tail,
    ) -> Result<Self> {
        let snapshots = files::offsets_in(entries, files::SNAPSHOT);
        let known = rebuilt.first().copied().unwrap_or(tail.end_offset);
        let (from, mut producers) =
            Producers::newest(&**site.storage, site.dir, &snapshots, known)?
                .unwrap_or((bases[0], Producers::default()));
        let mut aborted = Vec::new();
        let first = bases.partition_point(|base| *base <= from).saturating_sub(1);
        for base in &bases[first..] {
            let mut of_segment = if plain.is_none_or(|plain| *base < plain) {
                replay_segment(site, *base, from, tail, &mut producers)?
            } else {
                Vec::new()
            };
            if site.writable && rebuilt.contains(base) {
                aborted::write(&**site.storage, site.dir, *base, &of_segment)?;
            }
            aborted.append(&mut of_segment);
        }
        let indexed = files::offsets_in(entries, files::TXN_INDEX);
        for at in (0..bases.len()).filter(|at| indexed.contains(&bases[*at])) {
            for entry in index(site, bases, at, tail)? {
                if entry.last_offset < tail.end_offset && !aborted.contains(&entry) {
                    aborted.push(entry);
                }
            }
        }
        aborted.sort_unstable_by_key(|entry| entry.last_offset);
        if site.writable && from < tail.segment_base {
            producers_at(site, &producers, tail)?;
        }
        Ok(Self {
            first_unstable_offset: producers.first_unstable_offset(),
            has_producers: !producers.is_empty(),
            aborted,
        })
    }
}

/// What the index of a segment says; made anew from the log if that cannot be right.
fn index(
    site: &Site<'_>,
    bases: &[i64],
    at: usize,
    tail: &Tail,
) -> Result<Vec<AbortedTransaction>> {
    let base = bases[at];
    let next = bases.get(at + 1).copied().unwrap_or(tail.end_offset);
    let read = aborted::read(&**site.storage, site.dir, base)?;
    let read = read.filter(|entries| entries.iter().all(|entry| entry.last_offset < next));
    if let Some(entries) = read {
        return Ok(entries);
    }
    let path = files::path(site.dir, base, files::TXN_INDEX);
    log::warn!("{} cannot be right: it is made anew from the log", path.display());
    let (from, mut producers) = Producers::load(&**site.storage, site.dir, base)?
        .unwrap_or((bases[0], Producers::default()));
    let first = bases.partition_point(|base| *base <= from).saturating_sub(1);
    let mut entries = Vec::new();
    for base in &bases[first..=at] {
        entries = replay_segment(site, *base, from, tail, &mut producers)?;
    }
    if site.writable {
        aborted::write(&**site.storage, site.dir, base, &entries)?;
    }
    Ok(entries)
}

/// A snapshot of the end spares the next recovery this replay.
fn producers_at(site: &Site<'_>, producers: &Producers, tail: &Tail) -> Result<()> {
    producers.save(&**site.storage, site.dir, tail.end_offset)
}

fn replay_segment(
    site: &Site<'_>,
    base: i64,
    from: i64,
    tail: &Tail,
    producers: &mut Producers,
) -> Result<Vec<AbortedTransaction>> {
    let segment = Segment::open(site.storage, site.dir, base, false)?;
    let end = if base == tail.segment_base { tail.end_position } else { segment.len()? };
    replay::replay(&segment, from, end, producers)
}
