//! A machine in memory: its disk loses power, tears writes and fails calls; its processes die.
//!
//! A [`MemDisk`] is one process on a machine. [`MemDisk::process`] gives another one on the same
//! machine, which sees the same files, maps and locks. What a power loss may leave is in `power`.

mod clock;
mod content;
mod faults;
mod file;
mod locks;
mod map;
mod names;
mod power;
#[cfg(test)]
mod tests;
mod world;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use clock::ManualClock;
pub use faults::{Call, Repeat};

use super::{Access, Clock, Entry, Env, File, Folder, Lock, Map, RecordLock, Storage};
use file::{MemFile, MemFolder};
use locks::{Kind, MemLock};
use world::{Node, ProcessId, World};

/// Called before each call of a process, with none of the machine's locks held.
pub type Hook = Arc<dyn Fn(Call) + Send + Sync>;

/// One process on a machine in memory.
#[derive(Clone)]
pub struct MemDisk {
    machine: Arc<Machine>,
    process: ProcessId,
    hook: Option<Hook>,
}

struct Machine {
    world: Mutex<World>,
    /// Rung when a lock may have become free.
    unlocked: Condvar,
    clock: Arc<ManualClock>,
}

impl MemDisk {
    /// The first process on a new machine with an empty disk.
    pub fn new() -> Self {
        Self::boot(World::new(), ManualClock::new())
    }

    fn boot(mut world: World, clock: ManualClock) -> Self {
        let process = world.spawn();
        let machine =
            Machine { world: Mutex::new(world), unlocked: Condvar::new(), clock: Arc::new(clock) };
        Self { machine: Arc::new(machine), process, hook: None }
    }

    /// A new process on the same machine.
    #[must_use]
    pub fn process(&self) -> Self {
        let process = self.world().spawn();
        Self { machine: Arc::clone(&self.machine), process, hook: None }
    }

    /// The same process, with `hook` called before each of its calls. Its waits for locks become
    /// loops that call `hook`, so that it can hand over to another thread.
    #[must_use]
    pub fn with_hook(self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self }
    }

    /// Ends this process: its locks are free, and every later call of it fails.
    pub fn kill(&self) {
        self.world().kill(self.process);
        self.machine.unlocked.notify_all();
    }

    /// The machine loses power and starts again. This process is the only one that lives on (as a
    /// new one); files, locks and maps that were open are not usable any more.
    ///
    /// With seed 0 nothing arrived that was not synced, with seed 1 all of it; with any other each
    /// write and name has its own fate.
    pub fn crash(&self, seed: u64) {
        let mut world = self.world();
        world.lose_power(seed);
        world.restart(Some(self.process));
        self.machine.unlocked.notify_all();
    }

    /// Another machine, in the state in which this one would start after [`crash`](Self::crash).
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> Self {
        self.copy_with(|world| {
            world.lose_power(seed);
            world.restart(None);
        })
    }

    /// Another machine, in the state after a power loss at which just the first `bytes` bytes of
    /// all unsynced writes had arrived, in the order of writing, and every name.
    #[must_use]
    pub fn after_cut(&self, bytes: u64) -> Self {
        self.copy_with(|world| {
            world.cut_power(bytes);
            world.restart(None);
        })
    }

    /// How many bytes were written and not synced: the greatest useful argument of
    /// [`after_cut`](Self::after_cut).
    pub fn unsynced_bytes(&self) -> u64 {
        self.world().unsynced_bytes()
    }

    /// Another machine, in the state of this one after the death of all of its processes.
    #[must_use]
    pub fn copy(&self) -> Self {
        self.copy_with(|world| {
            world.own_maps();
            world.kill_all();
        })
    }

    fn copy_with(&self, change: impl FnOnce(&mut World)) -> Self {
        let mut world = self.world().copy();
        change(&mut world);
        Self::boot(world, ManualClock::clone(&self.machine.clock))
    }

    /// Calls of this process so far that could have failed.
    pub fn calls(&self) -> u64 {
        self.world().faults(self.process).calls()
    }

    /// Lets the `n`-th call of this process from now on fail (1: the next one). A write that fails
    /// leaves half of its bytes. A sync that fails leaves what a power loss would leave, and says
    /// `Ok` the next time.
    pub fn fail(&self, n: u64, error: io::ErrorKind, repeat: Repeat) {
        self.world().faults(self.process).plan(None, n, error, repeat);
    }

    /// Lets the `n`-th call of that kind fail, as [`fail`](Self::fail) does.
    pub fn fail_call(&self, call: Call, n: u64, error: io::ErrorKind, repeat: Repeat) {
        self.world().faults(self.process).plan(Some(call), n, error, repeat);
    }

    /// Lets no further call fail.
    pub fn heal(&self) {
        self.world().faults(self.process).heal();
    }

    /// Takes the record lock that a Kafka broker with that process id would take, until this
    /// process ends. `false` if it is held.
    pub fn lock_as_broker(&self, path: &Path, pid: u32) -> io::Result<bool> {
        let mut world = self.world();
        let node = world.create_file(path)?;
        let handle = world.next_handle();
        Ok(world.locks.take_classic(node, handle, self.process, pid))
    }

    /// Lets the whole disk be a network file system of that kind.
    pub fn set_network_file_system(&self, kind: Option<&'static str>) {
        self.world().network = kind;
    }

    /// The machine's clock.
    pub fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.machine.clock)
    }

    /// The world as this process sees it.
    pub fn env(&self) -> Env {
        Env { storage: Arc::new(self.clone()), clock: self.clock() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.machine.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call, which may be the one that fails.
    fn begin(&self, call: Call) -> io::Result<MutexGuard<'_, World>> {
        if let Some(hook) = &self.hook {
            hook(call);
        }
        let mut world = self.world();
        world.time = self.machine.clock.now();
        world.begin(self.process, call)?;
        Ok(world)
    }
}

