//! Compaction of a log that several processes use.
//!
//! Whoever calls compacts, one at a time a partition: the others leave it. The work on sealed
//! segments needs no lock, for they do not change; only the moment in which the new files take the
//! place of the old ones is a turn, in which nobody appends. Readers notice by the page that
//! segments were replaced, and look for their place anew ([`steady`](Partition::steady)).

use std::time::Duration;

use crate::config::directory::MAX_DECOMPRESSED_SETTING;
use crate::engine::partition::Partition;
use crate::engine::patience;
use crate::engine::topics::OFFSETS_TOPIC;
use crate::engine::upkeep::jumps::Moment;
use crate::env::point::point;
use crate::env::{Mode, RecordLock};
use crate::error::{At, Error, Result};
use crate::log::checkpoint;
use crate::log::compaction::{self, Cleaned, Round};
use crate::log::retention;
use crate::log::segments::Edition;
use crate::log::swap;
use crate::planted::planted;
use crate::types::Timestamp;

/// Up to which offset each log was compacted; Kafka's file.
pub(crate) const CHECKPOINT: &str = checkpoint::CLEANED;

/// The file whose bytes are the locks of those who tidy up.
pub(crate) const LOCKS: &str = ".brokerless-upkeep";

/// The byte of who writes [`CHECKPOINT`], or where logs start. Byte 0 is in
/// [`expiry`](crate::engine::upkeep::expiry), byte 2 in [`rounds`](crate::engine::upkeep::rounds).
pub(crate) const CHECKPOINT_BYTE: u64 = 1;
/// From here on, of who looks after the partition with that page.
const FIRST_PARTITION_BYTE: u64 = 64;

/// Bytes that the table of keys may have at least. A round in which it is full is followed by
/// another.
const LEAST_MEMORY: usize = 64 << 10;

/// What could be compacted.
#[derive(Debug)]
struct Work {
    bases: Vec<i64>,
    /// Where the first segment begins that may not be.
    end: i64,
    dirty_from: i64,
    clean_bytes: u64,
    dirty_bytes: u64,
    /// The oldest timestamp of a segment that was never compacted.
    oldest: Timestamp,
}

impl Partition {
    /// Whether the topic's policy is to compact; that of committed offsets always is.
    pub fn is_compacted(&self) -> bool {
        self.config().compacted || *self.id.topic == *OFFSETS_TOPIC
    }

    /// Compacts the log if that is due by Kafka's rule (`min.cleanable.dirty.ratio`,
    /// `max.compaction.lag.ms`) and nobody else is at it; gives whether it did.
    ///
    /// Offsets stay as they are. After `Err` the log has what it had, whole or compacted.
    pub fn compact_if_due(&self, now: Timestamp) -> Result<bool> {
        Ok(self.look_at(self.shared.moment(now))?.unwrap_or(false))
    }

    /// The same; `None` if somebody else is at it, who may die of it.
    pub(super) fn look_at(&self, now: Moment) -> Result<Option<bool>> {
        let rolled = if self.shared.read_only { Ok(()) } else { self.roll_if_late(now.wall) };
        let compact = |()| {
            let Some(alone) = self.try_upkeep()? else { return Ok(None) };
            self.compact_where(alone, now, |work| Ok(work.is_due(self, now.wall))).map(Some)
        };
        self.unless_deleted(rolled.and_then(|()| self.may_compact()).and_then(compact))
    }

    /// Compacts all that may be, due or not: also what was compacted before, if a tombstone or a
    /// marker has been there for its time. A broker lets these stay until something else is due.
    /// Waits for who is at it: [`Error::Timeout`] if that one does not come to an end.
    pub fn compact(&self, now: Timestamp) -> Result<bool> {
        self.compact_asked(now, || Ok(()))
    }

