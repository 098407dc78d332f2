//! An open file, or folder.

use std::io;
use std::sync::MutexGuard;

use super::MemDisk;
use super::faults::Call;
use super::world::{NodeId, World};
use crate::env::{Access, File, Folder, Status};

#[derive(Debug)]
pub(super) struct MemFile {
    pub(super) disk: MemDisk,
    pub(super) node: NodeId,
    pub(super) boot: u64,
    pub(super) access: Access,
}

impl MemFile {
    fn begin(&self, call: Call) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.begin(call)?;
        self.check(&world)?;
        Ok(world)
    }

    fn check(&self, world: &World) -> io::Result<()> {
        check(&self.disk, self.boot, world)
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::Update | Access::Write => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Writes, whatever the plans for failures are.
    fn put(&self, world: &mut World, position: u64, buf: &[u8]) -> io::Result<()> {
        let (step, time) = (world.next_step(), world.time);
        let content = world.content(self.node)?;
        content.modified = time;
        content.write(position, buf, step)
    }
}

#[derive(Debug)]
pub(super) struct MemFolder {
    pub(super) disk: MemDisk,
    pub(super) node: NodeId,
    pub(super) boot: u64,
}

impl Folder for MemFolder {
    fn sync(&self) -> io::Result<()> {
        let mut world = self.disk.begin(Call::SyncDir)?;
        check(&self.disk, self.boot, &world)?;
        world.sync_folder(self.node)
    }
}

/// Whether a file that was open then is open still.
fn check(disk: &MemDisk, boot: u64, world: &World) -> io::Result<()> {
    if world.boot == boot && world.lives(disk.process) {
        Ok(())
    } else {
        Err(io::Error::other("this file was open when the machine lost power"))
    }
}

impl File for MemFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut world = self.begin(Call::Read)?;
        Ok(world.content(self.node)?.read(position, buf))
    }

    fn write_at(&self, position: u64, buf: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        let failed = match self.begin(Call::Write) {
            Ok(mut world) => return self.put(&mut world, position, buf),
            Err(error) => error,
        };
        let mut world = self.disk.world();
        if self.check(&world).is_ok() {
            self.put(&mut world, position, &buf[..buf.len() / 2])?;
        }
        Err(failed)
    }

    fn len(&self) -> io::Result<u64> {
        let mut world = self.begin(Call::Status)?;
        Ok(world.content(self.node)?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut world = self.begin(Call::SetLen)?;
        let (step, time) = (world.next_step(), world.time);
        let content = world.content(self.node)?;
        content.modified = time;
        content.set_len(len, step)
    }

    fn sync_data(&self) -> io::Result<()> {
        let failed = match self.begin(Call::SyncData) {
            Ok(mut world) => {
                world.content(self.node)?.sync();
                return Ok(());
            }
            Err(error) => error,
        };
        let mut world = self.disk.world();
        if self.check(&world).is_ok() {
            let seed = world.next_step();
            world.content(self.node)?.fail_sync(seed);
        }
        Err(failed)
    }

    fn forget_cached(&self) -> io::Result<()> {
        let mut world = self.begin(Call::Read)?;
        world.content(self.node)?.forget_cached();
        Ok(())
    }

    fn status(&self) -> io::Result<Status> {
        let mut world = self.begin(Call::Status)?;
        let linked = world.is_linked(self.node);
        let content = world.content(self.node)?;
        Ok(Status { len: content.len(), linked, id: self.node.0, modified: content.modified })
    }
}
