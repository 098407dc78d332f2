//! The rounds that whoever is there makes over all logs of a directory: retention once in
//! `log.retention.check.interval.ms`, compaction as often as `log.cleaner.backoff.ms` says.
//!
//! The engine has no thread: a client calls [`Engine::tend`]. When the last round of retention was,
//! and what is to be thought of the clock, is noted for all processes beside the locks of who
//! tidies up; the first one to look at a directory only begins to count.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::TopicConfig;
use crate::engine::patience::with_patience;
use crate::engine::shared::Shared;
use crate::engine::upkeep::compact::LOCKS;
use crate::engine::upkeep::jumps::{Doubts, Moment};
use crate::engine::{Engine, Topic, topics};
use crate::env::point::point;
use crate::env::{Access, Mode};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::retention::{self, Limits};
use crate::log::segment::Segment;
use crate::types::{Timestamp, TopicPartition};

/// The byte of [`LOCKS`] that who writes down a round of retention has locked. The bytes from 32 to
/// 95 hold its [`Doubts`].
const RETENTION_BYTE: u64 = 2;
const NOTED_AT: u64 = 32;

/// How long is waited for the lock of one partition, while others wait for the rest of the round.
const BRIEF: Duration = Duration::from_secs(1);

/// What this process knows of its rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// By the wall clock: retention is not due before; 0 if that is not known.
    next_retention: AtomicI64,
    next_compaction: AtomicI64,
    /// By page: how the log was looked at for compaction, and when it is to be again, all the same.
    looked_at: Mutex<HashMap<u32, (Look, Timestamp)>>,
}

/// What makes another look at a log for compaction worth it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    /// The newest segment, -1 where nobody used the log.
    newest: i64,
    /// The edition of all settings.
    edition: u64,
}

impl Rounds {
    fn looked_at(&self) -> MutexGuard<'_, HashMap<u32, (Look, Timestamp)>> {
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the engine, and the thread that tends it, tell each other.
#[derive(Debug, Default)]
pub(crate) struct Tended {
    /// 1 when the engine has ended; the thread waits for this word.
    pub(crate) ended: AtomicU32,
    /// The thread has the engine.
    pub(crate) busy: AtomicBool,
    /// The thread is to come to an end with its work.
    pub(crate) hurry: AtomicBool,
    /// The engine has ended, and closed the directory.
    pub(crate) gone: AtomicBool,
}

impl Shared {
    /// Refuses to go on with what has time when the directory is to be closed.
    pub(crate) fn check_hurry(&self) -> Result<()> {
        if self.tended.hurry.load(Ordering::SeqCst) {
            return Err(Error::Closed("directory"));
        }
        self.check_open()
    }

    /// This moment, in which the wall clock shows `now`.
    pub(super) fn moment(&self, now: Timestamp) -> Moment {
        Moment::of(&self.env, now)
    }

    /// What is to be thought of the clock at that moment.
    pub(super) fn doubts(&self, now: Moment) -> Result<Doubts> {
        Ok(Doubts::at(now).after(self.noted_doubts()?))
    }

    fn noted_doubts(&self) -> Result<Option<Doubts>> {
        let path = self.dir.join(LOCKS);
        let bytes = files::read(&*self.env.storage, &path)?.unwrap_or_default();
        Ok(bytes.get(NOTED_AT as usize..).and_then(Doubts::parse))
    }

    fn note_doubts(&self, doubts: &Doubts) -> Result<()> {
        let path = self.dir.join(LOCKS);
        let file = self.env.storage.open(&path, Access::Write).at("open", &path)?;
        file.write_at(NOTED_AT, &doubts.bytes()).at("write", &path)
    }
}

impl Engine {
    /// What its thread is to know.
    pub(crate) fn tended(&self) -> Arc<Tended> {
        Arc::clone(&self.shared.tended)
    }

    /// Whether this process is a fork of the one that opened the directory.
    pub(crate) fn is_forked(&self) -> bool {
        self.shared.check_fork().is_err()
    }

