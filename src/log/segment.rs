//! One segment: a file of batches and its two indexes (Kafka's `LogSegment`).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::env::point::point;
use crate::env::{Access, File, Storage};
use crate::error::{At, AtPosition, Result};
use crate::log::files;
use crate::log::index::{Moment, OffsetIndex, Place, TimeIndex};
use crate::log::scan::{Check, Found, Scan};
use crate::log::tail::Tail;
use crate::planted::planted;
use crate::record::{Batch, BatchInfo};
use crate::types::Timestamp;

/// The open files of a segment. Which of their bytes count is decided by who uses it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    pub(crate) path: Arc<Path>,
    pub(crate) log: Arc<dyn File>,
    pub(crate) index: OffsetIndex,
    pub(crate) times: TimeIndex,
}

/// The first record at or after a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The leader epoch it was written in, or -1.
    pub leader_epoch: i32,
}

/// Bytes that cannot all be zero where a batch begins: its offset and its length.
const ZEROS: usize = 12;

/// The youngest batch of a part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Youngest {
    /// -1 if there is none.
    pub(crate) timestamp: Timestamp,
    /// An offset in it.
    pub(crate) offset: i64,
    /// Where it begins.
    position: u64,
}

impl Segment {
    /// Opens a segment that exists. Its indexes are made anew where they are missing and may be
    /// written.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        base_offset: i64,
        writable: bool,
    ) -> Result<Self> {
        let (log, index) =
            if writable { (Access::Update, Access::Write) } else { (Access::Read, Access::Read) };
        Self::open_as(storage, dir, base_offset, "", log, index)
    }

    /// Opens the files of a segment that have `behind` behind their names, for reading.
    pub(crate) fn open_behind(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        base_offset: i64,
        behind: &str,
    ) -> Result<Self> {
        Self::open_as(storage, dir, base_offset, behind, Access::Read, Access::Read)
    }

    fn open_as(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        base_offset: i64,
        behind: &str,
        log: Access,
        index: Access,
    ) -> Result<Self> {
        let path = |suffix: &str| files::path(dir, base_offset, &format!("{suffix}{behind}"));
        let log_path = path(files::LOG);
        Ok(Self {
            base_offset,
            log: storage.open(&log_path, log).at("open", &log_path)?,
            path: log_path.into(),
            index: OffsetIndex::new(storage.clone(), path(files::INDEX), index),
            times: TimeIndex::new(storage.clone(), path(files::TIME_INDEX), index),
        })
    }

    /// Makes an empty segment. Its name survives a crash when the folder was synced.
    pub(crate) fn create(storage: &Arc<dyn Storage>, dir: &Path, base_offset: i64) -> Result<Self> {
        Self::create_behind(storage, dir, base_offset, "")
    }

    /// Makes an empty segment whose files have `behind` behind their names.
    pub(crate) fn create_behind(
        storage: &Arc<dyn Storage>,
        dir: &Path,
        base_offset: i64,
        behind: &str,
    ) -> Result<Self> {
        let write = Access::Write;
        let segment = Self::open_as(storage, dir, base_offset, behind, write, write)?;
        segment.log.set_len(0).at("truncate", &segment.path)?;
        segment.index.truncate(0)?;
        segment.times.truncate(0)?;
        Ok(segment)
    }

    /// Removes every file of the segment that begins at `base_offset`.
    pub(crate) fn remove(storage: &dyn Storage, dir: &Path, base_offset: i64) -> Result<()> {
        for suffix in [files::INDEX, files::TIME_INDEX, files::TXN_INDEX, files::LOG] {
            files::remove(storage, &files::path(dir, base_offset, suffix))?;
        }
        Ok(())
    }

    /// Bytes in the log file.
    pub(crate) fn len(&self) -> Result<u64> {
        self.log.len().at("stat", &self.path)
    }

    /// Whether it begins with neither a batch nor bytes that could have been one.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        let mut start = [0; ZEROS];
        self.log.read_at(0, &mut start).at("read", &self.path)?;
        Ok(start == [0; ZEROS])
    }

    /// Whether zeros begin at `position`, as they do behind the last batch of a file that was made
    /// longer than what is in it.
    pub(crate) fn has_zeros_at(&self, position: u64) -> Result<bool> {
        let mut bytes = [0; ZEROS];
        let read = self.log.read_at(position, &mut bytes).at("read", &self.path)?;
        Ok(read > 0 && bytes == [0; ZEROS])
    }

    /// Makes the file `len` bytes long, with zeros.
    pub(crate) fn allocate(&self, len: u64) -> Result<()> {
        self.log.allocate(len).at("allocate", &self.path)
    }

    /// Writes zeros from one position to another.
    pub(crate) fn write_zeros(&self, from: u64, to: u64) -> Result<()> {
        const CHUNK: u64 = 64 << 10;
        static ZEROS: [u8; CHUNK as usize] = [0; CHUNK as usize];

        let mut at = from;
        while at < to {
            let size = (to - at).min(CHUNK);
            self.log.write_at(at, &ZEROS[..size as usize]).at("write", &self.path)?;
            at += size;
        }
        Ok(())
    }

    /// Cuts the log file.
    pub(crate) fn cut(&self, end: u64) -> Result<()> {
        self.log.set_len(end).at("truncate", &self.path)
    }

    fn scan(&self, position: u64, end: u64) -> Scan<'_> {
        Scan::new(&*self.log, &self.path, position, end, Check::Headers)
    }

    /// Writes a batch behind `tail`, with index entries if they are due; gives the new tail. The
    /// last stable offset is the caller's to set.
    pub(crate) fn append(
        &self,
        tail: &Tail,
        info: &BatchInfo,
        batch: &[u8],
        config: &TopicConfig,
    ) -> Result<Tail> {
        self.log.write_at(tail.end_position, batch).at("append", &self.path)?;
        point("append.bytes");
        self.note(tail, info, config)
    }

    /// Makes the index entries that are due after the batch of `info` at the end of `tail`.
    pub(crate) fn note(&self, tail: &Tail, info: &BatchInfo, config: &TopicConfig) -> Result<Tail> {
        let mut next = tail.after(info);
        let since = tail.end_position.saturating_sub(tail.indexed_position);
        if since > u64::from(config.index_interval_bytes) {
            self.note_offset(&mut next, info.last_offset, tail.end_position)?;
            self.note_time(&mut next)?;
            next.indexed_position = tail.end_position;
        }
        Ok(next)
    }

    fn note_offset(&self, tail: &mut Tail, offset: i64, position: u64) -> Result<()> {
        let place = Place {
            relative_offset: offset.wrapping_sub(self.base_offset) as u32,
            position: position as u32,
        };
        self.index.put(tail.index_entries, place)?;
        tail.index_entries = tail.index_entries.saturating_add(1);
        Ok(())
    }

    /// Adds the youngest timestamp so far to the time index, unless it is there.
    pub(crate) fn note_time(&self, tail: &mut Tail) -> Result<()> {
        let last = match tail.time_entries {
            0 => i64::MIN,
            entries => self.times.moment(entries - 1)?.timestamp,
        };
        if tail.max_timestamp > last.max(-1) {
            self.times.put(tail.time_entries, self.moment_of(tail))?;
            tail.time_entries = tail.time_entries.saturating_add(1);
        }
        Ok(())
    }

    /// The youngest timestamp so far, as an entry of the time index.
    pub(crate) fn moment_of(&self, tail: &Tail) -> Moment {
        let relative_offset = tail.offset_of_max_timestamp.wrapping_sub(self.base_offset) as u32;
        Moment { timestamp: tail.max_timestamp, relative_offset }
    }

    /// Where the first batch begins that ends at or after `offset`; `end` if there is none before.
    pub(crate) fn find(&self, offset: i64, end: u64) -> Result<u64> {
        let mut hint = self.hint(offset, end)?;
        let mut scan = self.scan(hint, end);
        loop {
            let position = scan.position();
            match scan.next()? {
                Found::Batch(info) if info.last_offset >= offset => return Ok(position),
                Found::Batch(_) => {}
                Found::End => return Ok(end),
                // A stale index entry may lead into the middle of a batch.
                Found::Bad(_) if hint > 0 => {
                    hint = 0;
                    scan = self.scan(hint, end);
                }
                Found::Bad(what) => return Err(what).at_position(&self.path, position),
            }
        }
    }

    /// A place at or before the batch that holds `offset`, from the index if that proves right.
    fn hint(&self, offset: i64, end: u64) -> Result<u64> {
        if offset <= self.base_offset {
            return Ok(0);
        }
        let Ok(relative) = u32::try_from(offset.saturating_sub(self.base_offset)) else {
            return Ok(0);
        };
        let Some(place) = self.index.floor(self.index.entries()?, relative)? else { return Ok(0) };
        let position = u64::from(place.position);
        let proven = self.holds(position, end, place.relative_offset)?;
        Ok(if proven { position } else { 0 })
    }

    /// Whether a batch begins at `position` that fits an index entry of that offset.
    fn holds(&self, position: u64, end: u64, relative_offset: u32) -> Result<bool> {
        if position >= end {
            return Ok(false);
        }
        let offsets = self.base_offset..=self.base_offset + i64::from(relative_offset);
        let found = self.scan(position, end).next()?;
        Ok(matches!(found, Found::Batch(info) if offsets.contains(&info.base_offset)))
    }

    /// The timestamp of the first batch, if there is one before `end`.
    pub(crate) fn first_timestamp(&self, end: u64) -> Result<Option<Timestamp>> {
        Ok(match self.scan(0, end).next()? {
            Found::Batch(info) => Some(info.max_timestamp),
            _ => None,
        })
    }

    /// The youngest timestamp that the time index knows.
    pub(crate) fn max_indexed_timestamp(&self) -> Result<Option<Timestamp>> {
        let entries = self.times.entries()?;
        entries.checked_sub(1).map(|last| Ok(self.times.moment(last)?.timestamp)).transpose()
    }

    /// Whether every record before `end` is older than `timestamp`.
    pub(crate) fn is_older_than(&self, timestamp: Timestamp, end: u64) -> Result<bool> {
        if self.max_indexed_timestamp()?.is_some_and(|youngest| youngest >= timestamp) {
            return Ok(false);
        }
        let youngest = self.youngest(self.times.entries()?, end)?;
        Ok(youngest.timestamp < timestamp)
    }

    /// The youngest batch before `end`: what the last of the first `entries` of the time index says,
    /// if the log proves it, or a younger one behind that.
    pub(crate) fn youngest(&self, entries: u32, end: u64) -> Result<Youngest> {
        let proven = match entries.checked_sub(1) {
            Some(last) => self.prove(last, entries, end)?,
            None => None,
        };
        let mut youngest = proven.unwrap_or(Youngest { timestamp: -1, offset: -1, position: 0 });
        let mut scan = self.scan(youngest.position, end);
        loop {
            let position = scan.position();
            match scan.next()? {
                Found::Batch(info) if info.max_timestamp > youngest.timestamp => {
                    let (timestamp, offset) = (info.max_timestamp, info.last_offset);
                    youngest = Youngest { timestamp, offset, position };
                }
                Found::Batch(_) => {}
                Found::End => return Ok(youngest),
                Found::Bad(what) => return Err(what).at_position(&self.path, position),
            }
        }
    }

    /// The largest timestamp of the batches from the one that holds `offset` on.
    pub(crate) fn youngest_from(&self, offset: i64, end: u64) -> Result<Timestamp> {
        let mut scan = self.scan(self.find(offset, end)?, end);
        let mut youngest = -1;
        loop {
            let position = scan.position();
            match scan.next()? {
                Found::Batch(info) => youngest = info.max_timestamp.max(youngest),
                Found::End => return Ok(youngest),
                Found::Bad(what) => return Err(what).at_position(&self.path, position),
            }
        }
    }

    /// A place that no record as young as `timestamp` lies before.
    fn time_hint(&self, timestamp: Timestamp, end: u64) -> Result<u64> {
        let entries = self.times.entries()?;
        let below = self.times.count_below(entries, timestamp)?;
        let Some(last) = below.checked_sub(1) else { return Ok(0) };
        // Records up to an entry's offset are not younger than its timestamp.
        let proven = self.prove(last, entries, end)?.filter(|found| found.timestamp < timestamp);
        Ok(proven.map_or(0, |found| found.position))
    }

    /// The batch that entry `index` of the time index is about, if there is one in the log that is
    /// as the entry says, and the entries beside it are in order.
    fn prove(&self, index: u32, entries: u32, end: u64) -> Result<Option<Youngest>> {
        let Moment { timestamp, relative_offset } = self.times.moment(index)?;
        for beside in [index.wrapping_sub(1), index + 1] {
            if beside < entries {
                let other = self.times.moment(beside)?;
                let order = beside.cmp(&index);
                if other.timestamp.cmp(&timestamp) != order
                    || other.relative_offset.cmp(&relative_offset) != order
                {
                    return Ok(None);
                }
            }
        }
        let offset = self.base_offset + i64::from(relative_offset);
        let position = self.find(offset, end)?;
        let found = self.scan(position, end).next()?;
        let is_it = |info: &BatchInfo| {
            let first = if info.magic == 2 { info.base_offset } else { offset };
            info.max_timestamp == timestamp && first <= offset
        };
        let proven =
            planted("trust-time-index") || matches!(&found, Found::Batch(info) if is_it(info));
        Ok(proven.then_some(Youngest { timestamp, offset, position }))
    }

    /// The first record at `from` or later that is not older than `timestamp`. A batch that is
    /// looked into decompresses to at most `limit` bytes.
    pub(crate) fn find_time(
        &self,
        timestamp: Timestamp,
        from: i64,
        end: u64,
        limit: usize,
    ) -> Result<Option<TimedOffset>> {
        let start = self.find(from, end)?.max(self.time_hint(timestamp, end)?);
        let mut scan = self.scan(start, end);
        loop {
            let position = scan.position();
            match scan.next()? {
                Found::Batch(info) if info.max_timestamp >= timestamp => {
                    let bytes = Bytes::copy_from_slice(scan.last(info.size)?);
                    let found = first_since(&info, bytes, timestamp, from, limit);
                    if let Some(found) = found.at_position(&self.path, position)? {
                        return Ok(Some(found));
                    }
                }
                Found::Batch(_) => {}
                Found::End => return Ok(None),
                Found::Bad(what) => return Err(what).at_position(&self.path, position),
            }
        }
    }
}

fn first_since(
    info: &BatchInfo,
    bytes: Bytes,
    timestamp: Timestamp,
    from: i64,
    limit: usize,
) -> Result<Option<TimedOffset>, crate::Corruption> {
    let batch = Batch::decode(bytes, limit)?;
    for record in batch.records() {
        let record = record?;
        if record.timestamp >= timestamp && record.offset >= from {
            return Ok(Some(TimedOffset {
                offset: record.offset,
                timestamp: record.timestamp,
                leader_epoch: info.leader_epoch,
            }));
        }
    }
    Ok(None)
}
