//! A simulated process: a world whose every call is a step of the scheduler's, and may be its last.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use brokerless::env::map::heap;
use brokerless::env::mem::MemDisk;
use brokerless::env::wake::Woken;
use brokerless::env::{
    Access, Clock, Entry, Env, File, Folder, Lock, Map, Mode, RecordLock, Status, Storage, point,
};
use brokerless::types::Timestamp;

use crate::scheduler::{Scheduler, Verdict};

/// Noon of the first day of 2024, UTC.
const START: Timestamp = 1_704_110_400_000;

/// Bytes of a batch in front of those that its checksum covers, and itself.
const HEADER: usize = 21;

/// Where the engine has just told all processes of a failed sync.
const POISONED: &str = "sync.poisoned";

/// What a process that dies unwinds with.
struct Killed;

/// What is done before a step at which is to be looked what a power loss would leave.
pub(crate) type Look = dyn Fn(&MemDisk) + Send + Sync;

/// One process, from its start to its end.
pub(crate) struct Actor {
    scheduler: Arc<Scheduler>,
    seat: usize,
    disk: MemDisk,
    dead: AtomicBool,
    look: Arc<Look>,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Actor({})", self.seat)
    }
}

/// How a process ended.
pub(crate) enum Ended {
    Returned,
    Killed,
    /// With what it panicked.
    Failed(String),
}

impl Actor {
    pub(crate) fn new(
        scheduler: Arc<Scheduler>,
        seat: usize,
        disk: MemDisk,
        look: Arc<Look>,
    ) -> Arc<Self> {
        Arc::new(Self { scheduler, seat, disk, dead: AtomicBool::new(false), look })
    }

    /// Runs the process's program in its world, until it returns or dies.
    pub(crate) fn run(self: &Arc<Self>, program: impl FnOnce(Env)) -> Ended {
        let hook = {
            let actor = self.clone();
            move |name| actor.come_to(name)
        };
        let env = self.env();
        let program = AssertUnwindSafe(|| point::with_hook(hook, || program(env)));
        match catch_unwind(program) {
            Ok(()) => {
                self.end();
                Ended::Returned
            }
            Err(payload) if payload.is::<Killed>() => Ended::Killed,
            Err(payload) => {
                self.end();
                Ended::Failed(message(&*payload))
            }
        }
    }

    pub(crate) fn disk(&self) -> &MemDisk {
        &self.disk
    }

    fn env(self: &Arc<Self>) -> Env {
        Env {
            storage: Arc::new(SimStorage { actor: self.clone() }),
            clock: Arc::new(SimClock { actor: self.clone() }),
        }
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// From here on nothing that it does has an effect on the others.
    fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.disk.kill();
    }

    fn die(&self) -> ! {
        self.end();
        resume_unwind(Box::new(Killed))
    }

    /// Comes back in its turn; an error if the process is dead, and is being taken down.
    fn step(&self, what: &str, path: &str) -> io::Result<()> {
        self.check()?;
        self.abide(self.scheduler.step(self.seat, what, path));
        Ok(())
    }

    /// A named place in the engine.
    fn come_to(&self, name: &str) {
        if name == POISONED && !self.is_dead() {
            self.scheduler.poison();
        }
        drop(self.step("point", name));
    }

    fn step_at(&self, what: &str, path: &Path) -> io::Result<()> {
        self.step(what, &path.to_string_lossy())
    }

    fn check(&self) -> io::Result<()> {
        if self.is_dead() || thread::panicking() {
            return Err(io::Error::other("this process is dead"));
        }
        Ok(())
    }

    fn abide(&self, verdict: Verdict) {
        match verdict {
            Verdict::GoOn => {}
            Verdict::Look => point::with_hook(|_| (), || (self.look)(&self.disk)),
            Verdict::Die => self.die(),
        }
    }

