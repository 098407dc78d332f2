//! Groups: members of several processes that share partitions without a broker.
//!
//! Whoever holds a group's lock is its coordinator, for one request: it reads the state, lets
//! [`State`] decide, makes the new state valid by one store, and wakes the members. A member that
//! dies in the middle leaves the state before. What a group must not forget (commits, generations)
//! is in `__consumer_offsets`; the rest is made anew by the first process in.
//!
//! ```text
//! .brokerless-group-<hash>.lock    the lock (flock)
//! .brokerless-group-<hash>.live    each member locks a byte for its life; mapped: the version of
//!                                  the state, where it lies, and the members' heartbeats
//! .brokerless-group-<hash>.state   the state, written beside the valid one
//! ```

mod admin;
mod commits;
mod description;
mod files;
mod membership;
mod observer;
pub(super) mod offsets;
mod reset;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

pub use admin::MemberToRemove;
pub use description::{GroupDescription, MemberDescription};
pub use membership::{Join, Membership};
pub use reset::{Reset, ResetTo};

use crate::coord::group::{Counts, Process, Refused, State};
use crate::engine::control::doorbell;
use crate::engine::{Engine, patience};
use crate::env::point::point;
use crate::env::{Clock, Lock, Mode, process};
use crate::error::{At, Error, Result};
use files::Files;
pub(crate) use files::{PREFIX, remove_all};
use observer::Observer;

/// Why who is no member does not commit.
pub(crate) const NO_MEMBER: &str = "the consumer is no member of it, or not any more: the time \
    between polls was longer than max_poll_interval_ms (raise it, or lower max_poll_records), the \
    process hung for session_timeout_ms, an administrator took it out, or it has not joined yet; \
    poll() joins it";

/// A group, as a process of many sees it.
#[derive(Debug)]
pub struct Group {
    engine: Arc<Engine>,
    core: Arc<Core>,
}

/// What the handles of one group share in a process.
#[derive(Debug)]
pub(crate) struct Core {
    id: String,
    files: Files,
    lock: Mutex<Box<dyn Lock>>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    observer: Mutex<Observer>,
}

/// The state as it was last read.
#[derive(Debug, Default)]
struct Known {
    version: u64,
    state: Arc<State>,
}

/// The right to change a group; ends when dropped.
pub(super) struct Turn<'a>(MutexGuard<'a, Box<dyn Lock>>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.release() {
            log::error!("a group's lock could not be given back: {error}");
        }
    }
}

fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > usize::from(i16::MAX.unsigned_abs()) {
        return Err(Error::InvalidGroupId(id.to_owned()));
    }
    Ok(())
}

impl Engine {
    /// The group of that id, with or without members.
    pub fn group(self: &Arc<Self>, id: &str) -> Result<Arc<Group>> {
        self.shared.check_fork()?;
        if self.shared.read_only {
            return Err(Error::ReadOnly(self.dir().to_owned()));
        }
        check_id(id)?;
        let core = self.group_core(id)?;
        Ok(Arc::new(Group { engine: self.clone(), core }))
    }

    pub(super) fn group_core(&self, id: &str) -> Result<Arc<Core>> {
        let mut cores = self.cores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(core) = cores.get(id).and_then(std::sync::Weak::upgrade) {
            return Ok(core);
        }
        let core = Arc::new(Core::open(self, id)?);
        cores.retain(|_, core| core.strong_count() > 0);
        cores.insert(id.to_owned(), Arc::downgrade(&core));
        Ok(core)
    }
}

impl Core {
    fn open(engine: &Engine, id: &str) -> Result<Self> {
        let files = Files::open(&engine.env().storage, &engine.group_lock(id), id)?;
        Ok(Self {
            id: id.to_owned(),
            lock: Mutex::new(files.group_lock()?),
            clock: engine.env().clock.clone(),
            files,
            known: Mutex::default(),
            observer: Mutex::default(),
        })
    }

