//! How the set of topics changes: alone among all processes, and so that whoever comes after one
//! that died in the middle finds the old set or the new one.
//!
//! The list of topics decides. A topic is there once it is listed; its folders are made before
//! that, and empty ones that are not listed are passed over. One that is deleted stays listed as such until its folders have other names and its
//! committed offsets are gone: who finds it so goes on with that.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, MutexGuard, TryLockError};
use std::time::Duration;

use crate::config::{DirectoryConfig, TopicConfig};
use crate::engine::group::offsets;
use crate::engine::topics::unheeded;
use crate::engine::topics::{self, Topics};
use crate::engine::{Engine, Id, Root, Topic, patience};
use crate::env::point::point;
use crate::env::{Lock, Mode, Storage};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::types::{TopicPartition, valid_topic_name};

/// The directory's lock, which is there once it was taken, and must be given back.
pub(super) type Held<'a> = MutexGuard<'a, Option<Box<dyn Lock>>>;

/// How long who changes the topics, and so holds up others, waits for the lock of a partition.
const BRIEF: Duration = Duration::from_millis(100);

/// How many partitions one request may make (Kafka's `MAX_PARTITIONS_PER_BATCH`).
const MAX_MADE: i32 = 10_000;

/// The right to change the set of topics, and the set as it is.
pub(super) struct Revision<'a> {
    engine: &'a Engine,
    pub(super) topics: Topics,
}

/// What a topic would have that is made so in a directory with these settings: partitions and
/// settings of its own.
pub fn checked(
    directory: &DirectoryConfig,
    name: &str,
    partitions: Option<i32>,
    settings: &[(String, String)],
) -> Result<(i32, Arc<TopicConfig>)> {
    if !valid_topic_name(name) {
        return Err(Error::InvalidTopic(name.to_owned()));
    }
    if name == topics::CLUSTER_METADATA {
        return Err(Error::ReservedTopic(name.to_owned()));
    }
    let partitions = partitions.unwrap_or(directory.num_partitions);
    if partitions < 1 {
        let text = format!("a topic has at least 1 partition, not {partitions}");
        return Err(Error::InvalidPartitions(text));
    }
    check_count(partitions)?;
    let given = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let config = TopicConfig::parse(given)?;
    config.within(directory).check()?;
    Ok((partitions, Arc::new(config)))
}

/// Whether a topic of that name may be made: there is none of it, nor one whose name differs only by
/// `.` and `_`.
fn check_new(topics: &Topics, name: &str) -> Result<()> {
    if topics.get(name).is_some() {
        return Err(Error::TopicAlreadyExists(name.to_owned()));
    }
    // Nothing can be committed without Kafka's own.
    if topics::is_internal(name) || !name.contains(['.', '_']) {
        return Ok(());
    }
    let unified = |name: &str| name.replace('.', "_");
    let wanted = unified(name);
    match topics.iter().find(|topic| unified(&topic.name) == wanted) {
        Some(topic) => {
            let existing = topic.name.to_string();
            Err(Error::TopicCollision { name: name.to_owned(), existing })
        }
        None => Ok(()),
    }
}

impl Engine {
    /// The topic of that name, made with the defaults if there is none
    /// (`auto.create.topics.enable`).
    pub fn topic_or_create(&self, name: &str) -> Result<Arc<Topic>> {
        if let Some(topic) = self.topic(name)? {
            return Ok(topic);
        }
        let made = match name {
            topics::OFFSETS_TOPIC => offsets::create_offsets_topic(self),
            _ if !self.config().auto_create_topics => Err(unknown(name)),
            _ => self.create_topic(name, None, &[]),
        };
        match made {
            Err(Error::TopicAlreadyExists(_)) => self.topic(name)?.ok_or_else(|| unknown(name)),
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
        let (partitions, config) = checked(&self.config(), name, partitions, settings)?;
        unheeded::warn(&config.given);
        self.change(|change| {
            check_new(&change.topics, name)?;
            if change.topics.deleted().iter().any(|topic| &*topic.name == name) {
                // Its folders are in the way.
                return Err(Error::Timeout { what: "the deletion of the topic", after: BRIEF });
            }
            let control = &self.shared.control;
            let topic = change.topics.put(name, Id::random(), partitions, config, control);
            self.make_folders(&topic, 0)?;
            change.write()?;
            Ok(topic)
        })
    }

    /// What [`create_topic`](Self::create_topic) would say, without making it: the settings that
    /// the topic would have.
    pub fn check_topic(
        &self,
        name: &str,
        partitions: Option<i32>,
        settings: &[(String, String)],
    ) -> Result<Arc<TopicConfig>> {
        let (_, config) = checked(&self.config(), name, partitions, settings)?;
        check_new(&*self.topics()?, name)?;
        Ok(config)
    }

    /// What [`create_partitions`](Self::create_partitions) would say, without making any.
    pub fn check_partitions(&self, name: &str, total: i32) -> Result<()> {
        let topic = self.topic(name)?.ok_or_else(|| unknown(name))?;
        check_more(&topic, total)
    }

    /// Gives a topic more partitions, `total` in all.
    pub fn create_partitions(&self, name: &str, total: i32) -> Result<Arc<Topic>> {
        self.change(|change| {
            let topic = change.topics.get(name).cloned().ok_or_else(|| unknown(name))?;
            check_more(&topic, total)?;
            let now = topic.partition_count();
            let (config, control) = (topic.config.clone(), &self.shared.control);
            let more = change.topics.put(name, topic.id, total, config, control);
            self.make_folders(&more, now)?;
            change.write()?;
            Ok(more)
        })
    }

    /// Removes a topic, all its records and what groups have committed for it, for every process.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.delete(name, None)
    }

