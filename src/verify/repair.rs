//! Puts right what can be, and removes nothing.
//!
//! One file after the other, each until nothing is left to do with it. A deed is done so that a
//! crash at any moment leaves the old state, the new one, or one in which doing it again leads to
//! the new: what is taken away is on the disk under another name before it goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::root::{CLEAN_SHUTDOWN, LOCK};
use crate::env::{Access, Env, File, Mode, RecordLock, Storage};
use crate::error::{At, Error, Result};
use crate::log::aborted;
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::log::index::{OffsetIndex, TimeIndex};
use crate::log::segment::Segment;
use crate::log::tail::Tail;
use crate::types::{NO_TIMESTAMP, TopicPartition};
use crate::verify::finding::Finding;
use crate::verify::fix::{Fix, Run};
use crate::verify::standing::Survey;
use crate::verify::transactions::Transactions;
use crate::verify::walk::{Step, Walk};
use crate::verify::{Options, Report, Task, Tell, check_format};

/// A file that is put right may show what is wrong with the next.
const ROUNDS: usize = 8;

/// Behind the names of files that a repair is writing.
const REPAIR: &str = ".repair";

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
    check_format(&*env.storage, dir)?;
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
            due.partition(|finding| matches!(finding.fix, Some(Fix::Split { .. })));
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
            Some(Fix::Shelve) => self.shelve(&path, shown),
            Some(Fix::ShelveSegment) => self.shelve_segment(&path, shown),
            Some(Fix::Indexes) => self.indexes(&path, shown),
            Some(Fix::Aborted) => self.aborted(&path, shown),
            Some(Fix::Snapshot) => self.snapshot(&path, shown),
            Some(Fix::Epochs(epochs)) => self.epochs(&path, shown, &epochs),
            Some(Fix::Text(text)) => self.text(finding, &path, &text),
            Some(Fix::Missing(text)) => {
                files::replace(&**self.storage(), &path, text.as_bytes())?;
                self.done(shown, "written anew");
                Ok(())
            }
        }
    }

    /// Cuts a log at the first damage. The bytes from there on are kept in a file beside, and the
    /// good batches among them in segments of their own.
    fn split(&mut self, found: &Finding, path: &Path, position: u64, runs: &[Run]) -> Result<()> {
        let storage = self.storage().clone();
        let dir = folder(path);
        let Some(base) = base_of(path, files::LOG) else { return Ok(()) };
        self.unmark()?;
        let file = storage.open(path, Access::Update).at("open", path)?;
        let len = file.len().at("stat", path)?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".from-{position}"));
        let aside = self.keep_bytes(&*file, path, (position, len), Path::new(&aside))?;
        let is_damage = found.is_damage();
        if runs.is_empty() && is_damage && self.is_last(dir, base)? {
            self.begin_epoch(dir, found.offset.unwrap_or(base))?;
        }
        for run in runs.iter().filter(|run| run.first_offset > base) {
            let to = files::path(dir, run.first_offset, files::LOG);
            self.write_aside(&*file, path, (run.from, run.to), &to)?;
        }
        storage.sync_dir(dir).at("sync", dir)?;
        if let Some(whole) = runs.iter().find(|run| run.first_offset == base) {
            self.write_aside(&*file, path, (whole.from, whole.to), path)?;
            storage.sync_dir(dir).at("sync", dir)?;
        } else {
            file.set_len(position).at("truncate", path)?;
            file.sync_data().at("sync", path)?;
        }
        let kept = self.task.name(&aside);
        let message =
            format!("cut at position {position}; what was there is in {}", kept.display());
        self.done(&found.path, message);
        for run in runs {
            let to = files::path(dir, run.first_offset, files::LOG);
            let message = format!(
                "offsets {} to {} of it are kept here",
                run.first_offset,
                run.end_offset - 1
            );
            self.done(&self.task.name(&to), message);
        }
        Ok(())
    }

    fn is_last(&self, dir: &Path, base: i64) -> Result<bool> {
        let bases = files::offsets(&**self.storage(), dir, files::LOG)?;
        Ok(bases.last() == Some(&base))
    }

    /// What a reader saw from `offset` on is gone: it notices by the epoch.
    fn begin_epoch(&self, dir: &Path, offset: i64) -> Result<()> {
        let storage = &**self.storage();
        let mut epochs = LeaderEpochs::read(storage, dir)?;
        epochs.begin(epochs.latest().unwrap_or(0) + 1, offset);
        epochs.write(storage, dir)
    }

    /// The next to open the directory must not take its word that nothing is to be looked at.
    fn unmark(&mut self) -> Result<()> {
        let dir = self.task.dir;
        let path = dir.join(CLEAN_SHUTDOWN);
        if files::read(&**self.storage(), &path)?.is_none() {
            return Ok(());
        }
        files::remove(&**self.storage(), &path)?;
        self.storage().sync_dir(dir).at("sync", dir)?;
        self.done(
            Path::new(CLEAN_SHUTDOWN),
            "removed: the logs are looked through at the next use",
        );
        Ok(())
    }

    /// Copies bytes of a file to one whose name ends with `.quarantined`, on the disk for good. A
    /// copy that an earlier try has made is taken.
    fn keep_bytes(
        &self,
        file: &dyn File,
        path: &Path,
        range: (u64, u64),
        name: &Path,
    ) -> Result<PathBuf> {
        let storage = &**self.storage();
        let dir = folder(path);
        for number in 0.. {
            let aside = files::quarantined(name, number);
            match storage.open(&aside, Access::Read) {
                Ok(known) if same(file, range, &*known).at("read", path)? => return Ok(aside),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.write_aside(file, path, range, &aside)?;
                    storage.sync_dir(dir).at("sync", dir)?;
                    return Ok(aside);
                }
                Err(error) => return Err(error).at("open", &aside),
            }
        }
        unreachable!("there is always another number")
    }

    /// Writes bytes of `file` as `to`, which is whole as soon as it is there.
    fn write_aside(
        &self,
        file: &dyn File,
        path: &Path,
        range: (u64, u64),
        to: &Path,
    ) -> Result<()> {
        const CHUNK: usize = 1 << 20;
        let storage = &**self.storage();
        let temporary = behind(to, REPAIR);
        let new = storage.open(&temporary, Access::Write).at("open", &temporary)?;
        new.set_len(0).at("truncate", &temporary)?;
        let mut bytes = vec![0; CHUNK];
        let (mut at, end) = range;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = file.read_at(at, &mut bytes[..wanted]).at("read", path)?;
            if read == 0 {
                break;
            }
            new.write_at(at - range.0, &bytes[..read]).at("write", &temporary)?;
            at += read as u64;
        }
        new.sync_data().at("sync", &temporary)?;
        storage.rename(&temporary, to).at("rename", &temporary)
    }

    /// Gives a file a name that nobody reads.
    fn shelve(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let storage = &**self.storage();
        let to = files::free_quarantine(storage, path)?;
        storage.rename(path, &to).at("rename", path)?;
        let dir = folder(path);
        storage.sync_dir(dir).at("sync", dir)?;
        let message = format!("put aside as {}", self.task.name(&to).display());
        self.done(shown, message);
        Ok(())
    }

    fn shelve_segment(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let Some(base) = base_of(path, files::LOG) else { return Ok(()) };
        for suffix in [files::INDEX, files::TIME_INDEX, files::TXN_INDEX] {
            let index = files::path(folder(path), base, suffix);
            if self.storage().open(&index, Access::Read).is_ok() {
                self.shelve(&index, &self.task.name(&index))?;
            }
        }
        self.shelve(path, shown)
    }

    /// Replaces a file of text; the old one is kept.
    fn text(&mut self, found: &Finding, path: &Path, text: &str) -> Result<()> {
        if found.code == "records-missing" {
            self.forget_missing()?;
        }
        let old = self.storage().open(path, Access::Read).at("open", path)?;
        let len = old.len().at("stat", path)?;
        let aside = self.keep_bytes(&*old, path, (0, len), path)?;
        files::replace(&**self.storage(), path, text.as_bytes())?;
        let message = format!("corrected; the old one is {}", self.task.name(&aside).display());
        self.done(&found.path, message);
        Ok(())
    }

    /// Begins an epoch in each log that ends before what was on the disk.
    fn forget_missing(&mut self) -> Result<()> {
        self.unmark()?;
        let survey = Survey::take(self.task.dir, self.task.env, true)?;
        for (id, point) in &survey.recovery_points {
            if self.storage().list(&self.task.dir.join(id.to_string())).is_err() {
                continue;
            }
            let outcome = self.task.check_partition(&survey, id)?;
            if outcome.known && outcome.end < *point && outcome.end > 0 {
                self.begin_epoch(&self.task.dir.join(id.to_string()), outcome.end)?;
            }
        }
        Ok(())
    }

    fn epochs(&mut self, path: &Path, shown: &Path, epochs: &[(i32, i64)]) -> Result<()> {
        let storage = self.storage().clone();
        let dir = folder(path);
        if storage.open(path, Access::Read).is_ok() {
            let old = storage.open(path, Access::Read).at("open", path)?;
            let len = old.len().at("stat", path)?;
            self.keep_bytes(&*old, path, (0, len), path)?;
        }
        let mut list = LeaderEpochs::default();
        for (epoch, offset) in epochs {
            list.begin(*epoch, *offset);
        }
        list.write(&*storage, dir)?;
        self.done(shown, "made anew from the batches");
        Ok(())
    }

    /// Makes both indexes of a segment anew.
    fn indexes(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let suffixes = [files::INDEX, files::TIME_INDEX];
        let Some(base) = suffixes.iter().find_map(|suffix| base_of(path, suffix)) else {
            return Ok(());
        };
        let (dir, storage) = (folder(path), self.storage().clone());
        let survey = Survey::take(self.task.dir, self.task.env, true)?;
        let config = survey.of(&partition_of(dir))?.config;
        let new = |suffix| behind(&files::path(dir, base, suffix), REPAIR);
        let log = files::path(dir, base, files::LOG);
        let segment = Segment {
            base_offset: base,
            log: storage.open(&log, Access::Read).at("open", &log)?,
            path: log.as_path().into(),
            index: OffsetIndex::new(storage.clone(), new(files::INDEX), Access::Write),
            times: TimeIndex::new(storage.clone(), new(files::TIME_INDEX), Access::Write),
        };
        segment.index.truncate(0)?;
        segment.times.truncate(0)?;
        let mut tail = Tail::empty(base);
        self.walk(&segment, |step| {
            let mut info = *step.info;
            if info.records_count == Some(0) {
                info.max_timestamp = NO_TIMESTAMP;
            }
            tail.end_position = step.position;
            tail = segment.note(&tail, &info, &config)?;
            Ok(())
        })?;
        segment.note_time(&mut tail)?;
        segment.index.sync()?;
        segment.times.sync()?;
        for suffix in suffixes {
            let old = files::path(dir, base, suffix);
            if let Ok(file) = storage.open(&old, Access::Read) {
                let len = file.len().at("stat", &old)?;
                self.keep_bytes(&*file, &old, (0, len), &old)?;
            }
            storage.rename(&new(suffix), &old).at("rename", &old)?;
        }
        storage.sync_dir(dir).at("sync", dir)?;
        self.done(shown, "made anew from the log");
        Ok(())
    }

    fn walk(&self, segment: &Segment, visit: impl FnMut(&Step<'_>) -> Result<()>) -> Result<()> {
        let walk = Walk {
            file: &*segment.log,
            path: &segment.path,
            end: segment.len()?,
            base: segment.base_offset,
            bound: None,
            dense: false,
            limit: self.task.options.limit,
        };
        walk.run(visit).map(drop)
    }

    /// The producers of a log and their transactions, from its beginning up to `end`; `visit` is
    /// given them at the end of each segment.
    fn replay(
        &self,
        dir: &Path,
        end: i64,
        mut visit: impl FnMut(i64, &mut Transactions) -> Result<()>,
    ) -> Result<Transactions> {
        let storage = self.storage();
        let bases = files::offsets(&**storage, dir, files::LOG)?;
        let first = bases.first().copied().unwrap_or(0);
        let mut transactions = Transactions::at(&**storage, dir, first)?;
        for base in bases.into_iter().filter(|base| *base < end) {
            let segment = Segment::open(storage, dir, base, false)?;
            self.walk(&segment, |step| {
                if step.info.last_offset < end
                    && let Some(batch) = step.batch
                {
                    // One that says nothing is reported elsewhere.
                    let _ = transactions.take(step.info, batch);
                }
                Ok(())
            })?;
            visit(base, &mut transactions)?;
        }
        Ok(transactions)
    }

    fn aborted(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let Some(base) = base_of(path, files::TXN_INDEX) else { return Ok(()) };
        let (dir, storage) = (folder(path), self.storage().clone());
        let mut entries = Vec::new();
        self.replay(dir, i64::MAX, |at, transactions| {
            let of_segment = transactions.end_segment();
            if at == base {
                entries = of_segment;
            }
            Ok(())
        })?;
        if let Ok(file) = storage.open(path, Access::Read) {
            let len = file.len().at("stat", path)?;
            self.keep_bytes(&*file, path, (0, len), path)?;
        }
        let new = behind(path, REPAIR);
        aborted::write_to(&*storage, &new, &entries)?.sync_data().at("sync", &new)?;
        storage.rename(&new, path).at("rename", &new)?;
        storage.sync_dir(dir).at("sync", dir)?;
        self.done(shown, "made anew from the log");
        Ok(())
    }

    fn snapshot(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let Some(at) = base_of(path, files::SNAPSHOT) else { return Ok(()) };
        let (dir, storage) = (folder(path), self.storage().clone());
        let old = storage.open(path, Access::Read).at("open", path)?;
        let len = old.len().at("stat", path)?;
        self.keep_bytes(&*old, path, (0, len), path)?;
        let transactions = self.replay(dir, at, |_, _| Ok(()))?;
        transactions.producers.save(&*storage, dir, at)?;
        self.done(shown, "made anew from the log");
        Ok(())
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

/// Whether `copy` holds just these bytes of `file`.
fn same(file: &dyn File, range: (u64, u64), copy: &dyn File) -> std::io::Result<bool> {
    const CHUNK: usize = 64 * 1024;
    if copy.len()? != range.1 - range.0 {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = range.0;
    while at < range.1 {
        let wanted = usize::try_from(range.1 - at).unwrap_or(CHUNK).min(CHUNK);
        let read = file.read_at(at, &mut ours[..wanted])?;
        let there = copy.read_at(at - range.0, &mut theirs[..wanted])?;
        if read == 0 || ours[..read] != theirs[..there] {
            return Ok(false);
        }
        at += read as u64;
    }
    Ok(true)
}