    /// The same of all there is: the active segment is [sealed](Self::seal) first, when nobody else
    /// is at it.
    pub fn compact_all(&self, now: Timestamp) -> Result<bool> {
        self.compact_asked(now, || self.seal().map(drop))
    }

    fn compact_asked(&self, now: Timestamp, prepare: impl Fn() -> Result<()>) -> Result<bool> {
        let now = self.shared.moment(now);
        let is_worth_it =
            |work: &Work| Ok(work.dirty_bytes > 0 || self.has_expired(&work.bases, now)?);
        let compact = |()| {
            let alone = self.upkeep()?;
            prepare()?;
            self.compact_where(alone, now, is_worth_it)
        };
        self.unless_deleted(self.may_compact().and_then(compact))
    }

    /// The right to remove or replace sealed segments, when who has it has come to an end.
    fn upkeep(&self) -> Result<Box<dyn RecordLock>> {
        let what = "another compaction of the partition, or its retention,";
        patience::long(what, &*self.shared.env.clock, || {
            self.may_go_on()?;
            self.try_upkeep()
        })
    }

    fn may_compact(&self) -> Result<()> {
        if self.shared.read_only {
            return Err(Error::ReadOnly(self.shared.dir.clone()));
        }
        self.ready()
    }

    /// Begins a new segment if a record of the active one has waited for `max.compaction.lag.ms`. A
    /// broker does so only when another record comes.
    fn roll_if_late(&self, now: Timestamp) -> Result<()> {
        self.ready()?;
        let until = now.saturating_sub(self.config().max_compaction_lag_ms);
        let is_late = || -> Result<bool> {
            let tail = self.page.tail();
            let active = self.segments.get(
                tail.segment_base,
                Edition { newest: tail.segment_base, swaps: self.page.swaps() },
            )?;
            let first = active.first_timestamp(tail.end_position)?;
            Ok(first.is_some_and(|first| first > 0 && first < until))
        };
        if until < 0 || !self.is_compacted() || !is_late()? {
            return Ok(());
        }
        let _turn = self.turn()?;
        self.may_go_on()?;
        if is_late()? {
            let tail = self.page.tail();
            self.roll(&*self.active(tail.segment_base)?, tail)?;
        }
        Ok(())
    }

    /// Moves when segments are replaced.
    pub(crate) fn swaps(&self) -> u64 {
        self.page.swaps()
    }

    /// Segments that begin before this offset may be replaced.
    pub(crate) fn sealed_to(&self) -> i64 {
        self.page.tail().segment_base
    }

    fn compact_where(
        &self,
        _alone: Box<dyn RecordLock>,
        now: Moment,
        is_due: impl Fn(&Work) -> Result<bool>,
    ) -> Result<bool> {
        let compacted = self.compact_alone(now, is_due);
        self.rest();
        compacted
    }

    fn compact_alone(&self, now: Moment, is_due: impl Fn(&Work) -> Result<bool>) -> Result<bool> {
        self.clear_leftovers()?;
        let mut work = self.work(now)?;
        if !is_due(&work)? {
            return Ok(false);
        }
        // What is sealed meanwhile is for the next time: who writes fast enough would keep it from
        // ever coming to an end.
        let goal = work.end;
        let mut compacted = false;
        loop {
            let clean_to = self.round(&work, now)?;
            point("compact.cleaned");
            self.note_clean(clean_to)?;
            point("compact.noted");
            if clean_to <= work.dirty_from && work.dirty_bytes > 0 {
                log::warn!("{} cannot be compacted: too many keys in a batch", self.id);
                return Ok(compacted);
            }
            compacted = true;
            if clean_to >= goal || work.dirty_bytes == 0 {
                return Ok(compacted);
            }
            work = self.work(now)?;
        }
    }

    /// The right to remove or replace sealed segments, until it is dropped; `None` while somebody
    /// else has it.
    pub(crate) fn try_upkeep(&self) -> Result<Option<Box<dyn RecordLock>>> {
        self.try_alone(FIRST_PARTITION_BYTE + u64::from(self.slot))
    }

