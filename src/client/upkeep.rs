//! The thread that shows that this process's members live, and looks after those of others.
//!
//! There is one for each engine that has members, and it ends with the last of them. Nothing that
//! may take long is done in it: a group's lock is waited for 100 ms at most. So its heartbeats tell
//! of the process.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::client::registry;
use crate::config::ConsumerConfig;
use crate::engine::{Engine, Group, Membership};
use crate::env::Clock;
use crate::env::lock::fork_generation;
use crate::env::watch::{Poker, Seen, Watch};
use crate::error::{Error, Result};
use crate::types::ProcessId;

/// How often it looks for members that died or hang. Most deaths are seen at once, but where the
/// system does not tell of them, this is how long they take.
const LOOK: Duration = Duration::from_millis(100);

/// A member's seat with the thread. Once it is dropped, the thread has let go of the member.
#[derive(Debug)]
pub(super) struct Seat {
    kept: Arc<Kept>,
    upkeep: Arc<Upkeep>,
    fork_generation: u32,
}

/// A member that is kept alive.
#[derive(Debug)]
struct Kept {
    /// `None` once the seat was given up. Whoever uses the member holds the lock meanwhile.
    charge: Mutex<Option<Charge>>,
    heartbeat: Duration,
    max_poll_interval: Duration,
    /// When the user polled last, in nanoseconds of the monotonic clock.
    polled: AtomicU64,
}

#[derive(Debug)]
struct Charge {
    membership: Arc<Membership>,
    next_beat: Duration,
    /// It has not polled for too long, and has left for that.
    left: bool,
}

/// What the thread and the seats share.
#[derive(Debug)]
pub(super) struct Upkeep {
    engine: Weak<Engine>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Vec<Arc<Kept>>>,
    poker: Poker,
}

/// Takes a seat for a member, and starts the thread for the first.
pub(super) fn sit(
    engine: &Arc<Engine>,
    membership: &Arc<Membership>,
    config: &ConsumerConfig,
) -> Result<Seat> {
    let now = engine.env().clock.monotonic();
    let charge =
        Charge { membership: Arc::clone(membership), next_beat: Duration::ZERO, left: false };
    let kept = Arc::new(Kept {
        charge: Mutex::new(Some(charge)),
        // Kafka recommends it, and warns of more.
        heartbeat: config.heartbeat_interval.min(config.session_timeout / 3),
        max_poll_interval: config.max_poll_interval,
        polled: AtomicU64::new(nanos(now)),
    });
    let mut registry = registry::lock();
    let known = registry.upkeeps.iter().find(|upkeep| upkeep.is_for(engine));
    let upkeep = if let Some(upkeep) = known {
        Arc::clone(upkeep)
    } else {
        let upkeep = Upkeep::start(engine)?;
        registry.upkeeps.push(Arc::clone(&upkeep));
        upkeep
    };
    upkeep.kept().push(Arc::clone(&kept));
    upkeep.poker.poke();
    Ok(Seat { kept, upkeep, fork_generation: fork_generation() })
}

impl Seat {
    /// The user polls.
    pub(super) fn polled(&self, now: Duration) {
        self.kept.polled.store(nanos(now), Ordering::Relaxed);
    }

    /// The group has changed: there may be other processes to watch.
    pub(super) fn noticed(&self) {
        self.upkeep.poker.poke();
    }
}

impl Drop for Seat {
    /// In a forked child the locks may be held by a thread that is not there.
    fn drop(&mut self) {
        if self.fork_generation != fork_generation() {
            return;
        }
        self.upkeep.kept().retain(|kept| !Arc::ptr_eq(kept, &self.kept));
        lock(&self.kept.charge).take();
        self.upkeep.poker.poke();
    }
}

impl Kept {
    /// Beats if it is time for that. Gives when it is time again.
    fn keep(&self, now: Duration) -> Option<Duration> {
        let mut charge = lock(&self.charge);
        let charge = charge.as_mut()?;
        let polled = Duration::from_nanos(self.polled.load(Ordering::Relaxed));
        if now.saturating_sub(polled) > self.max_poll_interval {
            charge.leave();
            return Some(now.saturating_add(self.heartbeat));
        }
        charge.left = false;
        if charge.next_beat <= now {
            charge.membership.beat();
            charge.next_beat = now.saturating_add(self.heartbeat);
        }
        Some(charge.next_beat)
    }
}