    /// The same, if it is still the topic with this id; else there is no such topic.
    pub fn delete_topic_of(&self, name: &str, id: Id) -> Result<()> {
        self.delete(name, Some(id))
    }

    fn delete(&self, name: &str, id: Option<Id>) -> Result<()> {
        if !self.config().delete_topics {
            return Err(Error::TopicDeletionDisabled(name.to_owned()));
        }
        self.change(|change| {
            let found = change.topics.get(name).filter(|it| id.is_none_or(|id| it.id == id));
            found.ok_or_else(|| unknown(name))?;
            change.topics.mark_deleted(name);
            change.write()?;
            point("delete.listed");
            change.bury_or_warn();
            Ok(())
        })?;
        remove_buried(&*self.env().storage, self.dir())
    }

    /// Ends the deletions that others have begun and did not live to end.
    pub(crate) fn end_deletions(&self) {
        let ended = match self.topics() {
            Ok(topics) if topics.deleted().is_empty() => Ok(()),
            _ => self.change(|_| Ok(())),
        };
        // Nobody sees these topics; the next one tries again.
        for failed in [ended, remove_buried(&*self.env().storage, self.dir())] {
            failed.unwrap_or_else(|error| log::warn!("a deleted topic still takes room: {error}"));
        }
    }

    /// Changes the set of topics, alone among all processes.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut Revision<'_>) -> Result<T>,
    ) -> Result<T> {
        self.alone(|| self.change_locked(change))
    }

    /// Changes something, alone among all processes.
    pub(super) fn alone<T>(&self, change: impl FnOnce() -> Result<T>) -> Result<T> {
        self.shared.check_fork()?;
        self.root()?.check_place()?;
        let lock = self.lock_topics()?;
        let changed = self.shared.check_open().and_then(|()| change());
        self.shared.control.end_changes();
        point("topics.told");
        let held = lock.as_ref().expect("the lock was made when it was taken");
        held.release().at("unlock", self.dir())?;
        changed
    }

    fn change_locked<T>(&self, change: impl FnOnce(&mut Revision<'_>) -> Result<T>) -> Result<T> {
        let storage = &*self.env().storage;
        let topics = Topics::read(storage, self.dir(), self.shared.control.topics_generation())?;
        point("topics.read");
        let mut begun = Revision { engine: self, topics };
        begun.resume();
        change(&mut begun)
    }

    fn root(&self) -> Result<&Root> {
        self.shared.root.as_ref().ok_or_else(|| Error::ReadOnly(self.dir().to_owned()))
    }

    fn lock_topics(&self) -> Result<Held<'_>> {
        let clock = &*self.env().clock;
        let lock = patience::long("the lock of the directory", clock, || {
            let mut lock = match self.shared.topics_lock.try_lock() {
                Ok(lock) => lock,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(None),
            };
            let taken = self.shared.made(&mut lock)?.try_acquire(Mode::Exclusive);
            Ok(taken.at("lock", self.dir())?.then_some(lock))
        })?;
        point("topics.locked");
        self.shared.control.end_changes();
        Ok(lock)
    }

    /// The same without waiting; `None` while another changes the set.
    pub(crate) fn try_lock_topics(&self) -> Result<Option<Held<'_>>> {
        let Ok(mut lock) = self.shared.topics_lock.try_lock() else { return Ok(None) };
        let taken =
            self.shared.made(&mut lock)?.try_acquire(Mode::Exclusive).at("lock", self.dir())?;
        Ok(taken.then_some(lock))
    }

    /// Makes the folders of a topic's partitions from number `from` on. The list that names them is
    /// written next, and makes them survive a crash too.
    fn make_folders(&self, topic: &Topic, from: i32) -> Result<()> {
        let numbers = from..topic.partition_count();
        self.remove_unlisted(&topic.name, from)?;
        let made = numbers.clone().try_for_each(|number| self.make_folder(topic, number));
        made.inspect_err(|_| {
            // Who looks for topics passes over what is left.
            let _ = self.remove_unlisted(&topic.name, from);
        })
    }

    fn make_folder(&self, topic: &Topic, number: i32) -> Result<()> {
        let (dir, storage) = (self.dir(), &self.env().storage);
        let folder = topics::folder(dir, &TopicPartition::new(topic.name.clone(), number));
        storage.create_dir(&folder).at("create", &folder)?;
        if !storage.list(&folder).at("list", &folder)?.is_empty() {
            return Err(Error::InTheWay(folder));
        }
        point("topics.folder");
        Ok(())
    }

    /// Removes the empty folders from number `from` on, of somebody who died before he listed them.
    fn remove_unlisted(&self, topic: &str, from: i32) -> Result<()> {
        let storage = &*self.env().storage;
        for entry in storage.list(self.dir()).at("list", self.dir())? {
            let partition = topics::partition_of(&entry.name);
            if entry.is_dir
                && partition.is_some_and(|(name, number)| name == topic && number >= from)
            {
                remove_if_empty(storage, &self.dir().join(entry.name))?;
            }
        }
        Ok(())
    }
}

