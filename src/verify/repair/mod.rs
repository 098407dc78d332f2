//! Puts right what can be, and removes nothing.
//!
//! One file after the other, each until nothing is left to do with it. A deed is done so that a
//! crash at any moment leaves the old state, the new one, or one in which doing it again leads to
//! the new: what is taken away is on the disk under another name before it goes.

mod aside;
mod cut;
mod inside;
mod lists;
mod rebuilt;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::directory::root::LOCK;
use crate::env::{Env, Mode, RecordLock, Storage};
use crate::error::{At, Error, Result};
use crate::log::aside::UNFINISHED as REPAIR;
use crate::log::files;
use crate::types::TopicPartition;
use crate::verify::finding::Finding;
use crate::verify::fix::Fix;
use crate::verify::{Options, Report, Task, Tell, check_place};

/// A file that is put right may show what is wrong with the next.
const ROUNDS: usize = 8;

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The file, from the data directory on.
    pub path: PathBuf,
    /// What was done.
    pub message: String,
}

/// What a repair found, did, and left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What was found before anything was changed.
    pub found: Report,
    /// What was done.
    pub deeds: Vec<Deed>,
    /// What is found now.
    pub left: Report,
}

/// Checks a directory and puts right what can be. Nobody else may have it open. After `Err` some
/// of it may have been done; nothing is lost, and it can be tried again.
pub fn repair(dir: &Path, options: Options, env: &Env, tell: Tell<'_>) -> Result<Repaired> {
    let dir = &env.storage.resolve(dir).at("resolve", dir)?;
    check_place(&*env.storage, dir)?;
    let lock = alone(dir, env)?;
    let repair = Repair { task: Task::new(dir, options, env, tell), deeds: Vec::new() };
    let repaired = repair.run();
    lock.release().at("unlock", &dir.join(LOCK))?;
    repaired
}

/// The directory's lock, which nobody else may hold.
fn alone(dir: &Path, env: &Env) -> Result<Box<dyn RecordLock>> {
    let path = dir.join(LOCK);
    let lock = env.storage.lock_record(&path).at("open", &path)?;
    if lock.try_acquire(Mode::Exclusive).at("lock", &path)?
        && lock.is_current().at("stat", &path)?
    {
        return Ok(lock);
    }
    match lock.holder().at("lock", &path)? {
        Some(_) => Err(Error::HeldByBroker(dir.to_owned())),
        None => Err(Error::InUse(dir.to_owned())),
    }
}

/// A repair on its way.
struct Repair<'a> {
    task: Task<'a>,
    deeds: Vec<Deed>,
}

impl Repair<'_> {
    fn run(mut self) -> Result<Repaired> {
        let (dir, options, env, tell) =
            (self.task.dir, self.task.options, self.task.env, self.task.tell);
        let look = || Task::new(dir, options, env, tell).run(true);
        let found = look()?;
        let mut left = found.clone();
        for _ in 0..ROUNDS {
            if !self.round(&left)? {
                break;
            }
            left = look()?;
        }
        Ok(Repaired { found, deeds: self.deeds, left })
    }

    /// Does what the findings say, and tells whether there was anything.
    fn round(&mut self, report: &Report) -> Result<bool> {
        let before = self.deeds.len();
        self.remove_unfinished(report)?;
        // The indexes of a log that is cut are looked at in the next round.
        let mut cut = BTreeSet::new();
        let due = report.findings.iter().filter(|finding| finding.fix.is_some());
        let (logs, others): (Vec<_>, Vec<_>) =
            due.partition(|it| matches!(it.fix, Some(Fix::Split { .. } | Fix::Rename(_))));
        for finding in logs {
            self.apply(finding)?;
            cut.extend(finding.path.parent().map(Path::to_owned));
        }
        for finding in others {
            if !finding.path.parent().is_some_and(|folder| cut.contains(folder)) {
                self.apply(finding)?;
            }
        }
        Ok(self.deeds.len() > before)
    }

    fn storage(&self) -> &Arc<dyn Storage> {
        &self.task.env.storage
    }

    fn done(&mut self, path: &Path, message: impl Into<String>) {
        self.deeds.push(Deed { path: path.to_owned(), message: message.into() });
    }

    /// What an earlier repair was writing: copies, that are written again.
    fn remove_unfinished(&mut self, report: &Report) -> Result<()> {
        let unfinished = |finding: &&Finding| finding.path.to_string_lossy().ends_with(REPAIR);
        for finding in report.findings.iter().filter(unfinished) {
            files::remove(&**self.storage(), &self.task.dir.join(&finding.path))?;
        }
        Ok(())
    }

    fn apply(&mut self, finding: &Finding) -> Result<()> {
        let path = self.task.dir.join(&finding.path);
        let shown = &finding.path;
        match finding.fix.clone() {
            None => Ok(()),
            Some(Fix::Split { position, runs }) => self.split(finding, &path, position, &runs),
            Some(Fix::Rename(place)) => self.rename(&path, shown, place),
            Some(Fix::Room(position)) => self.give_room_back(&path, shown, position),
            Some(Fix::Stamp { from, to, epoch }) => self.stamp(&path, shown, (from, to), epoch),
            Some(Fix::Accept(gaps)) => self.accept(&path, shown, &gaps),
            Some(Fix::Shelve) => self.shelve(&path, shown),
            Some(Fix::ShelveSegment) => self.shelve_segment(&path, shown),
            Some(Fix::Indexes) => self.indexes(&path, shown),
            Some(Fix::Aborted) => self.aborted(&path, shown),
            Some(Fix::Snapshot) => self.snapshot(&path, shown),
            Some(Fix::Epochs(epochs)) => self.epochs(&path, shown, &epochs),
            Some(Fix::Text(text)) => self.text(finding, &path, &text),
            Some(Fix::Topics) => self.list_topics(&path, shown),
            Some(Fix::Missing(text)) => {
                files::replace(&**self.storage(), &path, text.as_bytes())?;
                self.done(shown, "written anew");
                Ok(())
            }
        }
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a file of a data directory has a folder")
}

fn base_of(path: &Path, suffix: &str) -> Option<i64> {
    files::offset_of(path.file_name()?.to_str()?, suffix)
}

fn partition_of(folder: &Path) -> TopicPartition {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (topic, number) = crate::engine::topics::partition_of(name).unwrap_or((name, 0));
    TopicPartition::new(topic, number)
}

fn behind(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    PathBuf::from(name)
}
