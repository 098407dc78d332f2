//! Who has the directory open, how it was closed, and what its lists say of each partition.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::config::{DirectoryConfig, TopicConfig, directory};
use crate::engine::control::observed::Observed;
use crate::engine::control::{self, LeftBehind};
use crate::engine::directory::losses;
use crate::engine::directory::root::{self, CLEAN_SHUTDOWN, FORMAT, LOCK};
use crate::engine::topics::{Topics, is_internal};
use crate::engine::upkeep::compact;
use crate::env::{Access, Env, Storage};
use crate::error::{At, Error, Result};
use crate::log::checkpoint::{self, Offsets};
use crate::log::files;
use crate::log::recovery::Trust;
use crate::types::TopicPartition;

/// Who has the directory.
#[derive(Debug)]
pub(crate) enum Holder {
    Nobody,
    /// Processes of ours; what they share says how far each log is published.
    Processes(Option<Observed>),
    /// A broker.
    Broker,
}

/// What is known of the directory before its logs are read.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) holder: Holder,
    /// What those have left who had it before.
    left_behind: LeftBehind,
    /// This boot of the machine.
    boot: u64,
    /// Whether it was closed in good order.
    pub(crate) clean: bool,
    /// Whether it was ever opened by us.
    pub(crate) ours: bool,
    pub(crate) topics: Topics,
    pub(crate) recovery_points: Offsets,
    pub(crate) log_starts: Offsets,
    pub(crate) cleaned: Offsets,
    /// Lists that a directory has that was closed in good order, and what comes of their absence.
    pub(crate) missing: Vec<(&'static str, &'static str)>,
    /// What topics take from the directory.
    pub(crate) config: DirectoryConfig,
}

/// How far a log is published, while processes have it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) segment_base: i64,
    pub(crate) end_position: u64,
    /// Entries of its two indexes.
    pub(crate) entries: (u32, u32),
    /// Grows when segments are replaced; odd while that is done.
    pub(crate) swaps: u64,
}

/// Who has the directory open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Nobody,
    Processes,
    Broker,
}

/// Whether offsets may be left out in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Nothing takes records out of it.
    Wrong,
    /// Nobody knows whether it is compacted.
    Unknown,
    /// It is compacted.
    Right,
}

/// What is known of one partition before its log is read.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) config: Arc<TopicConfig>,
    pub(crate) topic_id: Option<String>,
    pub(crate) gaps: Gaps,
    pub(crate) published: Option<Published>,
    pub(crate) user: User,
    /// Whether nothing was being written when it was last used.
    pub(crate) clean: bool,
    /// What the next to use the log believes of it.
    pub(crate) trust: Trust,
    pub(crate) recovery_point: i64,
    pub(crate) log_start: Option<i64>,
    pub(crate) ours: bool,
}

impl Survey {
    /// `alone` says that this process has the directory's lock, and nobody else does. Then it is to be
    /// repaired, and a file that cannot be read is an error: else it counts as empty here, and is
    /// reported elsewhere.
    pub(crate) fn take(dir: &Path, env: &Env, alone: bool) -> Result<Self> {
        let storage = &*env.storage;
        let holder = if alone { Holder::Nobody } else { holder(dir, storage)? };
        let clean = match &holder {
            Holder::Processes(Some(observed)) => observed.trust()? == Trust::Clean,
            _ => or_default(root::is_clean(storage, dir), alone)?,
        };
        let offsets = |name| or_default(checkpoint::read_offsets(storage, &dir.join(name)), alone);
        // One that cannot be opened is there.
        let is_there = |name: &str| match storage.open(&dir.join(name), Access::Read) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::NotFound,
        };
        let is_closed = matches!(holder, Holder::Nobody) && is_there(CLEAN_SHUTDOWN);
        let missing = losses::lists(is_there).filter(|_| is_closed).collect();
        Ok(Self {
            holder,
            left_behind: LeftBehind::read(storage, &dir.join(control::FILE)).unwrap_or_default(),
            boot: control::boot(storage),
            clean,
            ours: or_default(files::read(storage, &dir.join(FORMAT)), alone)?.is_some(),
            topics: or_default(Topics::read(storage, dir, 0), alone)?,
            recovery_points: offsets(root::RECOVERY_POINTS)?,
            log_starts: offsets(root::LOG_STARTS)?,
            cleaned: offsets(compact::CHECKPOINT)?,
            missing,
            config: or_default(config(dir, storage), alone)?,
        })
    }

    pub(crate) fn in_use(&self) -> bool {
        !matches!(self.holder, Holder::Nobody)
    }

    /// What is known of a partition now.
    pub(crate) fn of(&self, id: &TopicPartition) -> Result<Standing> {
        let topic = self.topics.get(&id.topic);
        let mut standing = Standing {
            config: Arc::new(self.config_of(id)),
            topic_id: topic.map(|topic| topic.id.to_string()),
            gaps: self.gaps(id),
            published: None,
            user: match self.holder {
                Holder::Nobody => User::Nobody,
                Holder::Processes(_) => User::Processes,
                Holder::Broker => User::Broker,
            },
            clean: self.clean,
            trust: self.trust(topic.and_then(|topic| topic.slot(id.partition)))?,
            recovery_point: self.recovery_points.get(id).copied().unwrap_or(0),
            log_start: self.log_starts.get(id).copied(),
            ours: self.ours,
        };
        let Holder::Processes(Some(observed)) = &self.holder else { return Ok(standing) };
        let Some(slot) = topic.and_then(|topic| topic.slot(id.partition)) else {
            return Ok(standing);
        };
        let Some(page) = observed.page(slot)? else { return Ok(standing) };
        if page.was_recovered_before() && standing.trust == Trust::Machine {
            standing.trust = Trust::Process;
        }
        if page.is_valid() {
            let tail = page.tail();
            standing.published = Some(Published {
                segment_base: tail.segment_base,
                end_position: tail.end_position,
                entries: (tail.index_entries, tail.time_entries),
                swaps: page.swaps(),
            });
        }
        Ok(standing)
    }
}