    /// Waits for others, or that time.
    fn block(&self, until: Option<Duration>) {
        self.abide(self.scheduler.block(self.seat, until));
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

#[derive(Debug)]
struct SimStorage {
    actor: Arc<Actor>,
}

impl SimStorage {
    fn disk(&self) -> &MemDisk {
        &self.actor.disk
    }
}

impl Storage for SimStorage {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        self.actor.step_at("open", path)?;
        let file = self.disk().open(path, access)?;
        let path = path.to_string_lossy().into_owned();
        Ok(Arc::new(SimFile { actor: self.actor.clone(), file, path }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.actor.step_at("rename", to)?;
        self.disk().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.actor.step_at("remove", path)?;
        self.disk().remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.actor.step_at("remove_dir", path)?;
        self.disk().remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.actor.step_at("list", path)?;
        self.disk().list(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.actor.step_at("create_dir", path)?;
        self.disk().create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        self.actor.step_at("open_dir", path)?;
        let folder = self.disk().open_dir(path)?;
        let path = path.to_string_lossy().into_owned();
        Ok(Box::new(SimFolder { actor: self.actor.clone(), folder, path }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.actor.step_at("lock", path)?;
        let lock = self.disk().lock(path)?;
        let path = path.to_string_lossy().into_owned();
        Ok(Box::new(SimLock { actor: self.actor.clone(), lock, path }))
    }

    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.actor.step_at("lock_dir", path)?;
        let lock = self.disk().lock_dir(path)?;
        let path = path.to_string_lossy().into_owned();
        Ok(Box::new(SimLock { actor: self.actor.clone(), lock, path }))
    }

    fn lock_record(&self, path: &Path) -> io::Result<Box<dyn RecordLock>> {
        self.actor.step_at("lock_record", path)?;
        let lock = self.disk().lock_record(path)?;
        let path = path.to_string_lossy().into_owned();
        Ok(Box::new(SimLock { actor: self.actor.clone(), lock, path }))
    }

    fn lock_byte(&self, path: &Path, byte: u64) -> io::Result<Box<dyn RecordLock>> {
        self.actor.step_at("lock_byte", path)?;
        let lock = self.disk().lock_byte(path, byte)?;
        let path = format!("{} {byte}", path.display());
        Ok(Box::new(SimLock { actor: self.actor.clone(), lock, path }))
    }

    fn map(&self, path: &Path, position: u64, words: usize) -> io::Result<Arc<dyn Map>> {
        self.actor.step_at("map", path)?;
        let shared = self.disk().map(path, position, words)?;
        Ok(Arc::new(SimMap { actor: self.actor.clone(), shared, own: heap(words) }))
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<&'static str>> {
        self.disk().network_file_system(path)
    }

    fn boot_id(&self) -> String {
        self.disk().boot_id()
    }
}

#[derive(Debug)]
struct SimFolder {
    actor: Arc<Actor>,
    folder: Box<dyn Folder>,
    path: String,
}

impl Folder for SimFolder {
    fn sync(&self) -> io::Result<()> {
        self.actor.step("sync_dir", &self.path)?;
        self.folder.sync()
    }
}

#[derive(Debug)]
struct SimFile {
    actor: Arc<Actor>,
    file: Arc<dyn File>,
    path: String,
}

impl File for SimFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.actor.step("read", &self.path)?;
        self.file.read_at(position, buf)
    }

    /// A process that dies in it leaves a part.
    fn write_at(&self, position: u64, buf: &[u8]) -> io::Result<()> {
        self.actor.step("write", &self.path)?;
        let cut = self.actor.scheduler.chance().below(buf.len() + 1);
        // A hole where the checksum does not reach would need a sector that arrived in part.
        let cut = if cut < HEADER { 0 } else { cut };
        self.file.write_at(position, &buf[..cut])?;
        self.actor.step("write on", &self.path)?;
        self.file.write_at(position + cut as u64, &buf[cut..])
    }

    fn len(&self) -> io::Result<u64> {
        self.actor.step("len", &self.path)?;
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.actor.step("set_len", &self.path)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.actor.step("sync_data", &self.path)?;
        self.file.sync_data()
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.actor.step("forget_cached", &self.path)?;
        self.file.forget_cached()
    }

    fn status(&self) -> io::Result<Status> {
        self.actor.step("status", &self.path)?;
        self.file.status()
    }
}

#[derive(Debug)]
struct SimLock<L: ?Sized> {
    actor: Arc<Actor>,
    path: String,
    lock: Box<L>,
}

impl Lock for SimLock<dyn Lock> {
    fn acquire(&self, mode: Mode) -> io::Result<()> {
        self.actor.step("acquire", &self.path)?;
        while !self.lock.try_acquire(mode)? {
            self.actor.block(None);
        }
        Ok(())
    }

    fn try_acquire(&self, mode: Mode) -> io::Result<bool> {
        self.actor.step("try_acquire", &self.path)?;
        self.lock.try_acquire(mode)
    }

    fn release(&self) -> io::Result<()> {
        self.actor.step("release", &self.path)?;
        self.lock.release()
    }

    fn is_current(&self) -> io::Result<bool> {
        self.actor.step("is_current", &self.path)?;
        self.lock.is_current()
    }
}

impl RecordLock for SimLock<dyn RecordLock> {
    fn try_acquire(&self, mode: Mode) -> io::Result<bool> {
        self.actor.step("try_acquire", &self.path)?;
        self.lock.try_acquire(mode)
    }

    fn release(&self) -> io::Result<()> {
        self.actor.step("release", &self.path)?;
        self.lock.release()
    }

    fn is_free(&self) -> io::Result<bool> {
        self.actor.step("is_free", &self.path)?;
        self.lock.is_free()
    }

    fn holder(&self) -> io::Result<Option<u32>> {
        self.actor.step("holder", &self.path)?;
        self.lock.holder()
    }

    fn is_current(&self) -> io::Result<bool> {
        self.actor.step("is_current", &self.path)?;
        self.lock.is_current()
    }
}

/// Shared memory, which a dead process has lost: what it still stores goes nowhere.
#[derive(Debug)]
struct SimMap {
    actor: Arc<Actor>,
    shared: Arc<dyn Map>,
    own: Arc<dyn Map>,
}

impl SimMap {
    fn map(&self) -> &dyn Map {
        if self.actor.is_dead() { &*self.own } else { &*self.shared }
    }
}

impl Map for SimMap {
    fn words(&self) -> &[AtomicU64] {
        self.map().words()
    }

    fn halves(&self) -> &[AtomicU32] {
        self.map().halves()
    }
}

#[derive(Debug)]
struct SimClock {
    actor: Arc<Actor>,
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        START + self.monotonic().as_millis() as Timestamp
    }

    fn monotonic(&self) -> Duration {
        self.actor.scheduler.now()
    }

    fn wait(&self, word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
        let until = self.monotonic().saturating_add(timeout);
        if self.actor.step("wait", "").is_err() {
            return Woken::Interrupted;
        }
        loop {
            if word.load(Ordering::Acquire) != expected {
                return Woken::Changed;
            }
            if self.monotonic() >= until {
                return Woken::TimedOut;
            }
            self.actor.block(Some(until));
        }
    }
}
