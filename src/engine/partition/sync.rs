//! Group commit: many waiting writers, in many processes, and few calls of `fdatasync`.
//!
//! Who needs a sync tries to become the one who does it. The others wait for the word that it
//! changes when it is done, at most 20 ms: it may have died. An error is for everybody and for
//! good: the kernel may have dropped the unwritten pages, and a second `fdatasync` would say
//! that all is well.
//!
//! Who comes while another syncs needs the next one, and sleeps until that has ended: only one is
//! woken before, to do it.
//!
//! Each committer has a bit. Who is about to sync and sees that others did so just now waits a
//! little for those of the last round who are not here again (`commit_siblings` of `PostgreSQL`): they
//! would come while it syncs, and wait for that and for another. It waits half of a sync at most,
//! and not at all when it was alone the last time.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::TryLockError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::partition::Partition;
use crate::env::point::point;
use crate::env::wake::Woken;
use crate::env::{Access, Mode};
use crate::error::{At, Error, Result, SYNC};
use crate::log::files;
use crate::log::recovery::Trust;
use crate::log::segment::Segment;
use crate::planted::planted;

const PATIENCE: Duration = Duration::from_millis(20);

/// How often that is waited for before one syncs without the lock: whoever has it may have been
/// stopped, and then nothing of his would end the wait. The lock spares calls and protects nothing. Nobody of this
/// process waits again until somebody has had the lock.
const WAITS: u32 = 5;

impl Partition {
    /// Waits until every record below `end_offset` is on stable storage.
    ///
    /// After [`Error::Poisoned`] it is not known what the disk holds; nobody can append to the
    /// partition until the directory was closed by all and opened again.
    pub fn sync(&self, end_offset: i64) -> Result<()> {
        self.ready()?;
        self.unless_deleted(self.sync_to(end_offset))
    }

    fn sync_to(&self, end_offset: i64) -> Result<()> {
        let mut waits = if self.committers.would_wait_in_vain(&self.page) { WAITS } else { 0 };
        let mut place = None;
        loop {
            let end = self.page.end_of_next_sync();
            let seen = end.seen();
            if self.page.is_poisoned() {
                return Err(Error::Poisoned(self.id.clone()));
            }
            if self.page.synced_offset() >= end_offset {
                return Ok(());
            }
            place.get_or_insert_with(|| self.committers.enter(&self.page));
            // Who syncs may have died at it.
            let is_free = waits > 0 || !self.page.is_syncing();
            if is_free && self.sync_if_nobody_does()? {
                continue;
            }
            if waits == WAITS {
                self.committers.waited_in_vain(&self.page);
                self.sync_published()?;
                self.page.wake_committers();
                continue;
            }
            let clock = &self.shared.env.clock;
            if end.sleep(|word| clock.wait(word, seen, PATIENCE)) == Woken::TimedOut {
                waits += 1;
            }
        }
    }

