//! Locks, and who holds them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::MemDisk;
use super::faults::Call;
use super::world::{NodeId, ProcessId, World};
use crate::env::{Lock, Mode, RecordLock};

/// Locks of different kinds do not see each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Flock,
    Record,
    Byte(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HandleId(pub(super) u64);

#[derive(Clone, Debug)]
struct Holder {
    handle: HandleId,
    process: ProcessId,
    mode: Mode,
    /// Of a classic record lock.
    pid: Option<u32>,
}

/// All locks of the machine that are held.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks(HashMap<(Kind, NodeId), Vec<Holder>>);

impl Locks {
    /// Ends all locks of a process.
    pub(super) fn end(&mut self, process: ProcessId) {
        for holders in self.0.values_mut() {
            holders.retain(|holder| holder.process != process);
        }
    }

    /// Takes an exclusive record lock of the classic kind, as Java does.
    pub(super) fn take_classic(
        &mut self,
        node: NodeId,
        handle: HandleId,
        process: ProcessId,
        pid: u32,
    ) -> bool {
        let holder = Holder { handle, process, mode: Mode::Exclusive, pid: Some(pid) };
        self.take((Kind::Record, node), holder)
    }

    /// As the kernel does it: the change of a `flock` gives the old one up first.
    fn take(&mut self, key: (Kind, NodeId), new: Holder) -> bool {
        let holders = self.0.entry(key).or_default();
        let free = holders
            .iter()
            .filter(|holder| holder.handle != new.handle)
            .all(|holder| holder.mode == Mode::Shared && new.mode == Mode::Shared);
        if free || key.0 == Kind::Flock {
            holders.retain(|holder| holder.handle != new.handle);
        }
        if free {
            holders.push(new);
        }
        free
    }

    fn is_free(&self, key: (Kind, NodeId), handle: HandleId) -> bool {
        self.0.get(&key).is_none_or(|holders| holders.iter().all(|h| h.handle == handle))
    }

    fn holds(&self, handle: HandleId) -> bool {
        self.0.values().flatten().any(|holder| holder.handle == handle)
    }

    fn release(&mut self, handle: HandleId) {
        for holders in self.0.values_mut() {
            holders.retain(|holder| holder.handle != handle);
        }
    }

    fn classic_holder(&self, node: NodeId) -> Option<u32> {
        self.0.get(&(Kind::Record, node))?.iter().find_map(|holder| holder.pid)
    }
}

/// A lock of either kind.
#[derive(Debug)]
pub(super) struct MemLock {
    disk: MemDisk,
    kind: Kind,
    node: NodeId,
    path: PathBuf,
    handle: HandleId,
    boot: u64,
}

impl MemLock {
    pub(super) fn new(
        disk: MemDisk,
        world: &mut World,
        kind: Kind,
        node: NodeId,
        path: &Path,
    ) -> Self {
        let (handle, boot) = (world.next_handle(), world.boot);
        Self { disk, kind, node, path: path.to_owned(), handle, boot }
    }

    fn take(&self, world: &mut World, mode: Mode) -> io::Result<bool> {
        self.check(world)?;
        let holder = Holder { handle: self.handle, process: self.disk.process, mode, pid: None };
        if world.locks.holds(self.handle) {
            // The change of a mode may make room for others.
            self.disk.machine.unlocked.notify_all();
        }
        Ok(world.locks.take((self.kind, self.node), holder))
    }

    fn check(&self, world: &World) -> io::Result<()> {
        if world.boot == self.boot && world.lives(self.disk.process) {
            Ok(())
        } else {
            Err(io::Error::other("this lock was open when its process or machine ended"))
        }
    }

    fn try_take(&self, mode: Mode) -> io::Result<bool> {
        let mut world = self.disk.begin(Call::Acquire)?;
        self.take(&mut world, mode)
    }

    fn give_back(&self) {
        self.disk.world().locks.release(self.handle);
        self.disk.machine.unlocked.notify_all();
    }
}

impl MemLock {
    fn is_named(&self) -> io::Result<bool> {
        let world = self.disk.world();
        self.check(&world)?;
        match world.find(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(found? == self.node),
        }
    }
}

impl Lock for MemLock {
    fn acquire(&self, mode: Mode) -> io::Result<()> {
        let mut world = self.disk.begin(Call::Acquire)?;
        while !self.take(&mut world, mode)? {
            if let Some(hook) = &self.disk.hook {
                drop(world);
                hook(Call::Acquire);
                world = self.disk.world();
            } else {
                let unlocked = &self.disk.machine.unlocked;
                world = unlocked.wait(world).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Ok(())
    }

    fn try_acquire(&self, mode: Mode) -> io::Result<bool> {
        self.try_take(mode)
    }

    fn release(&self) -> io::Result<()> {
        self.give_back();
        Ok(())
    }

    fn is_current(&self) -> io::Result<bool> {
        self.is_named()
    }
}

impl RecordLock for MemLock {
    fn try_acquire(&self, mode: Mode) -> io::Result<bool> {
        self.try_take(mode)
    }

    fn release(&self) -> io::Result<()> {
        self.give_back();
        Ok(())
    }

    fn is_free(&self) -> io::Result<bool> {
        let world = self.disk.world();
        self.check(&world)?;
        Ok(world.locks.is_free((self.kind, self.node), self.handle))
    }

    fn holder(&self) -> io::Result<Option<u32>> {
        Ok(self.disk.world().locks.classic_holder(self.node))
    }

    fn is_current(&self) -> io::Result<bool> {
        self.is_named()
    }
}

impl Drop for MemLock {
    fn drop(&mut self) {
        self.give_back();
    }
}
