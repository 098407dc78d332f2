//! One partition, as a process of many sees it.
//!
//! Its page says where the log ends; its folder's lock decides who may change that, which is in
//! `turn`. Appending is in `append`, reading in `read`, syncing in `sync`.

mod admission;
pub(super) mod append;
pub(super) mod committers;
pub(super) mod epochs;
mod extent;
mod gaps;
pub(super) mod holders;
pub(super) mod lookup;
pub(super) mod read;
mod room;
mod seal;
pub(super) mod seats;
pub(super) mod sync;
mod turn;

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use crate::config::TopicConfig;
use crate::engine::control::page::Page;
use crate::engine::directory::root;
use crate::engine::directory::root::Root;
use crate::engine::partition::committers::Committers;
use crate::engine::partition::read::LOOKS_ALONE;
use crate::engine::shared::Shared;
use crate::engine::topics;
use crate::engine::topics::id::Id;
use crate::engine::upkeep::retention::Keeping;
use crate::env::Lock;
use crate::env::point::point;
use crate::error::{At, AtPosition, Corruption, Error, Result};
use crate::log::aborted::{self, AbortedTransaction};
use crate::log::checkpoint::Offsets;
use crate::log::files;
use crate::log::recovery::{self, Past, Recovered, Site, Trust};
use crate::log::segment::Segment;
use crate::log::segments::{Edition, Segments};
use crate::planted::planted;
use crate::types::TopicPartition;

/// The edges of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first offset that can be read.
    pub log_start_offset: i64,
    /// Where a `read_committed` reader stops.
    pub last_stable_offset: i64,
    /// One past the last record.
    pub log_end_offset: i64,
}

/// A partition of an open directory.
#[derive(Debug)]
pub struct Partition {
    pub(crate) id: TopicPartition,
    pub(crate) shared: Arc<Shared>,
    pub(crate) dir: PathBuf,
    pub(crate) topic_id: Id,
    /// The number of its page.
    pub(crate) slot: u32,
    /// The settings as of a generation of the topics.
    config: RwLock<(u64, Arc<TopicConfig>)>,
    pub(crate) page: Page,
    pub(crate) segments: Segments,
    /// The lock of the partition's folder, made when first needed. The mutex comes before the
    /// lock: threads share the lock's handle, which would not exclude them from one another.
    writer: Mutex<Option<Box<dyn Lock>>>,
    /// The same for the lock of who syncs, which is on `partition.metadata`.
    pub(crate) syncer: Mutex<Option<Box<dyn Lock>>>,
    pub(crate) committers: Committers,
    pub(crate) keeping: Keeping,
    aborted: OnceLock<Vec<AbortedTransaction>>,
    /// Whether it is among the holders of open files.
    holding: AtomicBool,
    me: Weak<Self>,
}

impl Partition {
    pub(crate) fn new(
        id: TopicPartition,
        topic: &topics::Topic,
        slot: u32,
        shared: Arc<Shared>,
    ) -> Result<Arc<Self>> {
        let dir = topics::folder(&shared.dir, &id);
        let page = shared.control.page(slot)?;
        Ok(Arc::new_cyclic(|me| Self {
            page,
            slot,
            segments: Segments::new(shared.env.storage.clone(), dir.clone(), !shared.read_only),
            config: RwLock::new((0, Arc::new(topic.config.within(&shared.config())))),
            topic_id: topic.id,
            id,
            shared,
            dir,
            writer: Mutex::default(),
            syncer: Mutex::default(),
            committers: Committers::default(),
            keeping: Keeping::default(),
            aborted: OnceLock::new(),
            holding: AtomicBool::new(false),
            me: me.clone(),
        }))
    }

    /// Its topic and number.
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// The id of its topic: another one of the name has another.
    pub fn topic_id(&self) -> Id {
        self.topic_id
    }

    /// The settings of its topic, and the directory's where it has none of its own, as they are now
    /// in all processes.
    pub fn config(&self) -> Arc<TopicConfig> {
        let generation = self.shared.topics_generation();
        let (known, config) = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let in_change = generation % 2 == 1;
        if known == generation && !in_change {
            return config;
        }
        match self.resolve() {
            // Under the number of a change that is not over, they may change once more.
            Ok(Some(config)) if in_change => config,
            Ok(Some(config)) => self.remember(generation, config),
            // It was deleted.
            Ok(None) => config,
            Err(error) => {
                log::warn!("the settings of {} stay as they were: {error}", self.id);
                config
            }
        }
    }

    fn resolve(&self) -> Result<Option<Arc<TopicConfig>>> {
        let topics = self.shared.topics()?;
        let topic = topics.get(&self.id.topic).filter(|topic| topic.id == self.topic_id);
        Ok(topic.map(|topic| Arc::new(topic.config.within(&self.shared.config()))))
    }

