//! The topics of a directory: names, ids, settings and where their partitions' pages are.
//!
//! They are kept in `.brokerless-topics` (see [`list`]), which is replaced whole under the
//! directory's lock. The first process in looks through the folders too, so that a directory of a
//! broker's is taken as it is.

mod alter;
pub(super) mod catalog;
pub(super) mod id;
pub(crate) mod list;
pub(super) mod unheeded;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::TopicConfig;
use crate::engine::control::Control;
use crate::engine::directory::losses::{self, Folders};
use crate::engine::directory::root;
use crate::engine::topics::id::Id;
use crate::env::{Entry, Storage};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::recovery::Trust;
use crate::planted::planted;
use crate::types::{TopicPartition, valid_topic_name};

/// The end of the name of a deleted partition's folder, as a broker has it.
const BURIED: &str = "-delete";
/// The longest name that file systems take.
const MAX_NAME: usize = 255;

/// The topic that holds committed offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
const TRANSACTIONS_TOPIC: &str = "__transaction_state";
/// A broker's own log of its cluster, which is no topic.
pub(crate) const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Whether a topic of that name is Kafka's own, which only Kafka writes to.
pub fn is_internal(name: &str) -> bool {
    matches!(name, OFFSETS_TOPIC | TRANSACTIONS_TOPIC)
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id (KIP-516).
    pub id: Id,
    /// Its settings.
    pub config: Arc<TopicConfig>,
    /// Whether it is one of Kafka's own: `__consumer_offsets` or `__transaction_state`.
    pub internal: bool,
    /// The page of each partition.
    pub(crate) slots: Vec<u32>,
}

impl Topic {
    /// How many partitions it has.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.slots.len()).unwrap_or(i32::MAX)
    }

    /// Whether what was noted of one of its partitions is to be kept: not where it begins anew.
    pub(crate) fn is_noted(&self, partition: i32, control: &Control) -> bool {
        let page = self.slot(partition).map(|slot| control.page(slot));
        page.is_none_or(|page| page.is_ok_and(|page| page.was_found()))
    }

    pub(crate) fn slot(&self, partition: i32) -> Option<u32> {
        self.slots.get(usize::try_from(partition).ok()?).copied()
    }
}

/// All topics at one moment.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    /// What [`Engine::topics_generation`](crate::engine::Engine::topics_generation) was then.
    pub(crate) generation: u64,
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    /// Those whose folders may still be there.
    deleted: Vec<Arc<Topic>>,
}

impl Topics {
    /// The topic of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// Adds a topic, or replaces the one of its name, with `partitions` partitions. Those it has
    /// keep their pages, the others take the next.
    pub(crate) fn put(
        &mut self,
        name: &str,
        id: Id,
        partitions: i32,
        config: Arc<TopicConfig>,
        control: &Control,
    ) -> Arc<Topic> {
        let mut slots = self.get(name).map_or_else(Vec::new, |topic| topic.slots.clone());
        let more = partitions as u32 - slots.len() as u32;
        slots.extend(control.take_pages(more));
        let name: Arc<str> = name.into();
        let internal = is_internal(&name);
        let topic = Arc::new(Topic { name: name.clone(), id, config, internal, slots });
        self.by_name.insert(name, topic.clone());
        topic
    }

    /// Gives a topic other settings.
    pub(crate) fn configure(&mut self, topic: &Topic, config: Arc<TopicConfig>) {
        let topic = Arc::new(Topic { config, ..topic.clone() });
        self.by_name.insert(topic.name.clone(), topic);
    }

    /// Takes a topic out; until [`forget_deleted`](Self::forget_deleted) it is known as deleted.
    pub(crate) fn mark_deleted(&mut self, name: &str) -> Option<()> {
        self.deleted.push(self.by_name.remove(name)?);
        Some(())
    }

    /// Those whose deletion is not over.
    pub(crate) fn deleted(&self) -> &[Arc<Topic>] {
        &self.deleted
    }

    /// Those are over.
    pub(crate) fn forget_deleted(&mut self, ended: &[Id]) {
        self.deleted.retain(|topic| !ended.contains(&topic.id));
    }

