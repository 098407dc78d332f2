//! The expiry of what groups without members have committed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::coord::offsets::Offsets;
use crate::engine::partition::Partition;
use crate::engine::topics::OFFSETS_TOPIC;
use crate::engine::upkeep::compact::LOCKS;
use crate::engine::upkeep::jumps::{Check, Moment};
use crate::engine::{Engine, Topic};
use crate::env::point::point;
use crate::env::{Access, Mode};
use crate::error::{At, Result};
use crate::log::files;
use crate::planted::planted;
use crate::types::Timestamp;

/// The byte of [`LOCKS`] that who looks for expired offsets has locked. The bytes from 0 to 31 hold
/// the [`Check`] that was done last.
const EXPIRY_BYTE: u64 = 0;

/// What this process knows of what is due.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// Nothing expires before; 0 if that is not known.
    next_check: AtomicI64,
}

impl Expiry {
    /// When offsets may expire next, by the wall clock, if that is known.
    pub(super) fn next(&self) -> Option<Timestamp> {
        Some(self.next_check.load(Ordering::Relaxed)).filter(|next| *next != 0)
    }
}

impl Engine {
    /// Takes offsets away that have expired (`offsets.retention.minutes`). To be called every second
    /// or so, by any number of processes: it costs next to nothing while there is nothing to do.
    pub fn expire_offsets(self: &Arc<Self>, now: Timestamp) -> Result<()> {
        self.expire_at(self.shared.moment(now))
    }

    pub(super) fn expire_at(self: &Arc<Self>, moment: Moment) -> Result<()> {
        let now = moment.wall;
        self.shared.check_fork()?;
        if self.shared.read_only {
            return Ok(());
        }
        let Some(topic) = self.topic(OFFSETS_TOPIC)? else { return Ok(()) };
        let interval = self.config().offsets_retention_check_interval.as_millis();
        let interval = i64::try_from(interval).unwrap_or(i64::MAX);
        let next = self.expiry.next_check.load(Ordering::Relaxed);
        // Also when the clock was set back.
        if next != 0 && (next.saturating_sub(interval)..next).contains(&now) {
            return Ok(());
        }
        let path = self.dir().join(LOCKS);
        let lock = self.env().storage.lock_byte(&path, EXPIRY_BYTE).at("open", &path)?;
        if !lock.try_acquire(Mode::Exclusive).at("lock", &path)? {
            return Ok(());
        }
        point("expire.locked");
        let before = files::read(&*self.env().storage, &path)?.unwrap_or_default();
        let last = before.first_chunk().map_or(0, |time| i64::from_be_bytes(*time));
        let is_due = !(last..last.saturating_add(interval)).contains(&now);
        let last = if is_due { now } else { last };
        self.expiry.next_check.store(last.saturating_add(interval), Ordering::Relaxed);
        if is_due {
            let before = Check::parse(&before);
            let check = self.judge(before, moment);
            // Who looks first has nothing to judge the clock by, and only begins to count.
            if (before.is_some() && check.is_believed()) || planted("no-jump-test") {
                self.check_expiry(&topic, now)?;
            }
            point("expire.checked");
            self.note_check(&path, &check)?;
        }
        Ok(())
    }

    /// What this check says of the clock, after the one before it.
    fn judge(&self, before: Option<Check>, now: Moment) -> Check {
        let check = Check::at(now).after(before, self.retention());
        if before.is_some_and(|before| before.hold != check.hold) {
            log::warn!(
                "the clock of this machine was set, or the machine was off for long: no committed \
                 offset expires for {} s",
                check.hold.saturating_sub(now.wall) / 1000
            );
        }
        check
    }

    fn retention(&self) -> i64 {
        i64::try_from(self.config().offsets_retention.as_millis()).unwrap_or(i64::MAX)
    }

    fn note_check(&self, path: &Path, check: &Check) -> Result<()> {
        let file = self.env().storage.open(path, Access::Write).at("open", path)?;
        file.write_at(0, &check.bytes()).at("write", path)
    }

    fn check_expiry(self: &Arc<Self>, topic: &Topic, now: Timestamp) -> Result<()> {
        let retention = self.retention();
        let mut expired = 0;
        for number in 0..topic.partition_count() {
            let partition = self.partition_of(topic, number)?;
            if self.is_unused(&partition)? {
                continue;
            }
            let ripe = |records: &Offsets| records.ripe(now, retention);
            for group in self.partition_records(&partition, ripe)? {
                match self.group(&group).and_then(|group| group.expire(now)) {
                    Ok(offsets) => expired += offsets,
                    Err(error) => log::warn!("offsets of group {group:?} were kept: {error}"),
                }
            }
        }
        if expired > 0 {
            log::info!("{expired} offsets expired");
        }
        Ok(())
    }

    /// Whether a partition never had a record: then it need not be opened.
    pub(crate) fn is_unused(&self, partition: &Partition) -> Result<bool> {
        if partition.is_recovered() {
            return Ok(false);
        }
        // Whoever makes the topic just now may not have come to its folders yet.
        if partition.has_no_folder()? {
            return Ok(true);
        }
        let storage = &*self.env().storage;
        Ok(files::offsets(storage, partition.dir(), files::LOG)?.is_empty())
    }
}
