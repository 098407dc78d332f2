//! Retention of a log that several processes use: what is due by time or size goes, and what the
//! user asks to have deleted ([`log::retention`](crate::log::retention) decides).
//!
//! 1. Where the log will start is written down and survives a crash
//!    (`log-start-offset-checkpoint`). From here on nothing before that is ever shown again,
//!    whatever a crash leaves of the files.
//! 2. In a turn, in which nobody appends, the page tells the new start, the leader epochs are cut,
//!    and the files get names that end in `.deleted`. Readers notice by the page that segments
//!    went: one in the middle of a segment that it has open reads on, or is out of range.
//! 3. After `file.delete.delay.ms` the files are removed, by whoever finds them then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::directory::root::LOG_STARTS;
use crate::engine::partition::Partition;
use crate::engine::patience;
use crate::engine::topics::{OFFSETS_TOPIC, is_internal};
use crate::engine::upkeep::compact::CHECKPOINT_BYTE;
use crate::engine::upkeep::jumps::Moment;
use crate::env::point::point;
use crate::error::{At, Error, Result};
use crate::log::checkpoint::{self, LeaderEpochs};
use crate::log::files;
use crate::log::retention::{self, DELETED, Limits, Piece, Stock};
use crate::log::segments::Edition;
use crate::planted::planted;
use crate::types::Timestamp;

/// What this process knows of a partition for its upkeep.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// The largest timestamp of the first segment that was not due: its base and the edition of
    /// the list it is from.
    youngest: Mutex<Option<(i64, u64, Timestamp)>>,
    /// Files that are about to be removed, and when, by the monotonic clock.
    buried: Mutex<HashMap<String, Duration>>,
}

