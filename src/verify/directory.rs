//! The check of what stands in the data directory itself, and of what kind everything is.

use std::io::ErrorKind;
use std::path::Path;

use crate::config::{DirectoryConfig, directory, properties};
use crate::engine::control;
use crate::engine::root::{CLEAN_SHUTDOWN, FORMAT, FORMAT_VERSION, LOCK, META};
use crate::engine::topics::{self, CLUSTER_METADATA};
use crate::engine::{Id, compact};
use crate::env::{Description, Kind, Storage};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::types::TopicPartition;
use crate::verify::Task;
use crate::verify::finding::{Finding, Findings};
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
    pub(crate) fn other_names(&self, path: &Path) -> Option<Finding> {
        let names = self.names.filter(|names| *names > 1 && self.kind == Kind::File)?;
        let what = format!(
            "{names} names lead to this file (hard links): it is read, and never \
                            written"
        );
        let remedy = "put a copy in its place that has no other name";
        Some(Finding::error("hard-link", path, what).remedy(remedy))
    }

    /// A link, or a device: nothing of the kind is ever opened.
    pub(crate) fn not_a_file(&self, path: &Path, is_needed: bool) -> Finding {
        let kind = match self.kind {
            Kind::Link => "a symbolic link",
            _ => "a FIFO, a socket or a device",
        };
        let what = format!("it is {kind}, not a regular file, and is not opened");
        let found = if is_needed { Finding::error } else { Finding::warning };
        found("not-a-file", path, what).remedy("put a regular file in its place, or remove it")
    }
}

/// Says that something cannot be read.
pub(crate) fn cannot_read(path: &Path, error: &Error) -> Finding {
    let what = match error {
        Error::Io { op, source, .. } => format!("it cannot be read ({op}: {source})"),
        other => other.to_string(),
    };
    Finding::error("cannot-read", path, what)
}

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
        if let Some(own) = describe(storage, self.dir)? {
            findings.extend(own.open_to_others(Path::new(".")));
        }
        let mut partitions = Vec::new();
        for name in names {
            let Some(described) = describe(storage, &self.dir.join(&name))? else { continue };
            let path = Path::new(&name);
            findings.extend(described.open_to_others(path));
            findings.extend(described.other_names(path));
            match described.kind {
                Kind::Folder => match topics::partition_of(&name) {
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
        self.check_topics(survey, &partitions, findings);
        Ok(partitions)
    }

    fn check_file(&self, name: &str, survey: &Survey, findings: &mut Findings) {
        let path = Path::new(name);
        if is_unread(name) {
            return;
        }
        let read = match name {
            META | FORMAT | directory::FILE | topics::FILE => true,
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
            META => meta(path, &bytes),
            FORMAT => format(path, &bytes),
            directory::FILE => settings(path, &bytes),
            topics::FILE => topics_file(path, &bytes),
            _ => lists::unreadable(path, &bytes),
        };
        findings.extend(found.map(|mut found| {
            found.fix = found.fix.filter(|_| !survey.in_use());
            found
        }));
    }

    /// Partitions that the list of topics names and that have no folder.
    fn check_topics(&self, survey: &Survey, found: &[TopicPartition], findings: &mut Findings) {
        for topic in survey.topics.iter() {
            for number in 0..topic.partition_count() {
                let id = TopicPartition::new(topic.name.clone(), number);
                let end = survey.recovery_points.get(&id).copied().unwrap_or(0);
                if !found.contains(&id) && end == 0 {
                    let what = "it is listed, and there is no folder: it is made at its next use";
                    findings.add(Finding::note("folder-missing", Path::new(&id.to_string()), what));
                }
            }
        }
        if is_marked_clean(&*self.env.storage, self.dir) && survey.in_use() {
            let what = "it says that the directory is closed, and it is open";
            findings.add(Finding::note("marked-clean", Path::new(CLEAN_SHUTDOWN), what));
        }
    }
}

/// Files of which nothing is read but while somebody has the directory open.
fn is_unread(name: &str) -> bool {
    matches!(name, LOCK | CLEAN_SHUTDOWN | control::FILE | compact::LOCKS)
        || BROKERS.contains(&name)
        || name.starts_with(GROUPS)
}

/// Whether the directory cannot be opened if this is no file.
fn is_needed(name: &str) -> bool {
    let read = [META, FORMAT, directory::FILE, topics::FILE];
    is_unread(name) || read.contains(&name) || lists::NAMES.contains(&name)
}

/// A folder that is no partition.
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

fn settings(path: &Path, bytes: &[u8]) -> Option<Finding> {
    let error = DirectoryConfig::parse(bytes, path).err()?;
    let what = format!("{error}: the directory cannot be opened");
    Some(Finding::error("bad-settings", path, what).remedy("correct the line"))
}

fn topics_file(path: &Path, bytes: &[u8]) -> Option<Finding> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let head = lines.next() == Some(topics::HEADER);
    // One whose deletion is not over has a mark.
    let is_good = |line: &&str| topics::parse(line.strip_prefix('!').unwrap_or(line)).is_some();
    let (good, bad): (Vec<&str>, Vec<&str>) = lines.partition(is_good);
    if head && bad.is_empty() {
        return None;
    }
    let what = match bad.first() {
        Some(line) => format!("a line of it describes no topic: {line:?}"),
        None => "it does not begin as it should".to_owned(),
    };
    let mut kept = format!("{}\n", topics::HEADER);
    for line in good {
        kept.extend([line, "\n"]);
    }
    let found =
        Finding::error("bad-topics", path, format!("{what}: the directory cannot be opened"));
    Some(found.fix(Fix::Text(kept)).remedy(
        "run verify with --repair: that keeps the other lines; topics whose lines are gone are \
         found by their folders, without their settings",
    ))
}
