//! Which segments of a log may go (Kafka's `UnifiedLog.deletableSegments`).
//!
//! Always the oldest first, one behind the other, as long as each is due:
//!
//! 1. what lies wholly before the log's start;
//! 2. what is not needed to have `retention.bytes` in the log;
//! 3. what has no record younger than `retention.ms`.

use std::path::Path;
use std::sync::Arc;

use crate::config::TopicConfig;
use crate::env::Storage;
use crate::env::point::point;
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::segment::Segment;
use crate::types::Timestamp;

/// Behind the names of files that are about to be removed.
pub(crate) const DELETED: &str = ".deleted";

/// What may be in a log; `None` where that is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `retention.ms`
    pub(crate) time: Option<i64>,
    /// `retention.bytes`
    pub(crate) size: Option<u64>,
}

impl Limits {
    /// Those of a topic; none where its `cleanup.policy` does not delete.
    pub(crate) fn of(config: &TopicConfig) -> Self {
        if !config.deleting {
            return Self::default();
        }
        Self {
            time: Some(config.retention_ms).filter(|time| *time >= 0),
            size: u64::try_from(config.retention_bytes).ok(),
        }
    }
}

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it begins.
    pub(crate) base: i64,
    /// Bytes of its log.
    pub(crate) size: u64,
}

/// A log, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock<'a> {
    /// Its segments, ascending; the last one is active.
    pub(crate) pieces: &'a [Piece],
    /// The first offset that can be read.
    pub(crate) start: i64,
    /// What is here or behind may not go.
    pub(crate) bound: i64,
    /// One past the last record.
    pub(crate) end: i64,
}

impl Stock<'_> {
    /// How many of the first segments are due; `youngest` gives the largest timestamp of the one
    /// at an offset.
    pub(crate) fn due(
        &self,
        limits: Limits,
        now: Timestamp,
        mut youngest: impl FnMut(i64) -> Result<Timestamp>,
    ) -> Result<usize> {
        let mut due = 0;
        while self.may_go(due) && self.next(due).is_some_and(|next| next <= self.start) {
            due += 1;
        }
        due += self.beyond_size(due, limits.size);
        if let Some(time) = limits.time {
            while self.may_go(due) && now.saturating_sub(youngest(self.pieces[due].base)?) > time {
                due += 1;
            }
        }
        Ok(due)
    }

    /// Where the segment behind one begins.
    fn next(&self, index: usize) -> Option<i64> {
        self.pieces.get(index + 1).map(|piece| piece.base)
    }

    fn may_go(&self, index: usize) -> bool {
        let Some(piece) = self.pieces.get(index) else { return false };
        let next = self.next(index);
        next.unwrap_or(self.end) <= self.bound && (next.is_some() || piece.size > 0)
    }

    fn beyond_size(&self, from: usize, limit: Option<u64>) -> usize {
        let left = &self.pieces[from..];
        let size: u64 = left.iter().map(|piece| piece.size).sum();
        let Some(mut over) = limit.and_then(|limit| size.checked_sub(limit)) else { return 0 };
        let is_over = |(index, piece): &(usize, &Piece)| {
            let rest = over.checked_sub(piece.size).filter(|_| self.may_go(from + index));
            over = rest.unwrap_or(over);
            rest.is_some()
        };
        left.iter().enumerate().take_while(is_over).count()
    }
}

/// The largest timestamp in a segment; where no record has one, when it was written last. One in
/// which there is nothing is older than all.
pub(crate) fn youngest(segment: &Segment, end: u64) -> Result<Timestamp> {
    if end == 0 {
        return Ok(Timestamp::MIN);
    }
    let youngest = match segment.youngest(segment.times.entries()?, end) {
        // Else a batch that nobody can read would keep all that come behind it.
        Err(Error::CorruptRecord { .. }) => segment.max_indexed_timestamp()?.filter(|it| *it > 0),
        found => Some(found?.timestamp).filter(|it| *it >= 0),
    };
    if let Some(youngest) = youngest {
        return Ok(youngest);
    }
    Ok(segment.log.status().at("stat", &segment.path)?.modified)
}

/// Whether a log that nobody has open might have something to be deleted: a look that costs little
/// and says yes in doubt.
pub(crate) fn is_worth_a_look(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    limits: Limits,
    start: i64,
    now: Timestamp,
) -> Result<bool> {
    let entries = storage.list(dir).at("list", dir)?;
    let mut bases: Vec<i64> =
        entries.iter().filter_map(|entry| files::offset_of(&entry.name, files::LOG)).collect();
    bases.sort_unstable();
    let Some(first) = bases.first() else { return Ok(false) };
    let is_left = entries.iter().any(|entry| entry.name.ends_with(DELETED));
    if is_left || limits.size.is_some() || bases.get(1).is_some_and(|second| *second <= start) {
        return Ok(true);
    }
    let Some(time) = limits.time else { return Ok(false) };
    let segment = Segment::open(storage, dir, *first, false)?;
    match segment.max_indexed_timestamp()? {
        Some(youngest) => Ok(now.saturating_sub(youngest) > time),
        None => Ok(segment.len()? > 0),
    }
}

