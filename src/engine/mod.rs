//! One directory, shared by many processes: topics, partitions, groups' offsets.
//!
//! The engine is passive: it has no threads and does nothing unless it is called.

pub(crate) mod control;
pub(crate) mod directory;
pub mod group;
mod partition;
mod patience;
mod shared;
pub(crate) mod topics;
pub(crate) mod upkeep;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use crate::config::DirectoryConfig;
use crate::env::lock::fork_generation;
use crate::env::point::point;
use crate::env::{Env, Storage};
use crate::error::{At, Error, Result};
use crate::log::checkpoint::Offsets;
use crate::log::recovery::Trust;
use crate::log::settled::Settled;
use crate::planted::planted;
use crate::types::TopicPartition;

pub use crate::log::aborted::AbortedTransaction;
pub use crate::log::segment::TimedOffset;
pub use control::doorbell::Doorbell;
pub use directory::root::keepers_of;
pub use group::{
    Group, GroupDescription, Join, MemberDescription, MemberToRemove, Membership, Reset, ResetTo,
};
pub use partition::append::Appended;
pub use partition::epochs::EpochEnd;
pub use partition::lookup::Place;
pub use partition::read::{Chunk, Cursor};
pub use partition::{Ends, Partition};
pub use patience::with_patience;
pub use topics::catalog::checked as checked_topic;
pub use topics::id::Id;
pub use topics::{Topic, Topics, is_internal};
pub(crate) use upkeep::rounds::Tended;

#[cfg(any(debug_assertions, fuzzing))]
pub(crate) use topics::read_again as read_topics_again;

use directory::root::{self, Attached, Root};
use group::offsets::CommittedOffsets;
use partition::holders::Holders;
use partition::seats::Seats;
use shared::{Settings, Shared};
use upkeep::chores::Chores;
use upkeep::expiry::Expiry;
use upkeep::rounds::Rounds;

/// How a directory is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpenOptions {
    /// Change nothing and lock nothing: for the directory of a stopped broker, a copy, or one
    /// without the right to write. What other processes append meanwhile is not seen, unless a
    /// log must be looked at again because they have replaced files of it.
    pub read_only: bool,
    /// Take a network file system, where nothing is promised if two machines use the directory.
    pub allow_network_fs: bool,
}

/// An open directory. Dropping it closes it: the last process out marks it as closed in good order.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    /// The generation of the topics when partitions were last closed that are no more.
    forgotten: Mutex<u64>,
    partitions: RwLock<HashMap<TopicPartition, (u32, Arc<Partition>)>>,
    doorbell: Doorbell,
    offsets: CommittedOffsets,
    expiry: Expiry,
    rounds: Rounds,
    /// The groups in use, by id.
    cores: Mutex<HashMap<String, Weak<group::Core>>>,
}

impl Engine {
    /// Opens the directory, made if there is none (unless read-only).
    pub fn open(dir: &Path, options: OpenOptions, env: Env) -> Result<Arc<Self>> {
        if options.read_only {
            // From here on no link is followed.
            let dir = &env.storage.resolve(dir).at("resolve", dir)?;
            check_network(dir, options, &env)?;
            return Self::inspect(dir, env);
        }
        Self::open_to_write(dir, options, env).map_err(|error| not_writable(dir, error))
    }

    fn open_to_write(dir: &Path, options: OpenOptions, env: Env) -> Result<Arc<Self>> {
        let dir = &env.storage.resolve(dir).at("resolve", dir)?;
        create_dir(&*env.storage, dir)?;
        check_network(dir, options, &env)?;
        let Attached { root, control, first } = Root::attach(dir, &env)?;
        if first {
            group::remove_all(&*env.storage, dir)?;
            point("open.emptied");
            let topics = Topics::survey(&*env.storage, dir, &control, true)?;
            point("open.surveyed");
            // What is there since the last one closed the directory survives a crash.
            if control.trust() != Trust::Clean || !topics.are_written(&*env.storage, dir)? {
                topics.write(&*env.storage, dir)?;
            }
            // Only now: a directory of ours has a list.
            root.make_ours()?;
            point("open.written");
            root.keep(|id| {
                topics.get(&id.topic).is_some_and(|topic| topic.is_noted(id.partition, &control))
            })?;
            point("open.kept");
            control.set_ready();
            root.share()?;
        }
        point("open.shared");
        let generation = control.topics_generation();
        let topics = Topics::read(&*env.storage, dir, generation)?;
        let engine = Self::new(dir, env, control, Some(root), topics)?;
        if first {
            engine.end_deletions();
        }
        Ok(engine)
    }

