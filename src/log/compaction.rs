//! Compaction of one log: of the records of a key only the last one is kept (Kafka's `Cleaner`).
//!
//! One round goes twice over sealed segments. First over those that were never compacted (the
//! *dirty* ones): the last offset of each key is noted in a table of fixed size; where that is
//! full, the round ends, and the next one goes on. Then over all up to there: what is left of
//! them is written into new segments, small ones together in one, which take their places
//! ([`super::swap`]). Offsets stay as they are.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::env::Storage;
use crate::env::point::point;
use crate::error::{At, AtPosition, Result};
use crate::log::aborted::{self, AbortedTransaction};
use crate::log::batches::Batches;
use crate::log::files;
use crate::log::filter::{self, Filter, Kept};
use crate::log::offset_map::OffsetMap;
use crate::log::scan::Check;
use crate::log::segment::Segment;
use crate::log::swap;
use crate::log::tail::Tail;
use crate::log::transactions::{LastBatches, Transactions};
use crate::record::BatchInfo;
use crate::types::{NO_TIMESTAMP, Timestamp};

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

/// One round of compaction.
pub(crate) struct Round<'a> {
    pub(crate) storage: &'a Arc<dyn Storage>,
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a TopicConfig,
    /// Where the segments begin that may be compacted: all from the first on, ascending.
    pub(crate) bases: &'a [i64],
    /// Where the first segment begins that may not.
    pub(crate) end: i64,
    /// What is below was compacted before.
    pub(crate) dirty_from: i64,
    /// The aborted transactions that touch them.
    pub(crate) aborted: &'a [AbortedTransaction],
    /// Whether producers with ids have written to them.
    pub(crate) has_producers: bool,
    /// Those that wrote nothing after this have expired, if the clock can be believed so far.
    pub(crate) expired_until: Option<Timestamp>,
    pub(crate) now: Timestamp,
    /// Whether the clock can be believed.
    pub(crate) by_clock: bool,
    /// Bytes for the table of keys.
    pub(crate) memory: usize,
    /// A batch decompresses to at most so many bytes.
    pub(crate) max_decompressed: usize,
    /// Asked now and then; an error ends the round.
    pub(crate) go_on: &'a dyn Fn() -> Result<()>,
}

/// Cleaned files, on the disk for good, of the first segment of a group, which are to take the place
/// of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cleaned<'a> {
    /// Where the segments begin that they replace, ascending.
    pub(crate) group: &'a [i64],
    /// What began before this offset is in them, or gone.
    pub(crate) end: i64,
}