/// Gives all segments that lie wholly before `start`, and are not the last, the names of files that
/// are about to be removed; removes the snapshots from before they ended. Gives the new names.
/// After `Err` some have them.
pub(crate) fn bury(storage: &dyn Storage, dir: &Path, start: i64) -> Result<Vec<String>> {
    let bases = files::offsets(storage, dir, files::LOG)?;
    let gone = bases.windows(2).take_while(|pair| pair[1] <= start).count();
    let mut buried = Vec::new();
    for base in &bases[..gone] {
        // The log last: what has none is no segment.
        for suffix in [files::INDEX, files::TIME_INDEX, files::TXN_INDEX, files::LOG] {
            let from = files::path(dir, *base, suffix);
            let name = format!("{base:020}.{suffix}{DELETED}");
            match storage.rename(&from, &dir.join(&name)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                renamed => renamed.at("rename", &from)?,
            }
            buried.push(name);
            point("retain.renaming");
        }
    }
    if let Some(first) = bases.get(gone).filter(|_| gone > 0) {
        for at in files::offsets(storage, dir, files::SNAPSHOT)? {
            if at < *first {
                files::remove(storage, &files::path(dir, at, files::SNAPSHOT))?;
            }
        }
    }
    Ok(buried)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four segments of 100 bytes and ten records; the last one has 40 bytes.
    const PIECES: [Piece; 4] = [
        Piece { base: 0, size: 100 },
        Piece { base: 10, size: 100 },
        Piece { base: 20, size: 100 },
        Piece { base: 30, size: 40 },
    ];

    fn due(stock: Stock<'_>, limits: Limits) -> usize {
        // Each segment's youngest record has its end as its timestamp; it is 50.
        stock.due(limits, 50, |base| Ok(base + 10)).unwrap()
    }

    fn stock() -> Stock<'static> {
        Stock { pieces: &PIECES, start: 0, bound: 40, end: 40 }
    }

    #[test]
    fn what_is_before_the_start_goes_whatever_the_limits() {
        let starting = |start| due(Stock { start, ..stock() }, Limits::default());

        assert_eq!([0, 9, 10, 19, 30, 40].map(starting), [0, 0, 1, 1, 3, 3]);
    }

    #[test]
    fn as_many_go_as_leave_at_least_the_size() {
        let of = |size| due(stock(), Limits { size: Some(size), time: None });

        assert_eq!([341, 340, 241, 240, 141, 140, 40, 1, 0].map(of), [0, 0, 0, 1, 1, 2, 3, 3, 4]);
    }

    #[test]
    fn what_is_older_than_the_time_goes_the_active_segment_too() {
        let of = |time| due(stock(), Limits { size: None, time: Some(time) });

        assert_eq!([40, 39, 30, 29, 9, 0].map(of), [0, 1, 1, 2, 4, 4]);
    }

    #[test]
    fn a_younger_segment_keeps_those_behind_it() {
        let limits = Limits { size: None, time: Some(5) };

        let due = stock().due(limits, 50, |base| Ok(if base == 10 { 50 } else { 0 })).unwrap();

        assert_eq!(due, 1);
    }

    #[test]
    fn an_empty_active_segment_stays_and_so_does_what_is_not_decided() {
        let all = Limits { size: Some(0), time: Some(0) };
        let mut pieces = PIECES;
        pieces[3].size = 0;

        assert_eq!(due(Stock { pieces: &pieces, bound: 30, end: 30, ..stock() }, all), 3);
        assert_eq!(due(Stock { bound: 39, ..stock() }, all), 3);
        assert_eq!(due(Stock { bound: 29, ..stock() }, all), 2);
        assert_eq!(due(Stock { pieces: &[], ..stock() }, all), 0);
    }

    #[test]
    fn the_limits_are_those_of_the_policy() {
        let of = |given: &[(&str, &str)]| {
            Limits::of(&TopicConfig::parse(given.iter().copied()).unwrap())
        };

        assert_eq!(of(&[]), Limits { time: Some(604_800_000), size: None });
        let both = [("cleanup.policy", "compact,delete"), ("retention.bytes", "7")];
        assert_eq!(of(&both), Limits { time: Some(604_800_000), size: Some(7) });
        assert_eq!(of(&[("retention.ms", "-1")]), Limits::default());
        assert_eq!(of(&[("cleanup.policy", "compact"), ("retention.ms", "1")]), Limits::default());
    }
}