    /// Reads the list, which is there as soon as somebody has opened the directory.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path, generation: u64) -> Result<Self> {
        let path = dir.join(list::FILE);
        let bytes = files::read(storage, &path)?.ok_or_else(|| list::missing(&path))?;
        let listed = list::decode(&bytes).ok_or_else(|| list::damaged(&path))?;
        let mut topics = Self { generation, ..Self::default() };
        for (topic, is_deleted) in listed {
            let topic = Arc::new(topic);
            if is_deleted {
                topics.deleted.push(topic);
            } else {
                topics.by_name.insert(topic.name.clone(), topic);
            }
        }
        Ok(topics)
    }

    /// Replaces the list.
    pub(crate) fn write(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let replace = if planted("no-topics-sync") { files::put } else { files::replace };
        replace(storage, &dir.join(list::FILE), self.text().as_bytes())
    }

    /// Whether the list says the same.
    pub(crate) fn are_written(&self, storage: &dyn Storage, dir: &Path) -> Result<bool> {
        let bytes = files::read(storage, &dir.join(list::FILE))?;
        Ok(bytes.is_some_and(|bytes| bytes == self.text().as_bytes()))
    }

    fn text(&self) -> String {
        let there = self.by_name.values().map(|topic| (&**topic, false));
        list::encode(there.chain(self.deleted.iter().map(|topic| (&**topic, true))))
    }

    /// The topics of a directory that nobody has open: those of the list, and those a broker has
    /// made. Pages are numbered anew. A deletion that is not over stays one. Who only looks may do so
    /// without the list, and sees the topics that have folders.
    pub(crate) fn survey(
        storage: &dyn Storage,
        dir: &Path,
        control: &Control,
        writable: bool,
    ) -> Result<Self> {
        let entries = storage.list(dir).at("list", dir)?;
        let folders = folders(storage, dir, &entries)?;
        let is_ours = entries.iter().any(|entry| entry.name == root::FORMAT);
        let file = match Self::read(storage, dir, 0) {
            Err(Error::Missing { .. }) if folders.is_empty() || !is_ours => Self::default(),
            Err(missing @ Error::Missing { .. }) if !writable => {
                log::warn!("{missing}");
                Self::default()
            }
            file => file?,
        };
        let mut topics = Self { generation: control.topics_generation(), ..Self::default() };
        topics.deleted = still_deleted(storage, dir, &file, control)?;
        for (name, numbers) in &folders {
            let known = file.get(name);
            let is_gone = topics.deleted.iter().any(|gone| *gone.name == **name);
            let listed = known.map_or(0, |topic| topic.partition_count());
            let numbers = with_files(storage, dir, name, numbers, listed)?;
            if !is_gone && !numbers.is_empty() {
                topics.find(storage, dir, known, name, &numbers, control)?;
            }
        }
        for topic in file.iter().filter(|topic| writable && !folders.contains_key(&*topic.name)) {
            // As on a broker that finds nothing of a topic, it begins anew.
            let partitions = topic.partition_count();
            let topic =
                topics.put(&topic.name, topic.id, partitions, topic.config.clone(), control);
            for page in &topic.slots {
                control.page(*page)?.set_listed();
            }
        }
        let points = root::recovery_points(storage, dir)?;
        losses::tell_folders(dir, &file, &topics.deleted, &folders, &points);
        if writable {
            losses::tell_unknown(
                dir,
                topics.iter().filter(|topic| file.get(&topic.name).is_none()),
            );
        }
        if control.trust() == Trust::Clean && !folders.is_empty() {
            losses::tell_lists(dir, &entries);
        }
        Ok(topics)
    }

    /// Takes in a topic whose folders have these numbers; `known` as it was listed.
    fn find(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        known: Option<&Arc<Topic>>,
        name: &str,
        numbers: &BTreeSet<i32>,
        control: &Control,
    ) -> Result<()> {
        let (id, config) = if let Some(topic) = known {
            (topic.id, topic.config.clone())
        } else {
            let id = folder_id(storage, dir, name, numbers.iter().copied())?;
            (id.unwrap_or_else(Id::random), unknown_config(name))
        };
        let partitions = count(known.map(|topic| topic.partition_count()), numbers);
        for number in numbers.iter().filter(|number| **number >= partitions) {
            log::warn!(
                "{}/{name}-{number} is passed over: {name} has {partitions} partitions",
                dir.display()
            );
        }
        if partitions == 0 {
            return Ok(());
        }
        let topic = self.put(name, id, partitions, config, control);
        for page in &topic.slots {
            control.page(*page)?.set_found();
        }
        let pages = known.map_or(&[][..], |topic| &topic.slots);
        for (old, new) in pages.iter().zip(&topic.slots) {
            control.take_over(*old, *new)?;
        }
        Ok(())
    }
}