    fn remember(&self, generation: u64, config: Arc<TopicConfig>) -> Arc<TopicConfig> {
        let mut known = self.config.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have seen a later one.
        if known.0 < generation {
            *known = (generation, config);
        }
        known.1.clone()
    }

    /// The edges of the log, as published by the last append of any process.
    pub fn ends(&self) -> Result<Ends> {
        self.ready()?;
        let tail = self.page.tail();
        Ok(Ends {
            log_start_offset: self.page.log_start_offset(),
            last_stable_offset: tail.last_stable_offset,
            log_end_offset: tail.end_offset,
        })
    }

    /// The aborted transactions that touch offsets from `from` to before `to`.
    pub fn aborted(&self, from: i64, to: i64) -> Result<Vec<AbortedTransaction>> {
        self.ready()?;
        let all = if let Some(known) = self.aborted.get() {
            known
        } else {
            let read = self.steady(|swaps| self.read_aborted(swaps))?;
            self.aborted.get_or_init(|| read)
        };
        Ok(touching(all, from, to))
    }

    fn read_aborted(&self, swaps: u64) -> Result<Vec<AbortedTransaction>> {
        let newest = self.page.tail().segment_base;
        let mut all = Vec::new();
        for base in self.segments.bases(Edition { newest, swaps })? {
            let read = aborted::read(&*self.shared.env.storage, &self.dir, base)?;
            let path = files::path(&self.dir, base, files::TXN_INDEX);
            let what = Corruption::Field("the index of aborted transactions");
            all.extend(read.ok_or(what).at_position(&path, 0)?);
        }
        Ok(all)
    }

    pub(crate) fn subscribers(&self) -> &AtomicU64 {
        self.page.subscribers()
    }

    /// Makes sure that the page says where the log ends.
    pub(crate) fn ready(&self) -> Result<()> {
        self.shared.check_fork()?;
        if self.page.is_deleted() {
            return Err(Error::UnknownTopicOrPartition(self.id.clone()));
        }
        if self.page.is_valid() { Ok(()) } else { self.unless_deleted(self.recover()) }
    }