impl Charge {
    /// As Kafka's consumer does when its user hangs. A static member only falls silent.
    fn leave(&mut self) {
        if self.left {
            return;
        }
        match self.membership.leave() {
            Ok(()) => {
                self.left = true;
                log::warn!(
                    "{} has not polled for max_poll_interval_ms and leaves group {:?}: handle \
                     less at a time (max_poll_records), or raise it",
                    self.membership.member_id(),
                    self.membership.group().id()
                );
            }
            Err(error) => log::debug!("leaving for want of polls: {error}"),
        }
    }
}

impl Upkeep {
    fn start(engine: &Arc<Engine>) -> Result<Arc<Self>> {
        let failed =
            |source| Error::Io { op: "start a thread for", path: engine.dir().to_owned(), source };
        let (watch, poker) = Watch::new().map_err(failed)?;
        let upkeep = Arc::new(Self {
            engine: Arc::downgrade(engine),
            clock: Arc::clone(&engine.env().clock),
            kept: Mutex::default(),
            poker,
        });
        let mine = Arc::clone(&upkeep);
        let thread = std::thread::Builder::new().name("brokerless-upkeep".into());
        thread.spawn(move || Rounds::new(mine, watch).run()).map_err(failed)?;
        Ok(upkeep)
    }

    fn is_for(&self, engine: &Arc<Engine>) -> bool {
        std::ptr::eq(self.engine.as_ptr(), Arc::as_ptr(engine))
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        lock(&self.kept)
    }
}

/// The thread's own.
struct Rounds {
    upkeep: Arc<Upkeep>,
    watch: Watch,
    next_look: Duration,
    /// By group: the version they are from, and the processes of its members.
    processes: HashMap<String, (u64, Vec<ProcessId>)>,
}

impl Rounds {
    fn new(upkeep: Arc<Upkeep>, watch: Watch) -> Self {
        let next_look = Duration::ZERO;
        Self { upkeep, watch, next_look, processes: HashMap::new() }
    }

    fn run(mut self) {
        loop {
            let all = self.upkeep.kept().clone();
            if all.is_empty() && self.retire() {
                return;
            }
            let now = self.upkeep.clock.monotonic();
            let next_beat = all.iter().filter_map(|kept| kept.keep(now)).min();
            if self.next_look <= now {
                let often = all.iter().map(|kept| kept.heartbeat).fold(LOOK, Duration::min);
                self.next_look = now.saturating_add(often);
                each_group(&all, |group| look(group, now));
            }
            self.follow(&all);
            let until = next_beat.map_or(self.next_look, |beat| beat.min(self.next_look));
            if self.watch.wait(until.saturating_sub(now)) == Seen::Death {
                self.next_look = Duration::ZERO;
            }
        }
    }

    /// Ends the thread, unless a seat was taken meanwhile.
    fn retire(&self) -> bool {
        let mut registry = registry::lock();
        let last = self.upkeep.kept().is_empty();
        if last {
            registry.upkeeps.retain(|upkeep| !Arc::ptr_eq(upkeep, &self.upkeep));
        }
        last
    }

    /// Watches the processes of all who share a group with a member of this one.
    fn follow(&mut self, all: &[Arc<Kept>]) {
        let mut known = std::mem::take(&mut self.processes);
        let mut changed = false;
        each_group(all, |group| {
            let version = group.version();
            let current = known.remove(group.id()).filter(|(known, _)| *known == version);
            changed |= current.is_none();
            let current = current.unwrap_or_else(|| (version, processes(group)));
            self.processes.insert(group.id().to_owned(), current);
        });
        if changed || !known.is_empty() {
            self.watch.follow(self.processes.values().flat_map(|(_, all)| all).copied());
        }
    }
}

/// Each group once, by a member that cannot go away meanwhile.
fn each_group(all: &[Arc<Kept>], mut see: impl FnMut(&Group)) {
    let mut seen = HashSet::new();
    for kept in all {
        let charge = lock(&kept.charge);
        let Some(charge) = &*charge else { continue };
        let group = charge.membership.group();
        if seen.insert(group.id().to_owned()) {
            see(group);
        }
    }
}

fn look(group: &Group, now: Duration) {
    if let Err(error) = group.sweep(now) {
        log::debug!("looking after group {:?}: {error}", group.id());
    }
}

fn processes(group: &Group) -> Vec<ProcessId> {
    let id = |process: &crate::coord::group::Process| ProcessId {
        pid: process.pid,
        namespace: process.namespace,
    };
    // They are hints.
    group.processes().unwrap_or_default().iter().map(id).collect()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