impl Keeping {
    fn youngest(&self) -> MutexGuard<'_, Option<(i64, u64, Timestamp)>> {
        self.youngest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buried(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        self.buried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partition {
    /// Deletes the segments that are due by Kafka's rules (`retention.ms`, `retention.bytes`, and
    /// what lies before the log's start), unless somebody else is at it; gives whether some were.
    ///
    /// After a jump of the wall clock nothing is deleted for its age before the clock has gone on
    /// for `retention.ms`. After `Err` the log has what it had, or starts where it would have.
    pub fn retain_if_due(&self, now: Timestamp) -> Result<bool> {
        self.retain_at(self.shared.moment(now))
    }

    pub(super) fn retain_at(&self, now: Moment) -> Result<bool> {
        self.check_writable()?;
        self.ready()?;
        let Some(_alone) = self.try_upkeep()? else { return Ok(false) };
        let retained = self.retain(now);
        self.rest();
        self.unless_deleted(retained)
    }

    fn retain(&self, now: Moment) -> Result<bool> {
        self.clear_leftovers()?;
        self.remove_deleted()?;
        let limits = self.limits(now)?;
        let before = self.page.log_start_offset();
        match self.first_kept(limits, now.wall)? {
            Kept::All => return Ok(false),
            Kept::From(start) if start <= before => self.drop_segments(start)?,
            Kept::From(start) => self.start_at(start)?,
            Kept::Nothing => {
                let start = self.seal_if_due(limits, now.wall)?;
                self.start_at(start)?;
            }
        }
        self.remove_deleted()?;
        Ok(true)
    }

    /// Deletes the records before an offset, or all there are (-1); gives where the log starts
    /// now. It survives a crash, and the records with it that are left.
    pub fn delete_records(&self, before: i64) -> Result<i64> {
        self.check_writable()?;
        self.check_policy()?;
        self.ready()?;
        let tail = self.page.tail();
        let (start, end) = (self.page.log_start_offset(), tail.end_offset);
        let wanted = if before == -1 { end } else { before };
        if !(0..=end).contains(&wanted) {
            let partition = self.id.clone();
            return Err(Error::OffsetOutOfRange { partition, offset: wanted, start, end });
        }
        if wanted <= start {
            return Ok(start);
        }
        // Else a crash could take records, and what is written in their place would be hidden.
        if !planted("no-sync-before-deletion") {
            self.sync(wanted)?;
        }
        self.note_start(wanted)?;
        point("retain.told");
        let turn = self.turn()?;
        self.may_go_on()?;
        self.begin_at(wanted)?;
        drop(turn);
        if let Some(_alone) = self.try_upkeep()? {
            self.drop_segments(wanted)?;
        }
        Ok(self.page.log_start_offset())
    }

    fn check_writable(&self) -> Result<()> {
        if self.shared.read_only {
            return Err(Error::ReadOnly(self.shared.dir.clone()));
        }
        Ok(())
    }

    /// As a broker has it.
    fn check_policy(&self) -> Result<()> {
        if is_internal(&self.id.topic) {
            return Err(Error::InternalTopic(self.id.topic.to_string()));
        }
        if !self.config().deleting {
            let why = "records are deleted only where cleanup.policy has delete";
            return Err(Error::PolicyViolation { partition: self.id.clone(), why });
        }
        Ok(())
    }

    /// What may be in the log, by a clock that may have jumped.
    fn limits(&self, now: Moment) -> Result<Limits> {
        if *self.id.topic == *OFFSETS_TOPIC {
            return Ok(Limits::default());
        }
        let mut limits = Limits::of(&self.config());
        if let Some(time) = limits.time
            && !planted("no-jump-test")
            && !self.shared.doubts(now)?.allow(time)
        {
            limits.time = None;
        }
        Ok(limits)
    }

    fn first_kept(&self, limits: Limits, now: Timestamp) -> Result<Kept> {
        let tail = self.page.tail();
        let edition = Edition { newest: tail.segment_base, swaps: self.page.swaps() };
        let mut pieces = Vec::new();
        for base in self.segments.bases(edition)? {
            let size = if base == tail.segment_base {
                tail.end_position
            } else if limits.size.is_some() {
                self.segments.get(base, edition)?.len()?
            } else {
                0
            };
            pieces.push(Piece { base, size });
        }
        let stock = Stock {
            pieces: &pieces,
            start: self.page.log_start_offset(),
            bound: tail.last_stable_offset,
            end: tail.end_offset,
        };
        let due = stock.due(limits, now, |base| self.youngest(base, edition))?;
        Ok(match pieces.get(due) {
            _ if due == 0 => Kept::All,
            Some(first) => Kept::From(first.base),
            None => Kept::Nothing,
        })
    }

    /// The largest timestamp of a segment.
    fn youngest(&self, base: i64, edition: Edition) -> Result<Timestamp> {
        let tail = self.page.tail();
        if base == tail.segment_base && tail.max_timestamp >= 0 {
            return Ok(tail.max_timestamp);
        }
        let known = *self.keeping.youngest();
        if let Some((_, _, youngest)) = known.filter(|it| (it.0, it.1) == (base, edition.swaps)) {
            return Ok(youngest);
        }
        let segment = self.segments.get(base, edition)?;
        let is_active = base == tail.segment_base;
        let end = if is_active { tail.end_position } else { segment.len()? };
        let youngest = retention::youngest(&segment, end)?;
        if !is_active {
            *self.keeping.youngest() = Some((base, edition.swaps, youngest));
        }
        Ok(youngest)
    }

    /// Begins a new segment if all that is there is due, also now that nobody can append; gives
    /// where the log is to start.
    fn seal_if_due(&self, limits: Limits, now: Timestamp) -> Result<i64> {
        let _turn = self.turn()?;
        self.may_go_on()?;
        match self.first_kept(limits, now)? {
            Kept::All => Ok(self.page.log_start_offset()),
            Kept::From(start) => Ok(start),
            Kept::Nothing => {
                let tail = self.page.tail();
                let active = self.active(tail.segment_base)?;
                let (_, next) = self.roll(&active, tail)?;
                point("retain.rolled");
                Ok(next.segment_base)
            }
        }
    }

    /// Lets the log start at `start`, where a segment begins, and takes away what is before. For
    /// the holder of the upkeep.
    fn start_at(&self, start: i64) -> Result<()> {
        if !planted("delete-before-start-is-durable") {
            self.note_start(start)?;
        }
        point("retain.noted");
        let turn = self.turn()?;
        self.may_go_on()?;
        self.begin_at(start)?;
        self.bury(start)?;
        drop(turn);
        if planted("delete-before-start-is-durable") {
            self.note_start(start)?;
        }
        point("retain.buried");
        Ok(())
    }

    /// Takes away the segments before `start`, where the log starts already.
    fn drop_segments(&self, start: i64) -> Result<()> {
        let _turn = self.turn()?;
        self.may_go_on()?;
        self.check_place()?;
        self.bury(start)
    }

    /// Writes down where the log starts, so that it survives a crash.
    fn note_start(&self, start: i64) -> Result<()> {
        let storage = &*self.shared.env.storage;
        let path = self.shared.dir.join(LOG_STARTS);
        let what = "the lock of the checkpoints";
        let _alone =
            patience::long(what, &*self.shared.env.clock, || self.try_alone(CHECKPOINT_BYTE))?;
        if self.page.is_deleted() {
            return Err(Error::UnknownTopicOrPartition(self.id.clone()));
        }
        self.check_place()?;
        let mut starts = checkpoint::read_offsets(storage, &path)?;
        let known = starts.get(&self.id).copied().unwrap_or(0);
        if known < start {
            starts.insert(self.id.clone(), start);
            checkpoint::write_offsets(storage, &path, &starts)?;
        }
        Ok(())
    }

    /// Tells everybody where the log starts. For the holder of the lock.
    fn begin_at(&self, start: i64) -> Result<()> {
        self.page.advance_log_start(start);
        point("retain.started");
        let storage = &*self.shared.env.storage;
        let mut epochs = LeaderEpochs::read(storage, &self.dir)?;
        if epochs.truncate_from_start(start) {
            epochs.write(storage, &self.dir)?;
        }
        Ok(())
    }

    /// Gives the files from before `start` other names. For the holder of the lock.
    fn bury(&self, start: i64) -> Result<()> {
        // After an error it is the next turn that ends this.
        self.page.begin_swap();
        point("retain.begun");
        let buried = retention::bury(&*self.shared.env.storage, &self.dir, start)?;
        self.page.end_swap();
        let due = self.removal_due();
        self.keeping.buried().extend(buried.into_iter().map(|name| (name, due)));
        Ok(())
    }

    /// When what gets its name now is removed, by the monotonic clock.
    fn removal_due(&self) -> Duration {
        let delay = u64::try_from(self.config().file_delete_delay_ms).unwrap_or(0);
        let delay = Duration::from_millis(delay);
        self.shared.env.clock.monotonic().saturating_add(delay)
    }

    /// Removes the files whose time has come, also those that the dead have left: of them the time
    /// counts from when they are first seen.
    fn remove_deleted(&self) -> Result<()> {
        let storage = &*self.shared.env.storage;
        let now = self.shared.env.clock.monotonic();
        let due = self.removal_due();
        let mut left = HashMap::new();
        for entry in storage.list(&self.dir).at("list", &self.dir)? {
            if !entry.name.ends_with(DELETED) {
                continue;
            }
            let due = self.keeping.buried().get(&entry.name).copied().unwrap_or(due);
            if due <= now {
                files::remove(storage, &self.dir.join(&entry.name))?;
                point("retain.removed");
            } else {
                left.insert(entry.name, due);
            }
        }
        *self.keeping.buried() = left;
        Ok(())
    }

    /// Removes the files of this process's doing whose time has come, or all of them.
    pub(crate) fn remove_buried(&self, all: bool) -> Result<()> {
        let now = self.shared.env.clock.monotonic();
        let is_due = |due: &Duration| all || *due <= now;
        if !self.keeping.buried().values().any(is_due) || self.page.is_deleted() {
            return Ok(());
        }
        let mut buried = self.keeping.buried();
        let due: Vec<_> = buried.extract_if(|_, due| is_due(due)).map(|(name, _)| name).collect();
        drop(buried);
        let remove = |name| files::remove(&*self.shared.env.storage, &self.dir.join(name));
        due.iter().try_for_each(remove)
    }
}

/// What is left of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    All,
    /// What is in the segments from this offset on.
    From(i64),
    Nothing,
}
