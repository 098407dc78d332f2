//! The check of what stands in the data directory itself, and of what kind everything is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use crate::config::{DirectoryConfig, directory, properties};
use crate::engine::Id;
use crate::engine::control;
use crate::engine::directory::root::{CLEAN_SHUTDOWN, FORMAT, FORMAT_VERSION, LOCK, META};
use crate::engine::topics::list as topic_list;
use crate::engine::topics::{self, CLUSTER_METADATA};
use crate::engine::upkeep::compact;
use crate::env::{Description, Kind, Storage};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::recovery::Trust;
use crate::types::TopicPartition;
use crate::verify::Task;
use crate::verify::finding::{Finding, Findings, Severity};
use crate::verify::fix::Fix;
use crate::verify::lists;
use crate::verify::standing::{Survey, is_marked_clean};

/// What a broker has beside ours and the lists of [`lists`].
const BROKERS: [&str; 4] =
    ["bootstrap.checkpoint", "replication-offset-checkpoint", "quorum-state", ".kraft-version"];

/// Of groups that are in use.
const GROUPS: &str = ".brokerless-group-";

/// What stands there, without following links; `None` if it is gone.
pub(crate) fn describe(storage: &dyn Storage, path: &Path) -> Result<Option<Described>> {
    match storage.describe(path) {
        Ok(found) => Ok(Some(Described(found))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at("stat", path),
    }
}

/// Whether a folder has anything that makes it a data directory.
pub(crate) fn is_one(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    for entry in storage.list(dir).at("list", dir)? {
        if !entry.is_dir && entry.name != LOCK && is_needed(&entry.name) {
            return Ok(true);
        }
        // Other folders have such names too.
        if entry.is_dir
            && topics::partition_of(&entry.name).is_some()
            && topics::is_of_partition(storage, &dir.join(&entry.name)).unwrap_or(false)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a batch may decompress to in the directory.
pub(crate) fn limit(storage: &dyn Storage, dir: &Path) -> usize {
    let path = dir.join(directory::FILE);
    let bytes = files::read(storage, &path).ok().flatten().unwrap_or_default();
    // Settings that cannot be read are reported elsewhere.
    DirectoryConfig::parse(&bytes, &path).unwrap_or_default().max_decompressed_bytes
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described(Description);

impl std::ops::Deref for Described {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.0
    }
}

impl Described {
    /// Whether anybody may change it.
    pub(crate) fn open_to_others(&self, path: &Path) -> Option<Finding> {
        let mode = self.mode.filter(|mode| mode & 0o002 != 0 && self.kind != Kind::Link)?;
        let what = format!("every user of this machine may change it (mode {mode:04o})");
        let found = Finding::warning("open-to-others", path, what);
        Some(found.remedy("take the right away: chmod o-w"))
    }

    /// Whether other names lead to the file, so that a change here would be one elsewhere.
    pub(crate) fn other_names(&self, path: &Path, is_written: bool) -> Option<Finding> {
        let names = self.names.filter(|names| *names > 1 && self.kind == Kind::File)?;
        let remedy = "put a copy in its place that has no other name";
        let what = format!("{names} names lead to this file (hard links)");
        let found = if is_written {
            Finding::error(
                "hard-link",
                path,
                format!("{what}: it is refused but by who opens the directory read-only"),
            )
        } else {
            Finding::warning("hard-link", path, what)
        };
        Some(found.remedy(remedy))
    }

    /// A link, or a device: nothing of the kind is ever opened.
    pub(crate) fn not_a_file(&self, path: &Path, is_needed: bool) -> Finding {
        let kind = match self.kind {
            Kind::Folder => "a folder",
            Kind::Link => "a symbolic link",
            _ => "a FIFO, a socket or a device",
        };
        let what = format!("it is {kind}, not a regular file, and is not opened");
        let found = if is_needed { Finding::error } else { Finding::warning };
        found("not-a-file", path, what).remedy(
            "close every process that uses the directory, and move it to another place; or put \
             the file in its place",
        )
    }
}

/// Says that something cannot be read.
pub(crate) fn cannot_read(path: &Path, error: &Error) -> Finding {
    let what = match error {
        Error::Io { op, source, .. } => format!("it cannot be read ({op}: {source})"),
        other => other.to_string(),
    };
    Finding::error(CANNOT_READ, path, what).remedy(
        "make it readable, or move it to another place, and verify the directory again: nothing of \
         a partition is repaired while a file of it cannot be read",
    )
}

/// The code of what [`cannot_read`] says.
pub(crate) const CANNOT_READ: &str = "cannot-read";

impl Task<'_> {
    /// Checks what stands in the directory; gives its partitions.
    pub(crate) fn check_directory(
        &self,
        survey: &Survey,
        findings: &mut Findings,
    ) -> Result<Vec<TopicPartition>> {
        let storage = &*self.env.storage;
        let entries = storage.list(self.dir).at("list", self.dir)?;
        let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        let listed = names.iter().any(|name| name == topic_list::FILE);
        if let Some(own) = describe(storage, self.dir)? {
            findings.extend(own.open_to_others(Path::new(".")));
        }
        let mut partitions = Vec::new();
        for name in names {
            let Some(described) = describe(storage, &self.dir.join(&name))? else { continue };
            let path = Path::new(&name);
            findings.extend(described.open_to_others(path));
            findings.extend(described.other_names(path, is_written(&name)));
            match described.kind {
                Kind::Folder if is_needed(&name) => {
                    findings.add(described.not_a_file(path, true));
                }
                Kind::Folder => match topics::partition_of(&name) {
                    Some((topic, _))
                        if survey.topics.get(topic).is_none() && self.is_other(path) =>
                    {
                        findings.add(no_partition(path));
                    }
                    Some((topic, number)) => partitions.push(TopicPartition::new(topic, number)),
                    None => findings.extend(folder(&name)),
                },
                Kind::File => self.check_file(&name, survey, findings),
                Kind::Link | Kind::Special => {
                    findings.add(described.not_a_file(path, is_needed(&name)));
                }
            }
        }
        partitions.sort();
        if survey.ours && !listed && !partitions.is_empty() {
            findings.add(no_topics(survey));
        }
        self.check_topics(survey, &partitions, findings)?;
        findings.extend(strays(survey, &partitions));
        Ok(partitions)
    }

    /// Whether there is something in the folder, and nothing that one of a partition has.
    fn is_other(&self, folder: &Path) -> bool {
        let (storage, folder) = (&*self.env.storage, self.dir.join(folder));
        storage.list(&folder).is_ok_and(|entries| !entries.is_empty())
            && topics::is_of_partition(storage, &folder).is_ok_and(|is_one| !is_one)
    }

    fn check_file(&self, name: &str, survey: &Survey, findings: &mut Findings) {
        let path = Path::new(name);
        if is_unread(name) {
            return;
        }
        let read = match name {
            META | FORMAT | directory::FILE | topic_list::FILE => true,
            _ => lists::NAMES.contains(&name),
        };
        if !read {
            findings.add(stray(name));
            return;
        }
        let bytes = match files::read(&*self.env.storage, &self.dir.join(name)) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return findings.add(cannot_read(path, &error)),
        };
        let found = match name {
            META => Vec::from_iter(meta(path, &bytes)),
            FORMAT => Vec::from_iter(format(path, &bytes)),
            directory::FILE => settings(path, &bytes),
            topic_list::FILE => Vec::from_iter(topics_file(path, &bytes)),
            _ => Vec::from_iter(lists::unreadable(path, &bytes)),
        };
        findings.extend(found.into_iter().map(|mut found| {
            found.fix = found.fix.filter(|_| !survey.in_use());
            found
        }));
    }

    /// Partitions that the list of topics names and that have no folder.
    fn check_topics(
        &self,
        survey: &Survey,
        found: &[TopicPartition],
        findings: &mut Findings,
    ) -> Result<()> {
        for topic in survey.topics.iter() {
            for number in 0..topic.partition_count() {
                let id = TopicPartition::new(topic.name.clone(), number);
                let end = survey.recovery_points.get(&id).copied().unwrap_or(0);
                let name = id.to_string();
                if found.binary_search(&id).is_ok() {
                    continue;
                }
                if self.was_removed(survey, &id)? {
                    let what = "the folder was removed while processes have it open: what they \
                                write there is lost when they end";
                    findings.add(removed(Path::new(&name), what));
                } else if end == 0 {
                    let trust = if survey.in_use() { Trust::Clean } else { survey.of(&id)?.trust };
                    findings.add(no_folder(Path::new(&name), trust));
                }
            }
        }
        if is_marked_clean(&*self.env.storage, self.dir) && survey.in_use() {
            let what = "it says that the directory is closed, and it is open";
            findings.add(Finding::note("marked-clean", Path::new(CLEAN_SHUTDOWN), what));
        }
        Ok(())
    }

    /// Whether somebody has removed the folder of a partition that is in use.
    fn was_removed(&self, survey: &Survey, id: &TopicPartition) -> Result<bool> {
        if survey.of(id)?.published.is_none() {
            return Ok(false);
        }
        // It may have been made since the folders were listed, and deleted since the list of topics
        // was read: a deleted partition is marked before its folder goes.
        let is_gone = describe(&*self.env.storage, &self.dir.join(id.to_string()))?.is_none();
        Ok(is_gone && survey.of(id)?.published.is_some() && self.is_the_same(survey, id)?)
    }
}

/// Something that was removed from outside while it was in use.
pub(crate) fn removed(path: &Path, what: &str) -> Finding {
    Finding::error("removed", path, what).remedy(
        "close every process that uses the directory, put the files back from a copy, and verify \
         it again",
    )
}

/// A partition that is listed and has no folder, and of which no record is known. The folder is made
/// before it is listed, though a crash of the machine may have left the list alone.
fn no_folder(path: &Path, trust: Trust) -> Finding {
    let found = |severity, what| Finding::new(severity, "folder-missing", path, what);
    match trust {
        Trust::Clean => found(
            Severity::Note,
            "it is listed, and there is no folder: it is made at its next use",
        ),
        Trust::Machine => found(
            Severity::Note,
            "it is listed, and there is no folder: it is made at its next use, and empty. The \
             machine crashed while the topic was made, or somebody has removed the folder",
        ),
        Trust::Process => found(
            Severity::Warning,
            "its folder is gone, with what records it had: the processes that had the directory \
             died, and nothing else tells of them. At its next use it begins anew, and empty",
        )
        .remedy("put the folder back from a copy before the directory is opened again"),
    }
}

/// Folders with numbers that their topic does not have.
fn strays(survey: &Survey, partitions: &[TopicPartition]) -> Vec<Finding> {
    let mut numbers: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for id in partitions {
        numbers.entry(&id.topic).or_default().insert(id.partition);
    }
    let stray = |id: &&TopicPartition| {
        let listed = survey.topics.get(&id.topic).map(|topic| topic.partition_count());
        id.partition >= topics::count(listed, &numbers[&*id.topic])
    };
    let found = partitions.iter().filter(stray).map(|id| {
        let what = "its number is beyond those of the topic's other partitions: it is passed over";
        Finding::warning("stray-partition", Path::new(&id.to_string()), what)
            .remedy("move it to another place")
    });
    found.collect()
}

/// Whether a file of the directory is written where it stands: others are replaced whole.
fn is_written(name: &str) -> bool {
    matches!(name, control::FILE | compact::LOCKS) || name.starts_with(GROUPS)
}

/// Files of which nothing is read but while somebody has the directory open.
fn is_unread(name: &str) -> bool {
    matches!(name, LOCK | CLEAN_SHUTDOWN | control::FILE | compact::LOCKS)
        || BROKERS.contains(&name)
        || name.starts_with(GROUPS)
}

/// Whether the directory cannot be opened if this is no file.
fn is_needed(name: &str) -> bool {
    let read = [META, FORMAT, directory::FILE, topic_list::FILE];
    is_unread(name) || read.contains(&name) || lists::NAMES.contains(&name)
}

/// A folder that is no partition.
fn no_partition(path: &Path) -> Finding {
    let what = "a folder with the name of a partition and no file of one: it is passed over here, and \
                a Kafka broker takes it for a partition";
    Finding::warning("unknown-folder", path, what).remedy("move it to another place")
}

fn folder(name: &str) -> Option<Finding> {
    let path = Path::new(name);
    let partition = |behind: &str| {
        let rest = name.strip_suffix(behind)?;
        rest.rsplit_once('.').map(|(folder, _)| folder)
    };
    if name.strip_prefix(CLUSTER_METADATA).is_some_and(|rest| rest == "-0") {
        return None;
    }
    for (behind, what) in [
        ("-delete", "a partition that a broker was about to remove; nothing reads it"),
        ("-future", "a partition that a broker was moving here; nothing reads it"),
        ("-stray", "a partition that a broker found without a topic; nothing reads it"),
    ] {
        if partition(behind).is_some() {
            return Some(Finding::note("leftover", path, what));
        }
    }
    let what = "a folder that is no partition: it is passed over here, and a Kafka broker does not \
                start on a directory that has it";
    Some(Finding::warning("unknown-folder", path, what).remedy("move it to another place"))
}

fn stray(name: &str) -> Finding {
    let path = Path::new(name);
    if [".tmp", ".repair"].iter().any(|end| name.ends_with(end)) {
        let what = "what was being written when somebody died; nothing reads it";
        return Finding::note("leftover", path, what);
    }
    if name.contains(&format!(".{}", files::QUARANTINED)) {
        let what = "what a repair put aside; nothing reads it";
        return Finding::note("quarantined", path, what)
            .remedy("remove it when it is not needed any more");
    }
    Finding::note("unknown-file", path, "a file that neither Kafka nor brokerless knows")
}

fn meta(path: &Path, bytes: &[u8]) -> Option<Finding> {
    let Ok(found) = properties::parse(bytes) else { return Some(bad_meta(path, "a line")) };
    let value = |name: &str| found.iter().find(|it| it.name == name).map(|it| &*it.value);
    let version = value("version").and_then(|version| version.trim().parse::<i32>().ok());
    let what = match version {
        None => "its version",
        Some(0) => return None,
        Some(_) if value("cluster.id").is_none_or(str::is_empty) => "its cluster.id",
        Some(_) if value("node.id").is_none_or(|id| id.trim().parse::<i32>().is_err()) => {
            "its node.id"
        }
        Some(_) if value("directory.id").is_some_and(|id| Id::parse(id.trim()).is_none()) => {
            "its directory.id"
        }
        Some(_) => return None,
    };
    Some(bad_meta(path, what))
}

fn bad_meta(path: &Path, what: &str) -> Finding {
    let what = format!("{what} cannot be read: a broker does not start on the directory");
    Finding::warning("bad-meta", path, what)
        .remedy("put it back from a copy; removed, it is made anew with other ids")
}

fn format(path: &Path, bytes: &[u8]) -> Option<Finding> {
    let version = String::from_utf8_lossy(bytes).trim().parse::<u32>();
    version.is_err().then(|| {
        let what = "it names no version of the layout: the directory cannot be opened";
        Finding::error("bad-format", path, what)
            .remedy("write the number 1 into it")
            .fix(Fix::Text(format!("{FORMAT_VERSION}\n")))
    })
}

fn settings(path: &Path, bytes: &[u8]) -> Vec<Finding> {
    let refused = DirectoryConfig::parse(bytes, path).err().map(|error| {
        let what = format!("{error}: the directory cannot be opened");
        Finding::error("bad-settings", path, what).remedy("correct the line")
    });
    let unknown = DirectoryConfig::unknown(bytes).into_iter().map(|(line, what)| {
        let what = format!("line {line} is passed over: {what}");
        Finding::warning("unknown-setting", path, what).remedy("correct or remove the line")
    });
    refused.into_iter().chain(unknown).collect()
}

fn topics_file(path: &Path, bytes: &[u8]) -> Option<Finding> {
    let (what, kept) = topic_list::examine(bytes).err()?;
    let found =
        Finding::error("bad-topics", path, format!("{what}: the directory cannot be opened"));
    Some(found.fix(Fix::Text(kept)).remedy(
        "put it back from a copy; or run verify with --repair: that keeps the lines that can be \
         read; topics whose lines are gone are found by their folders, without their settings",
    ))
}

/// There was a list as soon as the directory was one of ours.
fn no_topics(survey: &Survey) -> Finding {
    let what = "it is missing, and the settings of the topics with it: the directory cannot be \
                opened for writing";
    let mut found = Finding::error("topics-missing", Path::new(topic_list::FILE), what).remedy(
        "put it back from a copy; or run verify with --repair: that makes it anew from the \
         folders, with settings by which every topic keeps all its records",
    );
    found.fix = Some(Fix::Topics).filter(|_| !survey.in_use());
    found
}
