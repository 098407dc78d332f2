//! One directory, shared by many processes: topics, partitions, groups' offsets.
//!
//! The engine is passive: it has no threads and does nothing unless it is called.

mod append;
mod compact;
mod control;
mod doorbell;
pub mod group;
mod holders;
mod id;
mod offsets;
mod page;
mod partition;
mod patience;
mod read;
mod root;
mod sync;
mod tend;
mod topics;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use crate::config::{DirectoryConfig, TopicConfig, directory};
use crate::env::lock::fork_generation;
use crate::env::point::point;
use crate::env::{Env, Lock, Mode, Storage};
use crate::error::{At, Error, Result};
use crate::log::checkpoint::Offsets;
use crate::log::files;
use crate::log::recovery::Trust;
use crate::types::{TopicPartition, valid_topic_name};

pub use crate::log::aborted::AbortedTransaction;
pub use crate::log::segment::TimedOffset;
pub use append::Appended;
pub use doorbell::Doorbell;
pub use group::{Group, Join, Membership};
pub use id::Id;
pub use partition::{Ends, Partition};
pub use read::{Chunk, Cursor};
pub use topics::{Topic, Topics, is_internal};

use holders::Holders;
use offsets::CommittedOffsets;
use partition::Shared;
use root::{Attached, Root};
use tend::Tending;

/// How a directory is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpenOptions {
    /// Change nothing and lock nothing: for the directory of a stopped broker, a copy, or one
    /// without the right to write. What other processes append meanwhile is not seen.
    pub read_only: bool,
    /// Take a network file system, where nothing is promised if two machines use the directory.
    pub allow_network_fs: bool,
}

/// Partitions of a topic that is made without saying how many (`num.partitions`).
const DEFAULT_PARTITIONS: i32 = 1;

/// An open directory. Dropping it closes it: the last process out marks it as closed in good order.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    /// The lock of the directory itself, for changes of the set of topics.
    topics_lock: Mutex<Option<Box<dyn Lock>>>,
    topics: RwLock<Arc<Topics>>,
    partitions: RwLock<HashMap<TopicPartition, (u32, Arc<Partition>)>>,
    doorbell: Doorbell,
    offsets: CommittedOffsets,
    tending: Tending,
    /// The groups in use, by id.
    cores: Mutex<HashMap<String, Weak<group::Core>>>,
}

impl Engine {
    /// Opens the directory, made if there is none (unless read-only).
    pub fn open(dir: &Path, options: OpenOptions, env: Env) -> Result<Arc<Self>> {
        if options.read_only {
            check_network(dir, options, &env)?;
            return Self::inspect(dir, env);
        }
        Self::open_to_write(dir, options, env).map_err(|error| not_writable(dir, error))
    }

    fn open_to_write(dir: &Path, options: OpenOptions, env: Env) -> Result<Arc<Self>> {
        create_dir(&*env.storage, dir)?;
        check_network(dir, options, &env)?;
        let Attached { root, control, first } = Root::attach(dir, &env)?;
        if first {
            group::remove_all(&*env.storage, dir)?;
            point("open.emptied");
            let topics = Topics::survey(&*env.storage, dir, &control)?;
            point("open.surveyed");
            topics.write(&*env.storage, dir)?;
            point("open.written");
            root.keep(|id| topics.get(&id.topic).is_some())?;
            point("open.kept");
            root.share()?;
        }
        point("open.shared");
        let generation = control.topics_generation();
        let topics = Topics::read(&*env.storage, dir, generation)?;
        Self::new(dir, env, control, Some(root), topics)
    }

