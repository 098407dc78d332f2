//! Checks every file of a data directory, ours or a broker's, and puts right what can be.
//!
//! [`verify`] changes nothing and locks nothing: others may have the directory open, and what they
//! write meanwhile is not called damage. [`repair()`] wants it alone. It removes nothing: what it
//! takes out of a log is kept beside it, in a file whose name ends with `.quarantined`.

mod commits;
mod damage;
mod directory;
pub mod dump;
mod epochs;
mod finding;
mod fix;
mod index;
mod lists;
mod names;
mod partition;
mod repair;
mod segment;
mod standing;
mod transactions;
mod walk;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use crate::env::Env;
pub use crate::record::Record;
pub use crate::record::control::{ControlType, EndTransactionMarker};
pub use finding::{Finding, Severity};
pub use repair::{Deed, Repaired, repair};

use crate::engine::directory::root::{FORMAT, FORMAT_VERSION};
use crate::env::Storage;
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::types::TopicPartition;
use commits::Commits;
use finding::Findings;
use standing::Survey;

/// How much is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A batch that decompresses to more bytes is not looked into; if there is none, the limit is
    /// the directory's `max.decompressed.bytes`.
    pub limit: Option<usize>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Partitions.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Whole batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of logs.
    pub bytes: u64,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Partitions in all.
    pub partitions: usize,
    /// The folder of the one that is looked at.
    pub folder: &'a str,
    /// What was looked at so far.
    pub counts: Counts,
}

/// Is told now and then how far a check has come; an error ends it.
pub type Tell<'a> = &'a dyn Fn(&Progress<'_>) -> Result<()>;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// All that there is to say, in the order of the files.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub counts: Counts,
    /// Whether others have the directory open.
    pub in_use: bool,
}

impl Report {
    /// How many findings there are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether something is wrong.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(Finding::is_damage)
    }
}

/// Checks a directory. An error means that it could not be looked at.
pub fn verify(dir: &Path, options: Options, env: &Env, tell: Tell<'_>) -> Result<Report> {
    let dir = &env.storage.resolve(dir).at("resolve", dir)?;
    check_place(&*env.storage, dir)?;
    Task::new(dir, options, env, tell).run(false)
}

/// A folder that is no data directory is not looked at, nor is one of a newer version: what it
/// holds would be called damage.
fn check_place(storage: &dyn Storage, dir: &Path) -> Result<()> {
    if !directory::is_one(storage, dir)? {
        return Err(Error::NotADataDirectory(dir.to_owned()));
    }
    let bytes = files::read(storage, &dir.join(FORMAT)).ok().flatten().unwrap_or_default();
    match String::from_utf8_lossy(&bytes).trim().parse() {
        Ok(found) if found > FORMAT_VERSION => {
            Err(Error::NewerFormat { path: dir.to_owned(), found, known: FORMAT_VERSION })
        }
        _ => Ok(()),
    }
}

/// One check of a directory.
pub(crate) struct Task<'a> {
    dir: &'a Path,
    /// A batch that decompresses to more bytes is not looked into.
    limit: usize,
    options: Options,
    env: &'a Env,
    tell: Tell<'a>,
    counts: RefCell<Counts>,
    /// Partitions, and the folder of the one in hand.
    at: RefCell<(usize, String)>,
    told: RefCell<u64>,
}

/// What a check of a partition gives.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Findings,
    pub(crate) commits: Commits,
    /// One past its last record.
    pub(crate) end: i64,
    /// The newest leader epoch.
    pub(crate) epoch: i32,
    /// Whether every byte could be read.
    pub(crate) known: bool,
}

impl<'a> Task<'a> {
    pub(crate) fn new(dir: &'a Path, options: Options, env: &'a Env, tell: Tell<'a>) -> Self {
        Self {
            dir,
            limit: options.limit.unwrap_or_else(|| directory::limit(&*env.storage, dir)),
            options,
            env,
            tell,
            counts: RefCell::default(),
            at: RefCell::default(),
            told: RefCell::default(),
        }
    }

    fn run(&self, alone: bool) -> Result<Report> {
        let survey = Survey::take(self.dir, self.env, alone)?;
        let mut findings = Findings::default();
        let partitions = self.check_directory(&survey, &mut findings)?;
        self.at.borrow_mut().0 = partitions.len();
        let (mut ends, mut epochs) = (BTreeMap::new(), BTreeMap::new());
        let mut commits = Commits::default();
        for id in &partitions {
            let outcome = self.check_partition(&survey, id)?;
            for finding in outcome.findings.into_list() {
                findings.add(finding);
            }
            commits.extend(outcome.commits);
            if outcome.known {
                ends.insert(id.clone(), outcome.end);
                epochs.insert(id.clone(), outcome.epoch);
            }
        }
        lists::compare(&survey, &partitions, &ends, &mut findings);
        // While it is in use, a log may have grown since its end was looked at; with a broker, any
        // client may have committed what it liked.
        let is_odd = survey.ours && !survey.in_use();
        commits.compare(&ends, &epochs, is_odd, &mut findings);
        Ok(Report {
            findings: findings.into_list(),
            counts: *self.counts.borrow(),
            in_use: survey.in_use(),
        })
    }

    /// The name of a file from the data directory on.
    fn name(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.dir).unwrap_or(path).to_owned()
    }

    /// Counts, and tells of it after every few megabytes.
    fn count(&self, change: impl FnOnce(&mut Counts)) -> Result<()> {
        const OFTEN: u64 = 1 << 20;
        change(&mut self.counts.borrow_mut());
        let counts = *self.counts.borrow();
        if counts.bytes < *self.told.borrow() + OFTEN {
            return Ok(());
        }
        self.say()
    }

    fn say(&self) -> Result<()> {
        let counts = *self.counts.borrow();
        *self.told.borrow_mut() = counts.bytes;
        let at = self.at.borrow();
        (self.tell)(&Progress { partitions: at.0, folder: &at.1, counts })
    }

    fn begin(&self, id: &TopicPartition) -> Result<()> {
        self.counts.borrow_mut().partitions += 1;
        self.at.borrow_mut().1 = id.to_string();
        self.say()
    }
}