/// The settings of a topic that only its folders tell of. A broker has them elsewhere: by the defaults
/// a topic that is compacted, or kept for ever, would lose what is older than a week.
fn unknown_config(name: &str) -> Arc<TopicConfig> {
    if name == OFFSETS_TOPIC { Arc::default() } else { Arc::new(TopicConfig::keeping_all()) }
}

/// The list made anew from the folders, with settings by which nothing goes.
pub(crate) fn list_of_folders(storage: &dyn Storage, dir: &Path) -> Result<String> {
    let mut pages = 0..;
    let mut topics = Vec::new();
    let entries = storage.list(dir).at("list", dir)?;
    for (name, numbers) in folders(storage, dir, &entries)? {
        let numbers = with_files(storage, dir, &name, &numbers, 0)?;
        let partitions = count(None, &numbers) as usize;
        if partitions == 0 {
            continue;
        }
        let id = folder_id(storage, dir, &name, numbers.iter().copied())?;
        topics.push(Topic {
            internal: is_internal(&name),
            id: id.unwrap_or_else(Id::random),
            config: unknown_config(&name),
            name: name.into(),
            slots: pages.by_ref().take(partitions).collect(),
        });
    }
    Ok(list::encode(topics.iter().map(|topic| (topic, false))))
}

/// The topics whose deletion was not over, with new pages. A broker may have made another one of
/// the name since.
fn still_deleted(
    storage: &dyn Storage,
    dir: &Path,
    file: &Topics,
    control: &Control,
) -> Result<Vec<Arc<Topic>>> {
    let mut still = Vec::new();
    for gone in file.deleted.iter().filter(|_| !planted("forget-deletions")) {
        let numbers = 0..gone.partition_count();
        if folder_id(storage, dir, &gone.name, numbers)?.is_none_or(|id| id == gone.id) {
            let slots = control.take_pages(gone.slots.len() as u32).collect();
            still.push(Arc::new(Topic { slots, ..Topic::clone(gone) }));
        }
    }
    Ok(still)
}

/// The topics that have folders `name-0`, `name-1`, ..., and the numbers of these.
fn folders(storage: &dyn Storage, dir: &Path, entries: &[Entry]) -> Result<Folders> {
    let mut topics = Folders::new();
    for entry in entries {
        if let Some((name, partition)) = partition_of(&entry.name) {
            if !entry.is_dir {
                check_stray(storage, &dir.join(&entry.name))?;
                continue;
            }
            topics.entry(name.to_owned()).or_default().insert(partition);
        }
    }
    Ok(topics)
}

/// Without the folders behind the `listed` ones that have no file of a partition. Empty ones somebody
/// has made who died before they were listed, or before he saw that the topic was deleted; others are
/// not ours. What a broker has made has files from the beginning.
fn with_files(
    storage: &dyn Storage,
    dir: &Path,
    name: &str,
    numbers: &BTreeSet<i32>,
    listed: i32,
) -> Result<BTreeSet<i32>> {
    let mut known = BTreeSet::new();
    for &number in numbers {
        let folder = folder(dir, &TopicPartition::new(name, number));
        if number < listed || is_of_partition(storage, &folder)? {
            known.insert(number);
        }
    }
    Ok(known)
}

/// Whether there is a file in the folder that one of a partition has.
pub(crate) fn is_of_partition(storage: &dyn Storage, folder: &Path) -> Result<bool> {
    let entries = storage.list(folder).at("list", folder)?;
    Ok(entries.iter().any(|entry| !entry.is_dir && files::is_of_partition(&entry.name)))
}

/// A file in the place of a partition's folder is passed over, as a broker does. A link is not: what
/// it leads to may be the partition, and to go on without it would be to begin it anew.
fn check_stray(storage: &dyn Storage, path: &Path) -> Result<()> {
    match storage.list(path) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Err(error).at("open", path),
        _ => Ok(()),
    }
}

/// How far two partitions of a topic may lie apart of which a broker has only some: every partition
/// in between takes a page.
const FARTHEST: i32 = 1000;

/// How many partitions a topic has: those that were listed, and those a broker has added behind
/// them. Of a topic that was not listed this broker may have had only some; a folder with a number
/// far beyond the others is a stray one, as a broker has it that finds none of its partitions named.
pub(crate) fn count(listed: Option<i32>, numbers: &BTreeSet<i32>) -> i32 {
    if let Some(listed) = listed {
        return (listed..i32::MAX).find(|number| !numbers.contains(number)).unwrap_or(listed);
    }
    let mut count = 0;
    for number in numbers {
        if number - count >= FARTHEST {
            break;
        }
        count = number + 1;
    }
    count
}