impl Round<'_> {
    /// Does the round; `put` puts each segment that is cleaned into its place. Gives the offset up
    /// to which the log is compacted now. After `Err` some segments may have been replaced.
    pub(crate) fn run(&self, mut put: impl FnMut(Cleaned<'_>) -> Result<()>) -> Result<i64> {
        let map = self.map()?;
        let clean_to = map.latest().saturating_add(1);
        let below = self.bases.partition_point(|base| *base < clean_to);
        let last_batches = self.last_batches()?;
        let filter = Filter {
            map: &map,
            last_batches: &last_batches,
            now: self.now,
            by_clock: self.by_clock,
            delete_retention: self.config.delete_retention_ms,
            max_decompressed: self.max_decompressed,
        };
        let mut transactions = Transactions::at(0, self.aborted);
        for group in self.groups(&self.bases[..below])? {
            if let Some(cleaned) = self.clean(&group, &filter, &mut transactions)? {
                put(cleaned)?;
            }
        }
        Ok(clean_to.max(self.dirty_from))
    }

    /// The last offsets of the keys in the dirty segments, as far as there is room.
    fn map(&self) -> Result<OffsetMap> {
        let mut map = OffsetMap::new(self.memory);
        let mut transactions = Transactions::at(self.dirty_from, self.aborted);
        let first = self.bases.partition_point(|base| *base <= self.dirty_from).saturating_sub(1);
        for base in &self.bases[first..] {
            if !self.map_segment(*base, &mut map, &mut transactions)? {
                return Ok(map);
            }
            // The offsets behind its last batch are gone.
            map.set_latest(self.bound(*base) - 1);
        }
        Ok(map)
    }

    /// `false` if there was no room for all of it.
    fn map_segment(
        &self,
        base: i64,
        map: &mut OffsetMap,
        transactions: &mut Transactions,
    ) -> Result<bool> {
        let segment = Segment::open(self.storage, self.dir, base, false)?;
        let (from, bound) = (self.dirty_from, self.bound(base));
        let mut batches = Batches::from(&segment, from, bound, Check::Checksums)?;
        while let Some((info, position)) = batches.next()? {
            (self.go_on)()?;
            let decoded = filter::decode(batches.bytes(&info)?, self.max_decompressed);
            let (batch, control) = decoded.at_position(&segment.path, position)?;
            let passed_over = transactions.take(&info, control) || info.is_control;
            for record in batch.records().take(if passed_over { 0 } else { usize::MAX }) {
                let record = record.at_position(&segment.path, position)?;
                let Some(key) = record.key.filter(|_| record.offset >= self.dirty_from) else {
                    continue;
                };
                if !map.put(key, record.offset) {
                    return Ok(false);
                }
            }
            map.set_latest(info.last_offset);
        }
        Ok(true)
    }

    fn last_batches(&self) -> Result<LastBatches> {
        let mut last = LastBatches::default();
        for base in self.bases.iter().filter(|_| self.has_producers) {
            (self.go_on)()?;
            let segment = Segment::open(self.storage, self.dir, *base, false)?;
            let mut batches = Batches::of(&segment, self.bound(*base), Check::Headers)?;
            while let Some((info, _)) = batches.next()? {
                last.take(&info);
            }
        }
        if let Some(time) = self.expired_until {
            last.forget_until(time);
        }
        Ok(last)
    }

    /// Which segments become one: as many as surely fit (Kafka's `groupSegmentsBySize`).
    fn groups(&self, bases: &[i64]) -> Result<Vec<Vec<i64>>> {
        let mut groups: Vec<Vec<i64>> = Vec::new();
        let mut size = Size::default();
        for base in bases {
            let next = Size::of(&Segment::open(self.storage, self.dir, *base, false)?)?;
            let last = self.bound(*base) - 1;
            match groups.last_mut() {
                Some(group)
                    if (size + next).fits(self.config)
                        && (next.log == 0 || last - group[0] <= i64::from(i32::MAX)) =>
                {
                    group.push(*base);
                    size = size + next;
                }
                _ => {
                    groups.push(vec![*base]);
                    size = next;
                }
            }
        }
        Ok(groups)
    }

    /// Where the segment behind one begins: none of its offsets is there or further on.
    fn bound(&self, base: i64) -> i64 {
        let behind = self.bases.partition_point(|it| *it <= base);
        self.bases.get(behind).copied().unwrap_or(self.end)
    }

    /// Writes what is left of a group. `None` if everything is.
    fn clean<'g>(
        &self,
        group: &'g [i64],
        filter: &Filter<'_>,
        transactions: &mut Transactions,
    ) -> Result<Option<Cleaned<'g>>> {
        let mut output = Output::create(self, group[0])?;
        // A batch is taken off when one is known to come behind it.
        let mut held: Option<Source> = None;
        let mut changed = group.len() > 1;
        for base in group {
            let segment = Segment::open(self.storage, self.dir, *base, false)?;
            let mut batches = Batches::of(&segment, self.bound(*base), Check::Checksums)?;
            while let Some((info, position)) = batches.next()? {
                (self.go_on)()?;
                let (path, bytes) = (segment.path.clone(), batches.bytes(&info)?);
                let source = Source { info, bytes, segment: *base, path, position };
                point("compact.batch");
                if let Some(batch) = held.replace(source) {
                    changed |= output.take(batch, filter, transactions, false)?;
                }
            }
        }
        let end = held.as_ref().map_or(group[0], |batch| batch.info.next_offset());
        // Others that it replaces are empty.
        let end = group.last().map_or(end, |last| end.max(last + 1));
        if let Some(batch) = held {
            // The end of what was compacted, as a broker keeps it. And a crash in the middle of the
            // swap leaves only the new segment's end to tell which ones it replaces.
            let needed = batch.info.next_offset() == self.end || output.leaves_out(batch.segment);
            changed |= output.take(batch, filter, transactions, needed)?;
        }
        if !changed {
            transactions.left();
            output.remove(self)?;
            return Ok(None);
        }
        output.finish(self, group, &transactions.left())?;
        point("compact.written");
        Ok(Some(Cleaned { group, end }))
    }
}