    /// Syncs what is published now, unless somebody else is at it.
    fn sync_if_nobody_does(&self) -> Result<bool> {
        self.hold();
        let mut lock = match self.syncer.try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(false),
        };
        let path = self.dir.join(files::PARTITION_METADATA);
        if lock.is_none() {
            *lock = Some(self.shared.env.storage.lock(&path).at("open", &path)?);
        }
        let Some(lock) = &*lock else { return Ok(false) };
        if !lock.try_acquire(Mode::Exclusive).at("lock", &path)? {
            return Ok(false);
        }
        point("sync.locked");
        let synced = self.sync_together();
        lock.release().at("unlock", &path)?;
        point("sync.unlocked");
        // Not before: who wakes up and finds the lock taken sleeps on.
        self.page.announce_sync();
        point("sync.woken");
        synced.map(|()| true)
    }

    /// One sync for all who came in time. For the holder of the lock.
    fn sync_together(&self) -> Result<()> {
        self.page.set_syncing(true);
        self.gather();
        let clock = &self.shared.env.clock;
        let began = clock.monotonic();
        let group = self.page.take_committers();
        let synced = self.sync_published();
        self.page.note_sync(group, began, clock.monotonic());
        self.page.set_syncing(false);
        synced
    }

    /// Waits for the committers of the last round, if that was just now.
    fn gather(&self) {
        let clock = &self.shared.env.clock;
        let now = clock.monotonic();
        let Some(until) = self.page.gather_until(now) else { return };
        loop {
            let seen = self.page.arrivals().load(Ordering::SeqCst);
            let left = until.saturating_sub(clock.monotonic());
            if self.page.are_all_here() || left.is_zero() {
                break;
            }
            if clock.wait(self.page.arrivals(), seen, left) != Woken::Changed {
                break;
            }
        }
        self.page.expect(0);
        point("sync.gathered");
    }

    /// The end is read after the lock was taken, so that it covers all who wait by then. Segments
    /// before the active one were synced when they were sealed.
    fn sync_published(&self) -> Result<()> {
        let tail = self.page.tail();
        if self.page.is_unnamed() {
            self.sync_names()?;
        }
        let synced = self.page.synced_offset();
        if planted("ack-before-sync") {
            self.note_synced(tail.end_offset);
        }
        if synced < tail.end_offset {
            match self.active(tail.segment_base) {
                Ok(active) => self.sync_segment(&active)?,
                // It was sealed, and synced with that, and compaction has replaced it since.
                Err(_) if self.page.synced_offset() >= tail.end_offset => {}
                Err(error) => return Err(error),
            }
        }
        point("sync.synced");
        self.note_synced(tail.end_offset);
        point("sync.announced");
        Ok(())
    }

    /// Everything below `offset` is on the disk.
    pub(crate) fn note_synced(&self, offset: i64) {
        self.page.set_synced(offset, self.shared.env.clock.now());
        self.shared.chores.synced();
    }

    /// Makes the names of the partition's files survive a crash, the first time with what a
    /// partition begins with: a broker refuses one whose id or leader epochs cannot be read.
    pub(crate) fn sync_names(&self) -> Result<()> {
        if self.page.is_unnamed() {
            self.sync_beginnings().map_err(|error| self.judged(error))?;
            self.sync_topics()?;
        }
        self.sync_folder(&self.dir)?;
        point("sync.named");
        self.page.set_named();
        Ok(())
    }

    /// Makes the topics survive a crash: who made this one may have died before it was on the disk.
    /// Once for each generation that is not in the making.
    fn sync_topics(&self) -> Result<()> {
        let generation = self.shared.control.topics_generation();
        if generation % 2 == 1 || self.shared.named.load(Ordering::Relaxed) != generation {
            self.sync_folder(&self.shared.dir)?;
            self.shared.named.store(generation, Ordering::Relaxed);
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        if planted("no-dir-sync") {
            return Ok(());
        }
        let folder = self.shared.env.storage.open_dir(path).at("open", path)?;
        folder.sync().at(SYNC, path).map_err(|error| self.judged(error))
    }

    fn sync_beginnings(&self) -> Result<()> {
        for name in [files::PARTITION_METADATA, files::LEADER_EPOCHS] {
            let path = self.dir.join(name);
            match self.shared.env.storage.open(&path, Access::Read) {
                // Whoever opens the partition next makes it anew.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                file => file.at("open", &path)?.sync_data().at(SYNC, &path)?,
            }
        }
        Ok(())
    }

    /// One `fdatasync`. An error poisons the partition for every process.
    pub(crate) fn sync_segment(&self, segment: &Segment) -> Result<()> {
        let synced = if planted("no-data-sync") { Ok(()) } else { segment.log.sync_data() };
        let Err(error) = synced else { return Ok(()) };
        Err(self.poisoned(&format_args!("fdatasync of {}: {error}", segment.path.display())))
    }

    /// Makes the indexes of the active segment survive a crash: of a log that was closed in good
    /// order they are believed.
    pub(crate) fn sync_indexes(&self) -> Result<()> {
        let active = self.active(self.page.tail().segment_base)?;
        let synced = active.index.sync().and_then(|()| active.times.sync());
        synced.map_err(|error| self.judged(error))
    }

    /// What is to be said of an error: one of a sync poisons, for it is not known what the disk has.
    /// Another one changed nothing, and the call may be tried again; also where there is no folder
    /// to sync, because the topic was deleted.
    pub(crate) fn judged(&self, error: Error) -> Error {
        match error {
            Error::Io { op: SYNC, ref source, .. } if source.kind() != ErrorKind::NotFound => {
                self.poisoned(&error)
            }
            other => other,
        }
    }

    /// The same of recovery. It is tried again, and writes all but the log anew; that it reads from
    /// the disk again if it does not trust in writes, as nobody does from here on.
    pub(crate) fn judged_in_recovery(&self, error: Error, trust: Trust) -> Error {
        match error {
            Error::Io { op: SYNC, ref path, .. }
                if trust != Trust::Machine && path.extension() == Some(files::LOG.as_ref()) =>
            {
                self.judged(error)
            }
            other => other,
        }
    }

    /// Poisons the partition for every process, after a failed sync.
    fn poisoned(&self, why: &dyn std::fmt::Display) -> Error {
        self.page.poison();
        self.shared.control.poison();
        point("sync.poisoned");
        self.page.wake_committers();
        log::error!("{why}; nothing more is written to it");
        Error::Poisoned(self.id.clone())
    }
}