impl Revision<'_> {
    /// Makes the set as it is now the one of every process: after `Ok` nobody sees another any more.
    pub(super) fn write(&self) -> Result<()> {
        let control = &self.engine.shared.control;
        control.begin_change_of_topics();
        point("topics.begun");
        self.topics.write(&*self.engine.env().storage, self.engine.dir())?;
        point("topics.written");
        // What is still to be done takes time, and others need not look at the list all the while.
        control.end_changes();
        Ok(())
    }

    /// Ends every deletion that others have begun. Who listed it may have died before the list was
    /// on the disk: no folder goes before it.
    fn resume(&mut self) {
        if self.topics.deleted().is_empty() {
            return;
        }
        let dir = self.engine.dir();
        match self.engine.env().storage.sync_dir(dir).at("sync", dir) {
            Ok(()) => self.bury_or_warn(),
            Err(error) => log::warn!("deleted topics still take room: {error}"),
        }
    }

    /// Ends every deletion that is listed, for who knows the list to be on the disk. Nobody sees
    /// these topics any more: what cannot be ended now stays listed, and whoever changes topics next
    /// tries again.
    fn bury_or_warn(&mut self) {
        let mut ended = Vec::new();
        for topic in self.topics.deleted() {
            match self.engine.bury(topic) {
                Ok(()) => ended.push(topic.id),
                Err(error) => {
                    log::warn!("the deleted topic {} still takes room: {error}", topic.name);
                }
            }
        }
        if let Err(error) = self.forget(&ended) {
            log::warn!("deleted topics are still listed: {error}");
        }
    }

    fn forget(&mut self, ended: &[Id]) -> Result<()> {
        if ended.is_empty() {
            return Ok(());
        }
        self.engine.root()?.keep(|id| self.topics.get(&id.topic).is_some())?;
        self.topics.forget_deleted(ended);
        self.write()
    }
}

impl Engine {
    /// Takes away what there is of a deleted topic, but for the folders themselves.
    fn bury(&self, topic: &Topic) -> Result<()> {
        patience::with_patience(BRIEF, || {
            self.bury_partitions(topic)?;
            self.forget_offsets(&topic.name)
        })?;
        point("delete.forgotten");
        Ok(())
    }

    fn bury_partitions(&self, topic: &Topic) -> Result<()> {
        for number in 0..topic.partition_count() {
            let partition = self.partition_of(topic, number)?;
            partition.delete(&topics::buried(self.dir(), partition.id(), topic.id))?;
            point("delete.renamed");
        }
        self.env().storage.sync_dir(self.dir()).at("sync", self.dir())
    }
}

/// Removes the folders of deleted partitions. Who has files of them open reads on.
pub(super) fn remove_buried(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for entry in storage.list(dir).at("list", dir)? {
        if entry.is_dir && topics::is_buried(&entry.name) {
            remove_folder(storage, &dir.join(entry.name))?;
            point("delete.removed");
        }
    }
    Ok(())
}

/// Removes a folder with its files; somebody else may be at the same.
fn remove_folder(storage: &dyn Storage, folder: &Path) -> Result<()> {
    let entries = match storage.list(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.at("list", folder)?,
    };
    for entry in entries {
        files::remove(storage, &folder.join(entry.name))?;
        point("delete.removing");
    }
    // If not, compaction made a file: the first process into the directory removes it.
    remove_if_empty(storage, folder)
}

fn remove_if_empty(storage: &dyn Storage, folder: &Path) -> Result<()> {
    match storage.remove_dir(folder) {
        Err(error)
            if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) =>
        {
            Ok(())
        }
        removed => removed.at("remove", folder),
    }
}

/// Each takes a page and a folder, before anything is there for anybody.
fn check_count(wanted: i32) -> Result<()> {
    if wanted > MAX_MADE {
        return Err(Error::TooManyPartitions { wanted, max: MAX_MADE });
    }
    Ok(())
}

fn check_more(topic: &Topic, total: i32) -> Result<()> {
    if topic.internal {
        // The partition of a group follows from its name and the number of partitions.
        let text = format!("topic {:?} keeps its partitions: groups have theirs", topic.name);
        return Err(Error::InvalidPartitions(text));
    }
    let now = topic.partition_count();
    if total > now {
        return check_count(total - now);
    }
    let plural = if now == 1 { "" } else { "s" };
    let text = format!("topic {:?} has {now} partition{plural}; {total} is not more", topic.name);
    Err(Error::InvalidPartitions(text))
}

pub(super) fn unknown(name: &str) -> Error {
    Error::unknown_topic(name)
}
