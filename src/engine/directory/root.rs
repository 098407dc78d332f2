//! The directory as a whole: Kafka's lock and marker files, our format, who came first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::engine::control::{self, Control};
use crate::engine::patience;
use crate::engine::topics::id::Id;
use crate::engine::topics::list;
use crate::engine::upkeep::compact;
use crate::env::keepers::keepers;
use crate::env::point::point;
use crate::env::{Env, Mode, RecordLock, Storage};
use crate::error::{At, Error, Result};
use crate::log::checkpoint::{self, Offsets};
use crate::log::files;
use crate::log::recovery::Trust;
use crate::types::TopicPartition;

pub(crate) const LOCK: &str = ".lock";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(crate) const FORMAT: &str = ".brokerless-format";
pub(crate) const META: &str = "meta.properties";
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";

/// The newest format of a directory that this version reads and writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// How long to wait for another process that has the directory alone for a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the control file is missed, beside others that have the directory open, before somebody
/// must have removed it: who died while he made it anew is followed by another.
const MISSES: u32 = 50;

/// A directory that this process has open, shared with others.
#[derive(Debug)]
pub(crate) struct Root {
    env: Env,
    dir: PathBuf,
    lock: Box<dyn RecordLock>,
}

/// What a process finds when it has opened a directory.
pub(crate) struct Attached {
    pub(crate) root: Root,
    pub(crate) control: Control,
    /// Nobody else has it open, and nobody else can open it before
    /// [`share`](Root::share) is called.
    pub(crate) first: bool,
}

/// What comes of one try to open a directory.
enum Entry {
    Attached(Box<Attached>),
    /// Somebody has it alone, or has not made it ready yet.
    Busy,
    /// Others have it open, and there is no control file.
    NoControl,
}

impl Root {
    /// Opens `dir`, which exists, for writing.
    pub(crate) fn attach(dir: &Path, env: &Env) -> Result<Attached> {
        check_format(&*env.storage, dir)?;
        let patience = patience::limit().min(PATIENCE);
        let deadline = env.clock.monotonic() + patience;
        let mut misses = 0;
        loop {
            let path = dir.join(LOCK);
            let lock = env.storage.lock_record(&path).at("open", &path)?;
            let root = Self { env: env.clone(), dir: dir.to_owned(), lock };
            match root.enter()? {
                Entry::Attached(attached) => return Ok(*attached),
                Entry::NoControl => misses += 1,
                Entry::Busy => misses = 0,
            }
            if misses == MISSES {
                let what = "the file was removed while others use the directory";
                return Err(Error::Replaced { path: dir.join(control::FILE), what });
            }
            if env.clock.monotonic() > deadline {
                let path = dir.to_owned();
                return Err(Error::HeldAlone { path, after: patience, keepers: Vec::new() });
            }
            env.clock.pause(Duration::from_millis(1));
        }
    }

    /// Takes the lock alone or with others.
    fn enter(self) -> Result<Entry> {
        let path = self.dir.join(LOCK);
        let first = self.take(Mode::Exclusive)?;
        point("open.locked");
        if !first && !self.take(Mode::Shared)? {
            if self.lock.holder().at("lock", &path)?.is_some() {
                return Err(Error::HeldByBroker(self.dir));
            }
            return Ok(Entry::Busy);
        }
        // A broker removes the file when it stops: the lock must be on the one others will find.
        if !self.lock.is_current().at("stat", &path)? {
            return Ok(Entry::Busy);
        }
        let control =
            if first { Some(self.begin()?) } else { Control::open(&self.env.storage, &self.dir)? };
        Ok(match control {
            Some(control) => Entry::Attached(Box::new(Attached { root: self, control, first })),
            None if Control::is_missing(&*self.env.storage, &self.dir)? => Entry::NoControl,
            None => Entry::Busy,
        })
    }

    fn take(&self, mode: Mode) -> Result<bool> {
        self.lock.try_acquire(mode).at("lock", &self.dir.join(LOCK))
    }

    /// Lets others in.
    pub(crate) fn share(&self) -> Result<()> {
        if self.take(Mode::Shared)? {
            return Ok(());
        }
        Err(Error::IllegalState("the lock of the directory was lost while it was opened"))
    }

    /// What the first process in does before anything else.
    fn begin(&self) -> Result<Control> {
        let storage = &self.env.storage;
        let clean = is_clean(&**storage, &self.dir)?;
        self.unmark()?;
        point("open.unmarked");
        self.write_identity()?;
        point("open.identified");
        Control::create(storage, &self.dir, clean, self.env.clock.now())
    }

    /// Removes the marker of a clean shutdown, before the first change.
    fn unmark(&self) -> Result<()> {
        let storage = &*self.env.storage;
        files::remove(storage, &self.dir.join(CLEAN_SHUTDOWN))?;
        storage.sync_dir(&self.dir).at("sync", &self.dir)
    }

    fn write_identity(&self) -> Result<()> {
        let storage = &*self.env.storage;
        let meta = self.dir.join(META);
        if files::read(storage, &meta)?.is_some() {
            return Ok(());
        }
        let text = format!(
            "#\ncluster.id={}\ndirectory.id={}\nnode.id=1\nversion=1\n",
            Id::random(),
            Id::random()
        );
        files::replace(storage, &meta, text.as_bytes())
    }