/// Whether a batch of a sealed segment has tombstones or a marker whose time is over (KIP-534).
pub(crate) fn has_expired(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    base: i64,
    now: Timestamp,
) -> Result<bool> {
    let segment = Segment::open(storage, dir, base, false)?;
    let mut batches = Batches::of(&segment, i64::MAX, Check::Headers)?;
    while let Some((info, _)) = batches.next()? {
        // An empty one stays for its producer's sake.
        if info.is_past_horizon(now) && info.records_count != Some(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How large the files of a segment are.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    log: u64,
    index: u32,
    times: u32,
}

impl Size {
    fn of(segment: &Segment) -> Result<Self> {
        let (index, times) = (segment.index.entries()?, segment.times.entries()?);
        Ok(Self { log: segment.len()?, index, times })
    }

    fn fits(self, config: &TopicConfig) -> bool {
        self.log <= u64::from(config.segment_bytes)
            && self.index <= config.segment_index_bytes / 8
            && self.times <= config.segment_index_bytes / 12
    }
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            log: self.log + other.log,
            index: self.index.saturating_add(other.index),
            times: self.times.saturating_add(other.times),
        }
    }
}

/// A batch, and where it is from.
struct Source {
    info: BatchInfo,
    bytes: Bytes,
    /// Where its segment begins.
    segment: i64,
    path: Arc<Path>,
    position: u64,
}

/// The segment that is written.
struct Output<'a> {
    segment: Segment,
    config: &'a TopicConfig,
    tail: Tail,
    /// What is not written yet, which begins at `written`.
    buffer: Vec<u8>,
    written: u64,
}

impl<'a> Output<'a> {
    fn create(round: &Round<'a>, base: i64) -> Result<Self> {
        Ok(Self {
            segment: Segment::create_behind(round.storage, round.dir, base, swap::CLEANED)?,
            config: round.config,
            tail: Tail::empty(base),
            buffer: Vec::new(),
            written: 0,
        })
    }

    /// Takes in what is left of a batch, and says whether that is not all.
    fn take(
        &mut self,
        batch: Source,
        filter: &Filter<'_>,
        transactions: &mut Transactions,
        needed: bool,
    ) -> Result<bool> {
        let Source { info, bytes, path, position, .. } = batch;
        let kept = filter.keep(bytes.clone(), transactions, needed);
        match kept.at_position(&path, position)? {
            Kept::Nothing => Ok(true),
            Kept::Whole => self.put(&info, &bytes).map(|()| false),
            Kept::Part(batch) => {
                let info = BatchInfo::parse(&batch).at_position(&path, position)?;
                self.put(&info, &batch)?;
                Ok(batch != bytes)
            }
        }
    }

    /// Whether it ends before the segment at `base` begins, which it is to replace.
    fn leaves_out(&self, base: i64) -> bool {
        self.segment.base_offset < base && self.tail.end_offset <= base
    }

    fn put(&mut self, info: &BatchInfo, batch: &[u8]) -> Result<()> {
        // The timestamp of an empty batch is that of no record; an index that led to it would be
        // in vain, and Kafka's tools would find fault with it.
        let empty = info.records_count == Some(0);
        let max_timestamp = if empty { NO_TIMESTAMP } else { info.max_timestamp };
        let info = BatchInfo { max_timestamp, ..*info };
        self.tail = self.segment.note(&self.tail, &info, self.config)?;
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.segment.log.write_at(self.written, &self.buffer).at("write", &self.segment.path)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the files whole, and makes them survive a crash.
    fn finish(
        mut self,
        round: &Round<'_>,
        group: &[i64],
        aborted: &[AbortedTransaction],
    ) -> Result<()> {
        self.flush()?;
        self.segment.note_time(&mut self.tail)?;
        self.segment.log.sync_data().at("sync", &self.segment.path)?;
        self.segment.index.sync()?;
        self.segment.times.sync()?;
        // An empty one too, where it is to replace one.
        let indexed = files::offsets(&**round.storage, round.dir, files::TXN_INDEX)?;
        if !aborted.is_empty() || indexed.contains(&group[0]) {
            let suffix = format!("{}{}", files::TXN_INDEX, swap::CLEANED);
            let path = files::path(round.dir, group[0], &suffix);
            let file = aborted::write_to(&**round.storage, &path, aborted)?;
            file.sync_data().at("sync", &path)?;
        }
        // The names too: a file whose name a crash took would not be missed.
        round.storage.sync_dir(round.dir).at("sync", round.dir)
    }

    /// Takes back what was written.
    fn remove(self, round: &Round<'_>) -> Result<()> {
        for suffix in [files::INDEX, files::TIME_INDEX, files::LOG] {
            let suffix = format!("{suffix}{}", swap::CLEANED);
            let path = files::path(round.dir, self.segment.base_offset, &suffix);
            files::remove(&**round.storage, &path)?;
        }
        Ok(())
    }
}
