//! What this process has open: engines, one per directory, producers that may have records to
//! send, and the threads that look after members of groups. One lock guards both, so that a fork finds them at rest.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::client::producer::sender::Sender;
use crate::client::tender;
use crate::client::upkeep::Upkeep;
use crate::engine::{Engine, Tended};

#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) engines: Vec<Open>,
    pub(super) senders: Vec<Weak<Sender>>,
    pub(super) upkeeps: Vec<Arc<Upkeep>>,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) dir: PathBuf,
    pub(super) read_only: bool,
    pub(super) engine: Weak<Engine>,
    pub(super) tended: Arc<Tended>,
}

impl Open {
    /// Whether its directory is closed, which takes a while after nobody has the engine any more.
    pub(super) fn is_gone(&self) -> bool {
        self.tended.gone.load(Ordering::SeqCst)
    }
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { engines: Vec::new(), senders: Vec::new(), upkeeps: Vec::new() });

pub(super) fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// The engine that has `dir` open, if there is one of that kind.
    pub(super) fn engine(&self, dir: &Path, read_only: bool) -> Option<Arc<Engine>> {
        let mut same = self.engines.iter().filter(|o| o.dir == dir && o.read_only == read_only);
        let (engine, tended) =
            same.find_map(|open| Some((open.engine.upgrade()?, &open.tended)))?;
        tender::welcome(tended);
        Some(engine)
    }
}

pub(super) fn add_sender(sender: &Arc<Sender>) {
    let mut registry = lock();
    registry.senders.retain(|sender| sender.strong_count() > 0);
    registry.senders.push(Arc::downgrade(sender));
}

/// Producers that live, or were dropped and are still sending.
pub(super) fn senders() -> Vec<Arc<Sender>> {
    lock().senders.iter().filter_map(Weak::upgrade).collect()
}