    fn inspect(dir: &Path, env: Env) -> Result<Arc<Self>> {
        let env = Env { storage: Arc::new(Settled::new(env.storage)), clock: env.clock };
        let control = root::inspect(dir, &env)?;
        let topics = Topics::survey(&*env.storage, dir, &control, false)?;
        Self::new(dir, env, control, None, topics)
    }

    fn new(
        dir: &Path,
        env: Env,
        control: control::Control,
        root: Option<Root>,
        topics: Topics,
    ) -> Result<Arc<Self>> {
        let control = Arc::new(control);
        let clock = env.clock.clone();
        let generation = topics.generation;
        let shared = Arc::new(Shared {
            recovery_points: root::recovery_points(&*env.storage, dir)?,
            log_starts: root::log_starts(&*env.storage, dir)?,
            dir: dir.to_owned(),
            config: RwLock::new(Settings::read(&*env.storage, dir, &control)?),
            topics_lock: Mutex::default(),
            topics: RwLock::new(Arc::new(topics)),
            named: AtomicU64::new(u64::MAX),
            control: control.clone(),
            read_only: root.is_none(),
            root,
            born: fork_generation(),
            closed: AtomicBool::new(false),
            holders: Holders::default(),
            seats: Seats::default(),
            chores: Chores::default(),
            tended: Arc::default(),
            env,
        });
        Ok(Arc::new(Self {
            shared,
            forgotten: Mutex::new(generation),
            partitions: RwLock::default(),
            doorbell: Doorbell::new(control, clock),
            offsets: CommittedOffsets::default(),
            expiry: Expiry::default(),
            rounds: Rounds::default(),
            cores: Mutex::default(),
        }))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The settings of the directory as they are now: what any process has altered holds at once,
    /// what was written into the file by hand from the next opening on.
    pub fn config(&self) -> Arc<DirectoryConfig> {
        self.shared.config()
    }

    /// The world it lives in.
    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    /// Whether it was opened read-only.
    pub fn is_read_only(&self) -> bool {
        self.shared.read_only
    }

    /// Grows when any process changes topics or settings; odd while it does.
    pub fn topics_generation(&self) -> u64 {
        self.shared.topics_generation()
    }

    /// The topics there are now.
    pub fn topics(&self) -> Result<Arc<Topics>> {
        self.shared.check_fork()?;
        let topics = self.shared.topics()?;
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        if *forgotten < topics.generation && topics.generation % 2 == 0 {
            *forgotten = topics.generation;
            self.forget_deleted(&topics);
        }
        drop(forgotten);
        Ok(topics)
    }

    /// Closes what is open of partitions that are no more: else their files would take room for as
    /// long as this process has the directory open.
    fn forget_deleted(&self, topics: &Topics) {
        let is_gone = |id: &TopicPartition, slot: u32| {
            topics.get(&id.topic).and_then(|topic| topic.slot(id.partition)) != Some(slot)
        };
        let mut known = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        for (_, (_, partition)) in known.extract_if(|id, (slot, _)| is_gone(id, *slot)) {
            // Who is just using it closes it by dropping it.
            partition.give_back();
        }
        drop(known);
        self.shared.control.forget_unused();
    }

    /// The topic of that name, if there is one.
    pub fn topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        Ok(self.topics()?.get(name).cloned())
    }

    /// A partition of a topic.
    pub fn partition(&self, id: &TopicPartition) -> Result<Arc<Partition>> {
        let topic = self.topic(&id.topic)?;
        let topic = topic.filter(|topic| topic.slot(id.partition).is_some());
        let topic = topic.ok_or_else(|| Error::UnknownTopicOrPartition(id.clone()))?;
        self.partition_of(&topic, id.partition)
    }

    fn partition_of(&self, topic: &Topic, partition: i32) -> Result<Arc<Partition>> {
        let id = TopicPartition::new(topic.name.clone(), partition);
        let slot = topic.slot(partition);
        let slot = slot.ok_or_else(|| Error::UnknownTopicOrPartition(id.clone()))?;
        let known = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        // A topic that was deleted and made again has other pages.
        if let Some((_, partition)) = known.get(&id).filter(|(known, _)| *known == slot) {
            return Ok(partition.clone());
        }
        drop(known);
        let made = Partition::new(id.clone(), topic, slot, self.shared.clone())?;
        let mut known = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(id).or_insert_with(|| (slot, made.clone()));
        if entry.0 != slot {
            *entry = (slot, made);
        }
        Ok(entry.1.clone())
    }