impl Survey {
    fn trust(&self, slot: Option<u32>) -> Result<Trust> {
        match &self.holder {
            Holder::Processes(Some(observed)) => observed.trust(),
            Holder::Nobody if !self.clean => Ok(self.left_behind.trust_of(self.boot, slot)),
            _ if self.clean => Ok(Trust::Clean),
            _ => Ok(Trust::Machine),
        }
    }

    fn config_of(&self, id: &TopicPartition) -> TopicConfig {
        let own = self.topics.get(&id.topic).map(|topic| topic.config.clone());
        own.unwrap_or_default().within(&self.config)
    }

    fn gaps(&self, id: &TopicPartition) -> Gaps {
        let topic = self.topics.get(&id.topic);
        let compacted =
            self.config_of(id).compacted || is_internal(&id.topic) || self.cleaned.contains_key(id);
        match topic {
            _ if compacted => Gaps::Right,
            None => Gaps::Unknown,
            Some(_) => Gaps::Wrong,
        }
    }
}

impl Standing {
    pub(crate) fn in_use(&self) -> bool {
        self.user != User::Nobody
    }

    /// Whether what is bad from `offset` on was never known to be on the disk: recovery cuts it.
    pub(crate) fn tolerates(&self, offset: i64) -> bool {
        !self.clean && self.published.is_none() && offset >= self.recovery_point
    }
}

fn config(dir: &Path, storage: &dyn Storage) -> Result<DirectoryConfig> {
    let path = dir.join(directory::FILE);
    DirectoryConfig::parse(&files::read(storage, &path)?.unwrap_or_default(), &path)
}

/// What was read. What it says that is wrong is reported elsewhere, and so is that it cannot be read,
/// if that is not `strict`.
fn or_default<T: Default>(read: Result<T>, strict: bool) -> Result<T> {
    match read {
        Err(error @ Error::Io { .. }) if strict => Err(error),
        read => Ok(read.unwrap_or_default()),
    }
}

/// Nothing is made and nothing is locked: the lock is only asked for.
fn holder(dir: &Path, storage: &dyn Storage) -> Result<Holder> {
    let path = dir.join(LOCK);
    if storage.open(&path, Access::Read).is_err() {
        return Ok(Holder::Nobody);
    }
    let lock = storage.lock_record(&path).at("open", &path)?;
    if lock.is_free().at("stat", &path)? {
        return Ok(Holder::Nobody);
    }
    if lock.holder().at("stat", &path)?.is_some() {
        return Ok(Holder::Broker);
    }
    Ok(Holder::Processes(Observed::open(storage, dir)?))
}

/// Whether the directory says that it was closed in good order, though somebody may have it open.
pub(crate) fn is_marked_clean(storage: &dyn Storage, dir: &Path) -> bool {
    storage.open(&dir.join(CLEAN_SHUTDOWN), Access::Read).is_ok()
}