    /// Does what is due: deletes by retention, compacts, lets committed offsets expire, removes files
    /// that were to stay a while, and does the chores. For whoever has a thread for that: it may take
    /// long. It ends early when the directory is closed. Gives how long nothing more is due.
    pub fn tend(self: &Arc<Self>, now: Timestamp) -> Result<Duration> {
        let moment = self.shared.moment(now);
        self.shared.check_fork()?;
        if self.shared.read_only {
            return Ok(Duration::MAX);
        }
        self.shared.tended.hurry.store(false, Ordering::SeqCst);
        let rounds = &self.rounds;
        let removed = self.remove_buried(false);
        let retained = self.retain_all_if_due(moment);
        let backoff = self.config().log_cleaner_backoff_ms;
        let compacted = if is_due(&rounds.next_compaction, now, backoff) {
            rounds.next_compaction.store(now.saturating_add(backoff), Ordering::Relaxed);
            self.compact_all(moment)
        } else {
            Ok(())
        };
        let expired = self.expire_at(moment);
        let done = self.do_chores(now);
        removed.and(retained).and(compacted).and(expired).and(done)?;
        let next = rounds.next_retention.load(Ordering::Relaxed);
        let next = next.min(rounds.next_compaction.load(Ordering::Relaxed));
        let next = next.min(self.expiry.next().unwrap_or(next));
        Ok(Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)))
    }

    /// Removes the files that this process has given other names, whose time has come, or all.
    pub(crate) fn remove_buried(&self, all: bool) -> Result<()> {
        self.known_partitions().iter().try_for_each(|partition| partition.remove_buried(all))
    }

    fn retain_all_if_due(&self, now: Moment) -> Result<()> {
        let next = &self.rounds.next_retention;
        if !is_due(next, now.wall, self.config().log_retention_check_interval_ms) {
            return Ok(());
        }
        let Some(allowed) = self.begin_round(now)? else { return Ok(()) };
        if allowed { self.each(|partition| self.retain(partition, now)) } else { Ok(()) }
    }

    /// Notes that a round begins now; `None` if it was not yet due, or somebody else is at it, and
    /// `false` if it is the first one.
    fn begin_round(&self, now: Moment) -> Result<Option<bool>> {
        let path = self.dir().join(LOCKS);
        let lock = self.env().storage.lock_byte(&path, RETENTION_BYTE).at("open", &path)?;
        if !lock.try_acquire(Mode::Exclusive).at("lock", &path)? {
            return Ok(None);
        }
        let noted = self.shared.noted_doubts()?;
        let interval = self.config().log_retention_check_interval_ms;
        let last = noted
            .map(|noted| noted.wall)
            .filter(|last| (*last..last.saturating_add(interval)).contains(&now.wall));
        let next = last.unwrap_or(now.wall).saturating_add(interval);
        self.rounds.next_retention.store(next, Ordering::Relaxed);
        if last.is_some() {
            return Ok(None);
        }
        let doubts = Doubts::at(now).after(noted);
        self.shared.note_doubts(&doubts)?;
        point("retain.round");
        if noted.is_some_and(|noted| doubts.is_worth_a_warning(&noted)) {
            log::warn!(
                "the clock of this machine was set, or the machine was off for long: no record is \
                 deleted for its age before it is that old in any case"
            );
        }
        Ok(Some(noted.is_some()))
    }

    /// Does work on each partition; an error of one is told, and the others go on.
    fn each(&self, work: impl Fn(&Site<'_>) -> Result<()>) -> Result<()> {
        let directory = self.config();
        let control = &self.shared.control;
        let edition = control.topics_generation().wrapping_add(control.settings_generation());
        for topic in self.topics()?.iter() {
            let config = topic.config.within(&directory);
            for number in 0..topic.partition_count() {
                let Some(slot) = topic.slot(number) else { continue };
                self.shared.check_hurry()?;
                let site = Site { topic, number, slot, config: &config, edition };
                match with_patience(BRIEF, || work(&site)) {
                    Err(Error::Closed(_)) => return Err(Error::Closed("directory")),
                    Err(Error::UnknownTopicOrPartition(_)) | Ok(()) => {}
                    Err(error) => log::warn!("looking after {}: {error}", site.id()),
                }
            }
        }
        Ok(())
    }

    fn retain(&self, site: &Site<'_>, now: Moment) -> Result<()> {
        if !self.shared.control.page(site.slot)?.is_valid() {
            // What nobody uses is not opened in vain.
            let id = site.id();
            let folder = topics::folder(self.dir(), &id);
            let start = self.shared.log_starts.get(&id).copied().unwrap_or(0);
            let storage = &self.env().storage;
            let limits = Limits::of(site.config);
            let looked = retention::is_worth_a_look(storage, &folder, limits, start, now.wall);
            if !unless_gone(looked)?.unwrap_or(false) {
                return Ok(());
            }
        }
        self.partition_of(site.topic, site.number)?.retain_at(now).map(drop)
    }

    fn compact_all(&self, now: Moment) -> Result<()> {
        if !self.config().log_cleaner_enable {
            return Ok(());
        }
        self.each(|site| self.compact(site, now))
    }

    fn compact(&self, site: &Site<'_>, now: Moment) -> Result<()> {
        let config = site.config;
        if !(config.compacted || site.is_of_offsets()) {
            return Ok(());
        }
        let page = self.shared.control.page(site.slot)?;
        let newest = if page.is_valid() { page.tail().segment_base } else { -1 };
        let look = Look { newest, edition: site.edition };
        let last = self.rounds.looked_at().get(&site.slot).copied();
        if last.is_some_and(|(last, again)| last == look && now.wall < again) {
            return Ok(());
        }
        let due = if newest < 0 { self.first_due(site) } else { Ok(now.wall) };
        let looked = match due {
            Ok(due) if now.wall < due => {
                self.rounds.looked_at().insert(site.slot, (look, due));
                return Ok(());
            }
            Ok(_) => self.partition_of(site.topic, site.number)?.look_at(now),
            Err(error) => Err(error),
        };
        // Who came to no end looks again in the next round.
        if !matches!(looked, Ok(None) | Err(Error::Closed(_) | Error::Timeout { .. })) {
            let by_time =
                config.max_compaction_lag_ms < i64::MAX || config.min_compaction_lag_ms > 0;
            let again = if newest >= 0 && by_time { Timestamp::MIN } else { Timestamp::MAX };
            self.rounds.looked_at().insert(site.slot, (look, again));
        }
        looked.map(drop)
    }

    /// When a log that nobody uses is worth to be opened: at once if it has more than the active
    /// segment, else when the first record of that has waited for `max.compaction.lag.ms`.
    fn first_due(&self, site: &Site<'_>) -> Result<Timestamp> {
        let storage = &self.env().storage;
        let folder = topics::folder(self.dir(), &site.id());
        let bases = unless_gone(files::offsets(&**storage, &folder, files::LOG))?;
        let lag = site.config.max_compaction_lag_ms;
        let first = match bases.as_deref() {
            Some([_, _, ..]) => return Ok(Timestamp::MIN),
            Some([active]) if lag < i64::MAX => {
                let active = Segment::open(storage, &folder, *active, false);
                let first = active.and_then(|active| active.first_timestamp(active.len()?));
                unless_gone(first)?.flatten()
            }
            _ => None,
        };
        let first = first.filter(|first| *first > 0).unwrap_or(Timestamp::MAX);
        Ok(first.saturating_add(lag).saturating_add(1))
    }
}

/// `None` where the folder is not there: its topic was just deleted, or is being made.
fn unless_gone<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Also when the clock was set back.
fn is_due(next: &AtomicI64, now: Timestamp, interval: i64) -> bool {
    let next = next.load(Ordering::Relaxed);
    next == 0 || !(next.saturating_sub(interval)..next).contains(&now)
}

/// A partition on the way of a round.
struct Site<'a> {
    topic: &'a Arc<Topic>,
    number: i32,
    slot: u32,
    config: &'a TopicConfig,
    /// Moves when settings of any topic, or of the directory, are altered.
    edition: u64,
}

impl Site<'_> {
    fn id(&self) -> TopicPartition {
        TopicPartition::new(self.topic.name.clone(), self.number)
    }

    fn is_of_offsets(&self) -> bool {
        *self.topic.name == *topics::OFFSETS_TOPIC
    }
}