    /// Waits for the right to change the group, at most about 100 ms: its holder may have been
    /// stopped. [`Error::Timeout`] then, and nothing has happened.
    pub(super) fn turn(&self) -> Result<Turn<'_>> {
        patience::until("the lock of the group", &*self.clock, || {
            let mut guard = match self.lock.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(None),
            };
            let path = self.files.lock_path();
            if !guard.try_acquire(Mode::Exclusive).at("lock", path)? {
                return Ok(None);
            }
            // Somebody removed the file: those who come now lock another.
            if !guard.is_current().at("stat", path)? {
                *guard = self.files.group_lock()?;
                return Ok(None);
            }
            Ok(Some(Turn(guard)))
        })
    }

    /// The state as it is now; the lock is not needed. `None` if nobody has used the group since
    /// the first process came into the directory.
    fn read(&self) -> Result<Option<Arc<State>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.files.version();
        if version == 0 {
            return Ok(None);
        }
        if known.version != version {
            let (version, state) = self.files.read()?;
            *known = Known { version, state: Arc::new(state) };
        }
        Ok(Some(known.state.clone()))
    }

    fn publish(&self, _turn: &Turn<'_>, state: State) -> Result<Arc<State>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.files.write(&state)?;
        *known = Known { version, state: Arc::new(state) };
        Ok(known.state.clone())
    }
}

impl Group {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// Moves with every change of the group, by any process; a change also rings the doorbells of
    /// those members who have something to do now. One load: compare it before anything else is
    /// asked.
    pub fn version(&self) -> u64 {
        self.core.files.version()
    }

    /// The group as it is now.
    pub fn state(&self) -> Result<Arc<State>> {
        self.engine.shared.check_fork()?;
        match self.core.read()? {
            Some(state) => Ok(state),
            None => Ok(Arc::new(State::after(self.last_generation()?))),
        }
    }

    /// The processes of other members than this one's.
    pub fn processes(&self) -> Result<Vec<Process>> {
        let own = own_process();
        let state = self.state()?;
        let mut all: Vec<_> = state.members().map(|(_, member)| member.process.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|process| *process != own);
        Ok(all)
    }

    /// Takes those members out that died, or showed no sign of life for their session timeout:
    /// judged by what this process saw of them, at monotonic time `now` and at earlier calls.
    /// Whether there were any.
    pub fn sweep(&self, now: Duration) -> Result<bool> {
        let state = self.state()?;
        let gone = {
            let mut observer = self.core.observer.lock().unwrap_or_else(PoisonError::into_inner);
            observer.look(&state, &self.core.files, now)?
        };
        if gone.is_empty() {
            return Ok(false);
        }
        self.change(|state, counts| {
            for (uid, why) in gone {
                // Somebody else may have been faster.
                if state.remove(uid, counts) {
                    log::info!("group {:?}: member {uid} is taken out: {why}", self.id());
                }
            }
        })?;
        Ok(true)
    }

    /// Changes the group, alone among all processes. After `Err` it is as before.
    fn change<T>(&self, change: impl FnOnce(&mut State, Counts<'_>) -> T) -> Result<T> {
        self.engine.shared.check_fork()?;
        let topics = self.engine.topics()?;
        let counts = |name: &str| topics.get(name).map(|topic| topic.partition_count());
        let turn = self.core.turn()?;
        point("group.locked");
        self.engine.shared.check_open()?;
        let before = self.current(&turn)?;
        let mut state = State::clone(&before);
        let changed = change(&mut state, &counts);
        point("group.decided");
        if state != *before {
            self.note(&before, &state);
            point("group.noted");
            let state = self.core.publish(&turn, state)?;
            point("group.published");
            for bell in state.to_wake(&before) {
                doorbell::ring(&self.engine.shared.control, bell);
            }
        }
        Ok(changed)
    }

    /// The state, made anew by the first to need it since the directory was opened.
    fn current(&self, turn: &Turn<'_>) -> Result<Arc<State>> {
        match self.core.read()? {
            Some(state) => Ok(state),
            None => self.core.publish(turn, State::after(self.last_generation()?)),
        }
    }

    fn refuse(&self, refused: Refused) -> Error {
        let group = self.id().to_owned();
        let failed = |why| Error::CommitFailed { group: group.clone(), why };
        match refused {
            Refused::Unknown => failed(NO_MEMBER),
            Refused::NotOwner(_) => failed(
                "a partition is not the consumer's own; a member commits what it was assigned",
            ),
            Refused::NotEmpty => {
                failed("it has members, and only they may commit; use another group_id beside them")
            }
            Refused::Rebalancing => Error::RebalanceInProgress(group),
            Refused::Fenced(instance) => Error::FencedInstanceId { group, instance },
            Refused::NoCommonStrategy => Error::InconsistentGroupProtocol(group),
            Refused::Nonsense(what) => Error::InvalidAssignment { group, what },
        }
    }
}

fn own_process() -> Process {
    Process { pid: process::id(), namespace: process::namespace() }
}