    /// Says that the directory is one of ours, which has a list of topics.
    pub(crate) fn make_ours(&self) -> Result<()> {
        let storage = &*self.env.storage;
        if is_ours(storage, &self.dir)? {
            return Ok(());
        }
        let text = format!("{FORMAT_VERSION}\n");
        files::replace(storage, &self.dir.join(FORMAT), text.as_bytes())
    }

    /// Forgets what was noted of partitions that are not to be kept: one that is made again under
    /// the name begins anew.
    pub(crate) fn keep(&self, is_kept: impl Fn(&TopicPartition) -> bool) -> Result<()> {
        let storage = &*self.env.storage;
        let locks = self.dir.join(compact::LOCKS);
        let writer = storage.lock_byte(&locks, compact::CHECKPOINT_BYTE).at("open", &locks)?;
        patience::until("the lock of the cleaner's checkpoint", &*self.env.clock, || {
            Ok(writer.try_acquire(Mode::Exclusive).at("lock", &locks)?.then_some(()))
        })?;
        for name in [RECOVERY_POINTS, LOG_STARTS, compact::CHECKPOINT] {
            let path = self.dir.join(name);
            let mut offsets = checkpoint::read_offsets(storage, &path)?;
            let before = offsets.len();
            offsets.retain(|id, _| is_kept(id));
            if offsets.len() < before {
                checkpoint::write_offsets(storage, &path, &offsets)?;
            }
        }
        Ok(())
    }

    /// Whether the directory is still where it was opened.
    pub(crate) fn check_place(&self) -> Result<()> {
        if self.lock.is_current().at("stat", &self.dir.join(LOCK))? {
            return Ok(());
        }
        Err(Error::Replaced { path: self.dir.clone(), what: "the directory was moved or removed" })
    }

    /// Whether everybody else is gone; then nobody can come before this process has gone too.
    ///
    /// Two that leave together would each find the other: so the lock is given back before the
    /// last try, and somebody new may have come and gone in between.
    pub(crate) fn is_last(&self, control: &Control) -> Result<bool> {
        if self.take(Mode::Exclusive)? {
            return Ok(true);
        }
        self.lock.release().at("unlock", &self.dir.join(LOCK))?;
        point("close.released");
        Ok(self.take(Mode::Exclusive)? && control.is_current()?)
    }

    /// Marks the directory as closed in good order. Only for the last one out, with everything
    /// synced up to `ends`.
    pub(crate) fn mark(&self, ends: &Offsets, starts: &Offsets) -> Result<()> {
        self.check_place()?;
        let storage = &*self.env.storage;
        checkpoint::write_offsets(storage, &self.dir.join(RECOVERY_POINTS), ends)?;
        point("mark.ends");
        checkpoint::write_offsets(storage, &self.dir.join(LOG_STARTS), starts)?;
        point("mark.starts");
        let content = br#"{"version":0,"brokerEpoch":-1}"#;
        files::replace(storage, &self.dir.join(CLEAN_SHUTDOWN), content)
    }
}

/// Opens `dir` for reading: nothing is locked and nothing is changed.
pub(crate) fn inspect(dir: &Path, env: &Env) -> Result<Control> {
    check_format(&*env.storage, dir)?;
    env.storage.list(dir).at("list", dir)?;
    let clean = is_clean(&*env.storage, dir)?;
    Ok(Control::private(if clean { Trust::Clean } else { Trust::Machine }))
}

/// The processes that have `dir` alone, as far as the system tells. It takes a while.
pub fn keepers_of(dir: &Path) -> Vec<u32> {
    keepers(&dir.join(LOCK))
}

/// Whether the last to have the directory closed it in good order. A new one has no folders yet, and
/// no list that may name one that is lost.
pub(crate) fn is_clean(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    if files::read(storage, &dir.join(CLEAN_SHUTDOWN))?.is_some() {
        return Ok(true);
    }
    let entries = storage.list(dir).at("list", dir)?;
    Ok(!entries.iter().any(|entry| entry.is_dir || entry.name == list::FILE))
}

/// Whether somebody of ours has opened the directory for writing.
pub(crate) fn is_ours(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    Ok(files::read(storage, &dir.join(FORMAT))?.is_some())
}

fn check_format(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let path = dir.join(FORMAT);
    let Some(bytes) = files::read(storage, &path)? else { return Ok(()) };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse() {
        Ok(found) if found > FORMAT_VERSION => {
            Err(Error::NewerFormat { path: dir.to_owned(), found, known: FORMAT_VERSION })
        }
        Ok(_) => Ok(()),
        Err(_) => {
            let remedy = format!(
                "it names no version; `brokerless verify --repair {}` writes it",
                dir.display()
            );
            Err(Error::Damaged { path, remedy })
        }
    }
}

/// How far each partition was synced when that was last noted: up to there nothing is missing.
pub(crate) fn recovery_points(storage: &dyn Storage, dir: &Path) -> Result<Offsets> {
    checkpoint::read_offsets(storage, &dir.join(RECOVERY_POINTS))
}

/// Replaces the note of how far each partition is synced.
pub(crate) fn write_recovery_points(
    storage: &dyn Storage,
    dir: &Path,
    offsets: &Offsets,
) -> Result<()> {
    checkpoint::write_offsets(storage, &dir.join(RECOVERY_POINTS), offsets)
}

/// Where each partition's log starts, if that is not the first of its segments.
pub(crate) fn log_starts(storage: &dyn Storage, dir: &Path) -> Result<Offsets> {
    checkpoint::read_offsets(storage, &dir.join(LOG_STARTS))
}