    fn inspect(dir: &Path, env: Env) -> Result<Arc<Self>> {
        let control = root::inspect(dir, &env)?;
        let topics = Topics::survey(&*env.storage, dir, &control)?;
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
        let shared = Arc::new(Shared {
            recovery_points: root::recovery_points(&*env.storage, dir)?,
            log_starts: root::log_starts(&*env.storage, dir)?,
            dir: dir.to_owned(),
            config: read_config(&*env.storage, dir)?,
            control: control.clone(),
            read_only: root.is_none(),
            root,
            born: fork_generation(),
            closed: AtomicBool::new(false),
            holders: Holders::default(),
            env,
        });
        Ok(Arc::new(Self {
            shared,
            topics_lock: Mutex::default(),
            topics: RwLock::new(Arc::new(topics)),
            partitions: RwLock::default(),
            doorbell: Doorbell::new(control, clock),
            offsets: CommittedOffsets::default(),
            tending: Tending::default(),
            cores: Mutex::default(),
        }))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The settings of the directory, as they were when it was opened.
    pub fn config(&self) -> &DirectoryConfig {
        &self.shared.config
    }

    /// The world it lives in.
    pub fn env(&self) -> &Env {
        &self.shared.env
    }

    /// Whether it was opened read-only.
    pub fn is_read_only(&self) -> bool {
        self.shared.read_only
    }

    /// Grows when any process changes the set of topics or of a topic's partitions; odd while it
    /// does.
    pub fn topics_generation(&self) -> u64 {
        if self.shared.control.topics_generation() % 2 == 1
            && let Err(error) = self.end_change_of_the_dead()
        {
            log::warn!("{error}");
        }
        self.shared.control.topics_generation()
    }

    /// The topics there are now.
    pub fn topics(&self) -> Result<Arc<Topics>> {
        self.shared.check_fork()?;
        let generation = self.topics_generation();
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner).clone();
        let in_change = generation % 2 == 1;
        if known.generation == generation && !in_change {
            return Ok(known);
        }
        let topics = Topics::read(&*self.env().storage, self.dir(), generation)?;
        // Under the number of a change that is not over, the set may change once more.
        Ok(if in_change { Arc::new(topics) } else { self.remember(topics) })
    }

    /// Who changed the topics may have died before it could say that it was done.
    fn end_change_of_the_dead(&self) -> Result<()> {
        let Ok(mut lock) = self.topics_lock.try_lock() else { return Ok(()) };
        let lock = self.made(&mut lock)?;
        if !self.is_read_only() && lock.try_acquire(Mode::Exclusive).at("lock", self.dir())? {
            self.shared.control.end_change_of_topics();
            lock.release().at("unlock", self.dir())?;
        }
        Ok(())
    }

    fn remember(&self, topics: Topics) -> Arc<Topics> {
        let topics = Arc::new(topics);
        *self.topics.write().unwrap_or_else(PoisonError::into_inner) = topics.clone();
        topics
    }