    /// Refuses to go on where the control file was cut or overwritten from outside. The shared
    /// memory is in it: who looks at that before he asks here is ended by `SIGBUS`.
    pub fn check_control(&self) -> Result<()> {
        self.shared.control.check()
    }

    /// What this process's readers wait on.
    pub fn doorbell(&self) -> Doorbell {
        self.doorbell.clone()
    }
}

fn check_network(dir: &Path, options: OpenOptions, env: &Env) -> Result<()> {
    if options.allow_network_fs {
        return Ok(());
    }
    match env.storage.network_file_system(dir).at("stat", dir)? {
        Some(kind) => Err(Error::NetworkFileSystem { path: dir.to_owned(), kind }),
        None => Ok(()),
    }
}

/// What keeps a directory from being opened for writing, said of the directory.
fn not_writable(dir: &Path, error: Error) -> Error {
    let path = dir.to_owned();
    match error {
        Error::Io { source, op, path: file } => match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Error::NotWritable { path, source }
            }
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Error::NotADirectory(path),
            _ => Error::Io { op, path: file, source },
        },
        other => other,
    }
}

/// Makes a directory and those above it, whose names survive a crash after `Ok`.
fn create_dir(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let is_missing = |dir: &&Path| matches!(storage.list(dir), Err(error) if error.kind() == ErrorKind::NotFound);
    let missing: Vec<&Path> = dir.ancestors().take_while(is_missing).collect();
    storage.create_dir(dir).at("create", dir)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        storage.sync_dir(parent).at("sync", parent)?;
    }
    Ok(())
}

/// Closing.
impl Engine {
    /// Nothing can be written through this engine any more. The last process out makes all that
    /// was written durable and says so on the disk.
    pub(crate) fn close(&self) -> Result<()> {
        let Some(root) = &self.shared.root else { return Ok(()) };
        if self.shared.check_fork().is_err() {
            return Ok(());
        }
        self.shared.closed.store(true, Ordering::SeqCst);
        point("close.closed");
        if !root.is_last(&self.shared.control)? {
            return Ok(());
        }
        point("close.last");
        if let Err(error) = self.remove_buried(true) {
            // They are no part of any log; the next one removes them.
            log::warn!("files of deleted segments still take room: {error}");
        }
        let (mut ends, mut starts) = (Offsets::new(), Offsets::new());
        for topic in self.topics()?.iter() {
            for number in 0..topic.partition_count() {
                let partition = self.partition_of(topic, number)?;
                let settled = self.settle(&partition);
                // A process may not have the files of all open.
                partition.give_back();
                let settled = if planted("clean-at-any-rate") {
                    Ok(settled.unwrap_or(None))
                } else {
                    settled
                };
                let Some(edges) = settled? else { continue };
                point("close.settled");
                ends.insert(partition.id.clone(), edges.log_end_offset);
                starts.insert(partition.id.clone(), edges.log_start_offset);
            }
        }
        self.shared.control.retire();
        point("close.retired");
        root.mark(&ends, &starts)
    }

    /// Syncs a partition, recovered first if nobody did that since a crash. `None` if nobody has
    /// used it since the directory was closed in good order.
    fn settle(&self, partition: &Partition) -> Result<Option<Ends>> {
        if self.shared.control.trust() == Trust::Clean && !partition.is_recovered() {
            // What was noted of one that was deleted says nothing of one that was made since.
            let was_found = partition.page.was_found();
            let known =
                |offsets: &Offsets| offsets.get(&partition.id).copied().filter(|_| was_found);
            let end = known(&self.shared.recovery_points);
            return Ok(end.map(|log_end_offset| Ends {
                log_start_offset: known(&self.shared.log_starts).unwrap_or(0),
                last_stable_offset: log_end_offset,
                log_end_offset,
            }));
        }
        partition.ready()?;
        partition.seal_times()?;
        let ends = partition.ends()?;
        partition.sync(ends.log_end_offset)?;
        // What a clean log has that nobody wrote to since was synced when it was closed.
        if self.shared.control.trust() != Trust::Clean || !partition.page.is_unnamed() {
            partition.sync_indexes()?;
        }
        Ok(Some(ends))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.tended.ended.store(1, Ordering::SeqCst);
        crate::env::wake::wake_all(&self.shared.tended.ended);
        if let Err(error) = self.close() {
            // The next process in recovers the directory: nothing that was acknowledged is lost.
            log::warn!("{} was not closed in good order: {error}", self.dir().display());
        }
        self.shared.tended.gone.store(true, Ordering::SeqCst);
    }
}