impl Default for MemDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemDisk").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Storage for MemDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut world = self.begin(Call::Open)?;
        let node = match access {
            Access::Read | Access::Update => world.find(path)?,
            Access::Write => world.create_file(path)?,
        };
        if matches!(world.node(node), Node::Folder(_)) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let boot = world.boot;
        Ok(Arc::new(MemFile { disk: self.clone(), node, boot, access }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin(Call::Rename)?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.begin(Call::Remove)?.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.begin(Call::Remove)?.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.begin(Call::List)?.list(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.begin(Call::CreateDir)?.create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        let mut world = self.begin(Call::OpenDir)?;
        let node = world.find_folder(path)?;
        Ok(Box::new(MemFolder { disk: self.clone(), node, boot: world.boot }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut world = self.begin(Call::Lock)?;
        let node = world.create_file(path)?;
        Ok(Box::new(MemLock::new(self.clone(), &mut world, Kind::Flock, node, path)))
    }

    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut world = self.begin(Call::Lock)?;
        let node = world.find(path)?;
        if let Node::File(_) = world.node(node) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Box::new(MemLock::new(self.clone(), &mut world, Kind::Flock, node, path)))
    }

    fn lock_record(&self, path: &Path) -> io::Result<Box<dyn RecordLock>> {
        let mut world = self.begin(Call::Lock)?;
        let node = world.create_file(path)?;
        Ok(Box::new(MemLock::new(self.clone(), &mut world, Kind::Record, node, path)))
    }

    fn lock_byte(&self, path: &Path, byte: u64) -> io::Result<Box<dyn RecordLock>> {
        let mut world = self.begin(Call::Lock)?;
        let node = world.create_file(path)?;
        Ok(Box::new(MemLock::new(self.clone(), &mut world, Kind::Byte(byte), node, path)))
    }

    fn map(&self, path: &Path, position: u64, words: usize) -> io::Result<Arc<dyn Map>> {
        if words == 0 || !position.is_multiple_of(map::UNIT) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut world = self.begin(Call::Map)?;
        let node = world.create_file(path)?;
        let step = world.next_step();
        world.content(node)?.map(position, words, step)
    }

    fn network_file_system(&self, _path: &Path) -> io::Result<Option<&'static str>> {
        Ok(self.world().network)
    }

    fn boot_id(&self) -> String {
        format!("boot-{}", self.world().boot)
    }
}