    /// Files that somebody deleted with the topic while they were worked with were not lost.
    pub(crate) fn unless_deleted<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| match error {
            Error::Io { .. } | Error::Replaced { .. } if self.page.is_deleted() => {
                Error::UnknownTopicOrPartition(self.id.clone())
            }
            error => error,
        })
    }

    fn recover(&self) -> Result<()> {
        if self.shared.root.is_none() {
            return self.recover_alone();
        }
        match self.pass() {
            Err(error) if self.is_for_want_of_folder(&error) && !planted("no-late-folder") => {
                self.make_folder()?;
                self.pass()
            }
            passed => passed,
        }
    }

    /// Whether the directory is still where it was opened: files are opened by their paths, and
    /// there may be another directory now.
    pub(crate) fn check_place(&self) -> Result<()> {
        self.shared.root.as_ref().map_or(Ok(()), Root::check_place)
    }

    fn is_for_want_of_folder(&self, error: &Error) -> bool {
        matches!(error, Error::Io { op: "open", path, source }
            if *path == self.dir && source.kind() == ErrorKind::NotFound)
    }

    /// Who made the topic died before it came to this. Or somebody has deleted it just now: that is
    /// marked before it is looked for a folder, and looked for here when there is one.
    fn make_folder(&self) -> Result<()> {
        let storage = &*self.shared.env.storage;
        let gone = || Error::UnknownTopicOrPartition(self.id.clone());
        if self.page.is_deleted() {
            return Err(gone());
        }
        storage.create_dir(&self.dir).at("create", &self.dir)?;
        if self.page.is_deleted() {
            // If it is not there, it was given the name of a deleted one.
            let _ = storage.remove_dir(&self.dir);
            return Err(gone());
        }
        storage.sync_dir(&self.shared.dir).at("sync", &self.shared.dir)
    }

    /// A reader's own view of a directory that it does not change.
    fn recover_alone(&self) -> Result<()> {
        let _alone = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.page.is_valid() { Ok(()) } else { self.fill_alone() }
    }

    /// Looks again where others removed segments meanwhile: what has taken their place does not fit
    /// what was listed, and the log would seem to end there.
    fn fill_alone(&self) -> Result<()> {
        for _ in 0..LOOKS_ALONE {
            let listed = self.bases()?;
            let found = match self.recover_log(false) {
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => continue,
                found => found?,
            };
            let left = self.bases()?;
            if listed.iter().all(|base| left.contains(base)) {
                return self.show(found);
            }
        }
        self.fill(false)
    }

    fn bases(&self) -> Result<Vec<i64>> {
        files::offsets(&*self.shared.env.storage, &self.dir, files::LOG)
    }

    /// Takes a new view in place of the one with that edition, unless the folder is another topic's
    /// now; gives whether there is one.
    pub(crate) fn look_again(&self, swaps: u64) -> Result<bool> {
        let _alone = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.page.swaps() != swaps {
            return Ok(true);
        }
        let metadata = self.dir.join(files::PARTITION_METADATA);
        let bytes = files::read(&*self.shared.env.storage, &metadata)?;
        if bytes.and_then(|bytes| topics::named_id(&bytes)).is_some_and(|id| id != self.topic_id) {
            return Ok(false);
        }
        self.fill_alone()?;
        self.page.skip_edition();
        Ok(true)
    }

    /// Recovers the log, and tells all what was found; `was_cut` as in [`Past`].
    fn fill(&self, was_cut: bool) -> Result<()> {
        self.show(self.recover_log(was_cut)?)
    }

    fn show(&self, found: Recovered) -> Result<()> {
        point("recovery.done");
        self.tell_gaps(&found.gaps)?;
        self.segments.clear();
        self.page.fill(&found);
        self.page.set_last_sync(self.shared.env.clock.now());
        point("recovery.filled");
        let _ = self.aborted.set(found.aborted);
        Ok(())
    }

    fn trust(&self) -> Trust {
        match self.shared.control.trust() {
            // A sync of the log failed at a cut: memory may show what the disk has lost.
            _ if self.page.is_poisoned() => Trust::Machine,
            Trust::Machine if self.page.was_recovered_before() => Trust::Process,
            trust => trust,
        }
    }

    fn recover_log(&self, was_cut: bool) -> Result<Recovered> {
        let shared = &self.shared;
        let config = &*self.config();
        let trust = self.trust();
        // A partition that was made since has nothing to do with one of its name before.
        let noted = |offsets: &Offsets| offsets.get(&self.id).copied().unwrap_or(0);
        let known = |offsets| if self.page.was_found() { noted(offsets) } else { 0 };
        let synced = known(&shared.recovery_points);
        let log_starts = self.log_starts()?;
        let site = Site {
            storage: &shared.env.storage,
            dir: &self.dir,
            config,
            writable: !shared.read_only,
            compacted: self.is_compacted() || topics::is_internal(&self.id.topic),
            found: self.page.was_listed(),
            log_start_offset: known(&log_starts),
            noted_start: log_starts.get(&self.id).copied().filter(|_| self.page.was_found()),
            synced,
            past: Past { synced: self.page.synced_before(), was_cut },
            recovery_point: if trust == Trust::Clean && !shared.read_only {
                i64::MAX
            } else {
                synced
            },
        };
        recovery::recover(&site, trust).map_err(|error| self.judged_in_recovery(error, trust))
    }

    /// Where logs start. Others may have noted it since a reader opened the directory.
    fn log_starts(&self) -> Result<Cow<'_, Offsets>> {
        let shared = &self.shared;
        if shared.root.is_some() {
            return Ok(Cow::Borrowed(&shared.log_starts));
        }
        root::log_starts(&*shared.env.storage, &shared.dir).map(Cow::Owned)
    }

    /// Takes a place among those that keep their files open between appends.
    pub(crate) fn hold(&self) {
        if !self.holding.swap(true, Ordering::AcqRel) {
            self.shared.holders.admit(self.me.clone());
        }
    }

    /// The active segment, which begins at `base`, open until others need its place.
    pub(crate) fn active(&self, base: i64) -> Result<Arc<Segment>> {
        self.hold();
        self.segments.active(base)
    }

    /// Closes the files, unless they are in use; the next append opens them again.
    pub(crate) fn give_back(&self) -> bool {
        let (Ok(mut writer), Ok(mut syncer)) = (self.writer.try_lock(), self.syncer.try_lock())
        else {
            return false;
        };
        (*writer, *syncer) = (None, None);
        self.segments.close();
        self.holding.store(false, Ordering::Release);
        true
    }

    /// Ends the partition for every process, and gives its folder another name: who has files of
    /// it open reads on until it asks again.
    pub(crate) fn delete(&self, buried: &Path) -> Result<()> {
        let storage = &*self.shared.env.storage;
        if self.has_no_folder()? && !planted("no-late-folder") {
            self.page.delete();
            if self.has_no_folder()? {
                return Ok(());
            }
        }
        let _turn = self.turn_unprepared()?;
        self.page.delete();
        point("delete.marked");
        match storage.rename(&self.dir, buried) {
            // Who had made it meanwhile has removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => renamed.at("rename", &self.dir),
        }
    }

    pub(crate) fn has_no_folder(&self) -> Result<bool> {
        match self.shared.env.storage.describe(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            found => found.map(|_| false).at("stat", &self.dir),
        }
    }

    /// Whether it is known where the log ends; else the next call looks for it, which may take long.
    pub fn is_recovered(&self) -> bool {
        self.page.is_valid()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

fn touching(all: &[AbortedTransaction], from: i64, to: i64) -> Vec<AbortedTransaction> {
    let touches =
        |entry: &&AbortedTransaction| entry.last_offset >= from && entry.first_offset < to;
    all.iter().filter(touches).copied().collect()
}