    /// One of the locks of who tidies up, until it is dropped; `None` while somebody else has it.
    pub(crate) fn try_alone(&self, byte: u64) -> Result<Option<Box<dyn RecordLock>>> {
        let path = self.shared.dir.join(LOCKS);
        let lock = self.shared.env.storage.lock_byte(&path, byte).at("open", &path)?;
        Ok(lock.try_acquire(Mode::Exclusive).at("lock", &path)?.then_some(lock))
    }

    /// Removes what somebody left who died at this.
    pub(crate) fn clear_leftovers(&self) -> Result<()> {
        let is_unsettled = || swap::is_unsettled(&*self.shared.env.storage, &self.dir);
        if self.page.swaps().is_multiple_of(2) && !is_unsettled()? {
            return Ok(());
        }
        let _turn = self.turn()?;
        if is_unsettled()? { self.settle() } else { Ok(()) }
    }

    /// Completes or undoes what somebody began who died at it. For the holder of the lock.
    pub(crate) fn settle(&self) -> Result<()> {
        self.page.begin_swap();
        if !planted("no-settle") {
            swap::settle(&self.shared.env.storage, &self.dir)?;
        }
        self.page.end_swap();
        Ok(())
    }

    fn work(&self, now: Moment) -> Result<Work> {
        let tail = self.page.tail();
        let edition = Edition { newest: tail.segment_base, swaps: self.page.swaps() };
        let mut bases = self.segments.bases(edition)?;
        let dirty_from = self.dirty_from(tail.end_offset)?;
        // What is not decided yet cannot be judged.
        let stable = bases.partition_point(|base| *base <= tail.last_stable_offset);
        let mut end = bases[..stable].last().copied().unwrap_or(tail.segment_base);
        let dirty = bases.partition_point(|base| *base <= dirty_from).saturating_sub(1);
        let lag = self.config().min_compaction_lag_ms;
        let believed = lag <= 0 || self.shared.doubts(now)?.allow(lag);
        let mut work = Work { dirty_from, ..Work::empty(end) };
        for (index, base) in bases.iter().enumerate().take_while(|(_, base)| **base < end) {
            let segment = self.segments.get(*base, edition)?;
            let len = segment.len()?;
            if index < dirty {
                work.clean_bytes += len;
                continue;
            }
            if lag > 0
                && (!believed || retention::youngest(&segment, len)? > now.wall.saturating_sub(lag))
            {
                end = *base;
                break;
            }
            let oldest = segment.first_timestamp(len)?.filter(|timestamp| *timestamp > 0);
            work.oldest = work.oldest.min(oldest.unwrap_or(Timestamp::MAX));
            work.dirty_bytes += len;
        }
        bases.retain(|base| *base < end);
        Ok(Work { bases, end, ..work })
    }

    /// The offset in the checkpoint, where that can be.
    fn dirty_from(&self, end: i64) -> Result<i64> {
        let path = self.shared.dir.join(CHECKPOINT);
        let noted = checkpoint::read_offsets(&*self.shared.env.storage, &path)?;
        let start = self.page.log_start_offset();
        let noted = noted.get(&self.id).copied().filter(|noted| (start..=end).contains(noted));
        Ok(noted.unwrap_or(start))
    }

