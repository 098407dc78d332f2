//! What the partitions of an open directory share, and what a process knows of its topics and
//! settings for as long as nobody changes them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::config::{DirectoryConfig, directory};
use crate::engine::control::Control;
use crate::engine::directory::root::Root;
use crate::engine::partition::holders::Holders;
use crate::engine::partition::seats::Seats;
use crate::engine::topics::Topics;
use crate::engine::topics::unheeded;
use crate::engine::upkeep::chores::Chores;
use crate::engine::upkeep::rounds::Tended;
use crate::env::lock::fork_generation;
use crate::env::{Env, Lock, Mode, Storage};
use crate::error::{At, Error, Result};
use crate::log::checkpoint::Offsets;
use crate::log::files;

/// What the partitions of a directory share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) dir: PathBuf,
    pub(crate) control: Arc<Control>,
    pub(crate) read_only: bool,
    /// `None` for a directory that is open read-only.
    pub(crate) root: Option<Root>,
    /// Where to begin when a log must be recovered, and where logs start.
    pub(crate) recovery_points: Offsets,
    pub(crate) log_starts: Offsets,
    /// The fork generation of the process that opened the directory.
    pub(crate) born: u32,
    /// Set when this process closes the directory. It is read in a partition's turn, and closing
    /// takes each turn after it was set: no append comes after the mark of a clean shutdown.
    pub(crate) closed: AtomicBool,
    pub(crate) holders: Holders,
    pub(crate) seats: Seats,
    pub(crate) chores: Chores,
    pub(crate) tended: Arc<Tended>,
    /// The lock of the directory itself, for changes of topics and settings.
    pub(crate) topics_lock: Mutex<Option<Box<dyn Lock>>>,
    pub(crate) topics: RwLock<Arc<Topics>>,
    /// The generation of topics whose folders this process has seen to be on the disk; odd before.
    pub(crate) named: AtomicU64,
    pub(crate) config: RwLock<Settings>,
}

/// The directory's settings, and the generation they are of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    generation: u64,
    config: Arc<DirectoryConfig>,
}

impl Settings {
    /// Reads the file; one that is not there leaves the defaults.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path, control: &Control) -> Result<Self> {
        let generation = control.settings_generation();
        let path = dir.join(directory::FILE);
        let (bytes, config) = Self::load(storage, &path)?;
        for (line, what) in DirectoryConfig::unknown(&bytes) {
            log::warn!("{}, line {line}, is passed over: {what}", path.display());
        }
        unheeded::warn(&config.given);
        Ok(Self { generation, config: Arc::new(config) })
    }

    fn load(storage: &dyn Storage, path: &Path) -> Result<(Vec<u8>, DirectoryConfig)> {
        let bytes = files::read(storage, path)?.unwrap_or_default();
        let config = DirectoryConfig::parse(&bytes, path)?;
        Ok((bytes, config))
    }
}

impl Shared {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::Closed("directory"));
        }
        Ok(())
    }

    /// Refuses to work in a forked child: it shares locks and files with its parent.
    pub(crate) fn check_fork(&self) -> Result<()> {
        if fork_generation() == self.born {
            return Ok(());
        }
        Err(Error::Forked("client"))
    }

    /// Grows when any process changes topics or settings; odd while it does.
    pub(crate) fn topics_generation(&self) -> u64 {
        if self.control.topics_generation() % 2 == 1
            && let Err(error) = self.end_change_of_the_dead()
        {
            log::warn!("{error}");
        }
        self.control.topics_generation()
    }

    /// The topics there are now.
    pub(crate) fn topics(&self) -> Result<Arc<Topics>> {
        let generation = self.topics_generation();
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner).clone();
        let in_change = generation % 2 == 1;
        if known.generation == generation && !in_change {
            return Ok(known);
        }
        let topics = Arc::new(Topics::read(&*self.env.storage, &self.dir, generation)?);
        // Under the number of a change that is not over, the set may change once more.
        if !in_change {
            self.remember(&topics);
        }
        Ok(topics)
    }

    fn remember(&self, topics: &Arc<Topics>) {
        let mut known = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have read a later one meanwhile.
        if known.generation < topics.generation {
            *known = topics.clone();
        }
    }

    /// The directory's settings as they are now. While the file cannot be read, as they were.
    pub(crate) fn config(&self) -> Arc<DirectoryConfig> {
        let generation = self.settings_generation();
        let known = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        let in_change = generation % 2 == 1;
        if known.generation == generation && !in_change {
            return known.config;
        }
        let read = if in_change { self.settings_in_change() } else { self.new_settings() };
        read.unwrap_or_else(|error| {
            log::warn!("the settings stay as they were: {error}");
            if in_change {
                return known.config;
            }
            self.remember_settings(Settings { generation, ..known })
        })
    }

    fn settings_generation(&self) -> u64 {
        if self.control.settings_generation() % 2 == 1 {
            // Ends the change if who made it is dead.
            self.topics_generation();
        }
        self.control.settings_generation()
    }

    /// Under the number of a change that is not over, the file may change once more.
    fn settings_in_change(&self) -> Result<Arc<DirectoryConfig>> {
        let path = self.dir.join(directory::FILE);
        let (_, config) = Settings::load(&*self.env.storage, &path)?;
        Ok(Arc::new(config))
    }

    fn new_settings(&self) -> Result<Arc<DirectoryConfig>> {
        let read = Settings::read(&*self.env.storage, &self.dir, &self.control)?;
        Ok(self.remember_settings(read))
    }

    fn remember_settings(&self, read: Settings) -> Arc<DirectoryConfig> {
        let mut known = self.config.write().unwrap_or_else(PoisonError::into_inner);
        if known.generation < read.generation {
            *known = read;
        }
        known.config.clone()
    }

    /// Who changed topics or settings may have died before it could say that it was done.
    fn end_change_of_the_dead(&self) -> Result<()> {
        let Ok(mut lock) = self.topics_lock.try_lock() else { return Ok(()) };
        let lock = self.made(&mut lock)?;
        if !self.read_only && lock.try_acquire(Mode::Exclusive).at("lock", &self.dir)? {
            self.control.end_changes();
            lock.release().at("unlock", &self.dir)?;
        }
        Ok(())
    }

    /// The handle of the directory's lock, made when first needed.
    pub(crate) fn made<'a>(&self, lock: &'a mut Option<Box<dyn Lock>>) -> Result<&'a dyn Lock> {
        let made = match lock.take() {
            Some(made) => made,
            None => self.env.storage.lock_dir(&self.dir).at("open", &self.dir)?,
        };
        Ok(&**lock.insert(made))
    }
}