    /// The topic of that name, if there is one.
    pub fn topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        Ok(self.topics()?.get(name).cloned())
    }

    /// The topic of that name, made with the defaults if there is none
    /// (`auto.create.topics.enable`).
    pub fn topic_or_create(&self, name: &str) -> Result<Arc<Topic>> {
        if let Some(topic) = self.topic(name)? {
            return Ok(topic);
        }
        let made = match name {
            topics::OFFSETS_TOPIC => offsets::create_offsets_topic(self),
            _ => self.create_topic(name, None, &[]),
        };
        match made {
            Err(Error::TopicAlreadyExists(_)) => {
                let gone = || Error::UnknownTopicOrPartition(TopicPartition::new(name, 0));
                self.topic(name)?.ok_or_else(gone)
            }
            made => made,
        }
    }

    /// Makes a topic. After `Ok` every process has it, and it survives a crash.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: Option<i32>,
        settings: &[(String, String)],
    ) -> Result<Arc<Topic>> {
        if !valid_topic_name(name) {
            return Err(Error::InvalidTopic(name.to_owned()));
        }
        let partitions = partitions.unwrap_or(DEFAULT_PARTITIONS);
        if partitions < 1 {
            let text = format!("a topic has at least 1 partition, not {partitions}");
            return Err(Error::InvalidPartitions(text));
        }
        let given = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let config = Arc::new(TopicConfig::parse(given)?);
        self.change(|topics| {
            if topics.get(name).is_some() {
                return Err(Error::TopicAlreadyExists(name.to_owned()));
            }
            let topic = topics.put(name, Id::random(), partitions, config, &self.shared.control);
            self.make_folders(&topic, 0)?;
            Ok(topic)
        })
    }

    /// Gives a topic more partitions, `total` in all.
    pub fn create_partitions(&self, name: &str, total: i32) -> Result<Arc<Topic>> {
        self.change(|topics| {
            let unknown = || Error::UnknownTopicOrPartition(TopicPartition::new(name, 0));
            let topic = topics.get(name).cloned().ok_or_else(unknown)?;
            let now = topic.partition_count();
            if total <= now {
                let text = format!("topic {name:?} has {now} partitions; {total} is not more");
                return Err(Error::InvalidPartitions(text));
            }
            let more =
                topics.put(name, topic.id, total, topic.config.clone(), &self.shared.control);
            self.make_folders(&more, now)?;
            Ok(more)
        })
    }

    /// Removes a topic and all its records, for every process.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let topic = self.change(|topics| {
            let unknown = || Error::UnknownTopicOrPartition(TopicPartition::new(name, 0));
            let topic = topics.remove(name).ok_or_else(unknown)?;
            self.root()?.keep(|id| *id.topic != *name)?;
            Ok(topic)
        })?;
        self.forget_offsets(name)?;
        point("delete.forgotten");
        for partition in 0..topic.partition_count() {
            self.partition_of(&topic, partition)?.delete()?;
            point("delete.removed");
        }
        self.env().storage.sync_dir(self.dir()).at("sync", self.dir())
    }

    /// Changes the set of topics, alone among all processes.
    fn change<T>(&self, change: impl FnOnce(&mut Topics) -> Result<T>) -> Result<T> {
        self.shared.check_fork()?;
        self.root()?.check_place()?;
        let lock = self.lock_topics()?;
        let changed = self.shared.check_open().and_then(|()| self.change_locked(change));
        let held = lock.as_ref().expect("the lock was made when it was taken");
        held.release().at("unlock", self.dir())?;
        changed
    }

    fn root(&self) -> Result<&Root> {
        self.shared.root.as_ref().ok_or_else(|| Error::ReadOnly(self.dir().to_owned()))
    }

    fn change_locked<T>(&self, change: impl FnOnce(&mut Topics) -> Result<T>) -> Result<T> {
        let storage = &*self.env().storage;
        let mut topics =
            Topics::read(storage, self.dir(), self.shared.control.topics_generation())?;
        point("topics.read");
        let changed = change(&mut topics)?;
        point("topics.changed");
        self.shared.control.begin_change_of_topics();
        point("topics.begun");
        topics.write(storage, self.dir())?;
        point("topics.written");
        self.shared.control.end_change_of_topics();
        point("topics.told");
        topics.generation = self.shared.control.topics_generation();
        self.remember(topics);
        Ok(changed)
    }

    fn lock_topics(&self) -> Result<MutexGuard<'_, Option<Box<dyn Lock>>>> {
        let mut lock = self.topics_lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.made(&mut lock)?.acquire(Mode::Exclusive).at("lock", self.dir())?;
        point("topics.locked");
        self.shared.control.end_change_of_topics();
        Ok(lock)
    }

    /// The handle of the directory's lock, made when first needed.
    fn made<'a>(&self, lock: &'a mut Option<Box<dyn Lock>>) -> Result<&'a dyn Lock> {
        let made = match lock.take() {
            Some(made) => made,
            None => self.env().storage.lock(self.dir()).at("open", self.dir())?,
        };
        Ok(&**lock.insert(made))
    }

    /// Makes the folders of a topic's partitions from number `from` on.
    fn make_folders(&self, topic: &Topic, from: i32) -> Result<()> {
        let storage = &*self.env().storage;
        for partition in from..topic.partition_count() {
            let id = TopicPartition::new(topic.name.clone(), partition);
            let folder = topics::folder(self.dir(), &id);
            storage.create_dir(&folder).at("create", &folder)?;
            point("topics.folder");
        }
        storage.sync_dir(self.dir()).at("sync", self.dir())
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

/// The settings in `brokerless.properties`; the defaults where there is none.
fn read_config(storage: &dyn Storage, dir: &Path) -> Result<DirectoryConfig> {
    let path = dir.join(directory::FILE);
    let bytes = files::read(storage, &path)?.unwrap_or_default();
    DirectoryConfig::parse(&bytes, &path)
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
        let (mut ends, mut starts) = (Offsets::new(), Offsets::new());
        for topic in self.topics()?.iter() {
            for number in 0..topic.partition_count() {
                let partition = self.partition_of(topic, number)?;
                let Some(edges) = self.settle(&partition)? else { continue };
                point("close.settled");
                ends.insert(partition.id.clone(), edges.log_end_offset);
                starts.insert(partition.id.clone(), edges.log_start_offset);
            }
        }
        root.mark(&ends, &starts)
    }

    /// Syncs a partition, recovered first if nobody did that since a crash. `None` if nobody has
    /// used it since the directory was closed in good order.
    fn settle(&self, partition: &Partition) -> Result<Option<Ends>> {
        if self.shared.control.trust() == Trust::Clean && !partition.is_recovered() {
            let known = |offsets: &Offsets| offsets.get(&partition.id).copied();
            let end = known(&self.shared.recovery_points);
            return Ok(end.map(|log_end_offset| Ends {
                log_start_offset: known(&self.shared.log_starts).unwrap_or(0),
                last_stable_offset: log_end_offset,
                log_end_offset,
            }));
        }
        partition.seal_times()?;
        let ends = partition.ends()?;
        partition.sync(ends.log_end_offset)?;
        Ok(Some(ends))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            // The next process in recovers the directory: nothing that was acknowledged is lost.
            log::warn!("{} was not closed in good order: {error}", self.dir().display());
        }
    }
}