pub(crate) fn partition_of(folder: &str) -> Option<(&str, i32)> {
    let (name, number) = folder.rsplit_once('-')?;
    let partition: i32 = number.parse().ok()?;
    let canonical = partition >= 0 && partition.to_string() == number && partition < 1 << 20;
    (canonical && valid_topic_name(name) && name != CLUSTER_METADATA).then_some((name, partition))
}

/// The folder of a partition.
pub(crate) fn folder(dir: &Path, id: &TopicPartition) -> PathBuf {
    dir.join(id.to_string())
}

/// Where the folder of a partition goes that was deleted, until it is removed (Kafka's
/// `UnifiedLog.logDeleteDirName`).
pub(crate) fn buried(dir: &Path, partition: &TopicPartition, id: Id) -> PathBuf {
    let suffix = format!("-{}.{id}{BURIED}", partition.partition);
    let room = MAX_NAME - suffix.len();
    let topic = &partition.topic[..partition.topic.len().min(room)];
    dir.join(format!("{topic}{suffix}"))
}

/// Whether a folder of that name is one of a deleted partition.
pub(crate) fn is_buried(name: &str) -> bool {
    let partition = name.strip_suffix(BURIED).and_then(|rest| rest.rsplit_once('.'));
    partition.is_some_and(|(partition, _)| partition_of(partition).is_some())
}

/// The topic's id as it was written into the first of these folders that has one. A broker may have
/// had only some of the partitions.
fn folder_id(
    storage: &dyn Storage,
    dir: &Path,
    topic: &str,
    numbers: impl IntoIterator<Item = i32>,
) -> Result<Option<Id>> {
    for number in numbers {
        let folder = folder(dir, &TopicPartition::new(topic, number));
        let bytes = files::read(storage, &folder.join(files::PARTITION_METADATA))?;
        if let Some(id) = bytes.and_then(|bytes| named_id(&bytes)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Writes the topic's id into a partition's folder (Kafka's `PartitionMetadataFile`), unless it is
/// there. A crash may take it: the list of topics has it too. A folder that names another topic is
/// refused, as by a broker: it may be that topic's.
pub(crate) fn write_metadata(storage: &dyn Storage, dir: &Path, id: Id) -> Result<()> {
    let path = dir.join(files::PARTITION_METADATA);
    match named_id(&files::read(storage, &path)?.unwrap_or_default()) {
        Some(named) if named == id => Ok(()),
        Some(_) => Err(Error::Damaged { path, remedy: OTHER_TOPIC.to_owned() }),
        None => files::put(storage, &path, format!("version: 0\ntopic_id: {id}").as_bytes()),
    }
}

/// What to do where a partition's folder says that it is another topic's.
const OTHER_TOPIC: &str = "it names another topic than .brokerless-topics does: put the folders of \
                           the partitions back under their names; or, if the records are this \
                           topic's, remove this file";

/// The id in a `partition.metadata`.
pub(crate) fn named_id(bytes: &[u8]) -> Option<Id> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().find_map(|line| line.strip_prefix("topic_id: ")).and_then(Id::parse)
}

/// Reads the file, and again what was written of that.
#[cfg(any(debug_assertions, fuzzing))]
pub(crate) fn read_again(storage: &dyn Storage, dir: &Path) {
    let Ok(topics) = Topics::read(storage, dir, 0) else { return };
    topics.write(storage, dir).expect("a disk in memory takes it");
    let again = Topics::read(storage, dir, 0).expect("it was just written");
    assert_eq!(again.by_name, topics.by_name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_and_a_plain_number_make_a_partition() {
        assert_eq!(partition_of("orders-0"), Some(("orders", 0)));
        assert_eq!(partition_of("a-b-12"), Some(("a-b", 12)));
        for other in ["orders", "orders-", "orders-01", "-0", "o/r-0"] {
            assert_eq!(partition_of(other), None, "{other}");
        }
        assert_eq!(partition_of("orders-0.5f3c-delete"), None);
        assert_eq!(partition_of("__cluster_metadata-0"), None);
    }

    #[test]
    fn a_stray_folder_adds_no_partition_to_a_topic_that_is_known() {
        assert_eq!(count(Some(2), &BTreeSet::from([0, 1, 7])), 2);
        assert_eq!(count(Some(2), &BTreeSet::from([0, 1, 2, 3])), 4);
        assert_eq!(count(None, &BTreeSet::from([3, 7])), 8);
        assert_eq!(count(None, &BTreeSet::from([3, 7, 1_048_575])), 8);
        assert_eq!(count(None, &BTreeSet::from([1_048_575])), 0);
    }
}