    /// Whether a batch of the segments waits for a time that is over to lose its tombstones.
    fn has_expired(&self, bases: &[i64], now: Moment) -> Result<bool> {
        if !self.believes_horizons(now)? {
            return Ok(false);
        }
        for base in bases {
            self.may_go_on()?;
            if compaction::has_expired(&self.shared.env.storage, &self.dir, *base, now.wall)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the clock can be believed as far as tombstones are concerned.
    fn believes_horizons(&self, now: Moment) -> Result<bool> {
        self.believes(now, self.config().delete_retention_ms)
    }

    /// Whether what is as old by the clock as `time` is so.
    fn believes(&self, now: Moment, time: i64) -> Result<bool> {
        Ok(planted("no-jump-test") || self.shared.doubts(now)?.allow(time))
    }

    /// The producers that wrote nothing after this have expired, if that can be said.
    fn expired_until(&self, now: Moment) -> Result<Option<Timestamp>> {
        let time = self.shared.config().producer_id_expiration_ms;
        Ok(self.believes(now, time)?.then(|| now.wall.saturating_sub(time)))
    }

    fn round(&self, work: &Work, now: Moment) -> Result<i64> {
        let aborted = self.aborted(0, work.end)?;
        let memory = self.shared.config().log_cleaner_dedupe_buffer_size;
        let memory = usize::try_from(memory).unwrap_or(usize::MAX).max(LEAST_MEMORY);
        let config = self.config();
        let round = Round {
            storage: &self.shared.env.storage,
            dir: &self.dir,
            config: &config,
            bases: &work.bases,
            end: work.end,
            dirty_from: work.dirty_from,
            aborted: &aborted,
            has_producers: self.page.has_producers(),
            expired_until: self.expired_until(now)?,
            now: now.wall,
            by_clock: self.believes_horizons(now)?,
            memory,
            max_decompressed: self.shared.config().max_decompressed_bytes,
            go_on: &|| self.may_go_on(),
        };
        let clean_to = round.run(|cleaned| self.swap_in(cleaned));
        clean_to.map_err(|error| error.limited_by(MAX_DECOMPRESSED_SETTING, None))
    }

    pub(crate) fn may_go_on(&self) -> Result<()> {
        if self.page.is_deleted() {
            return Err(Error::UnknownTopicOrPartition(self.id.clone()));
        }
        if self.page.is_poisoned() {
            return Err(Error::Poisoned(self.id.clone()));
        }
        self.shared.check_hurry()
    }

    fn swap_in(&self, cleaned: Cleaned<'_>) -> Result<()> {
        let _turn = self.turn()?;
        self.may_go_on()?;
        self.check_place()?;
        // After an error it is the next turn that ends this.
        self.page.begin_swap();
        point("compact.begun");
        swap::swap_in(&*self.shared.env.storage, &self.dir, cleaned.group, cleaned.end)?;
        point("compact.swapped");
        self.page.end_swap();
        point("compact.ended");
        Ok(())
    }

    /// Writes the checkpoint. If somebody else is at it for too long, the log is compacted from
    /// the last one on again.
    fn note_clean(&self, offset: i64) -> Result<()> {
        let storage = &*self.shared.env.storage;
        let path = self.shared.dir.join(CHECKPOINT);
        for _ in 0..1000 {
            if let Some(_alone) = self.try_alone(CHECKPOINT_BYTE)? {
                if self.page.is_deleted() {
                    return Ok(());
                }
                let mut offsets = checkpoint::read_offsets(storage, &path)?;
                offsets.insert(self.id.clone(), offset);
                return checkpoint::write_offsets(storage, &path, &offsets);
            }
            self.shared.env.clock.pause(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Work {
    fn empty(end: i64) -> Self {
        Self {
            bases: Vec::new(),
            end,
            dirty_from: 0,
            clean_bytes: 0,
            dirty_bytes: 0,
            oldest: Timestamp::MAX,
        }
    }

    #[allow(clippy::cast_precision_loss)] // a ratio need not be exact
    fn is_due(&self, partition: &Partition, now: Timestamp) -> bool {
        let config = partition.config();
        let all = self.clean_bytes + self.dirty_bytes;
        let ratio = self.dirty_bytes as f64 / all.max(1) as f64;
        let late = self.oldest < now.saturating_sub(config.max_compaction_lag_ms);
        self.dirty_bytes > 0 && (ratio > config.min_cleanable_dirty_ratio || late)
    }
}
