//! The operating system's file systems.
//!
//! Nothing but regular files and folders is opened, by paths on which no link is followed; see
//! `path`.

mod network;
mod path;

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, OFlags};

use self::path::{open, regular, regular_with_one_name};

use super::lock::{Flock, OfdLock};
use super::syscall::Range;
use super::{
    Access, Description, Entry, File, Folder, Kind, Lock, Map, RecordLock, Status, Storage, map,
};
use crate::planted::planted;

/// Where a map may begin: a multiple of every page size there is.
const MAP_UNIT: u64 = 64 * 1024;

/// The file systems of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    /// The only one.
    pub fn new() -> Self {
        Self
    }
}

#[derive(Debug)]
struct DiskFolder(fs::File);

impl Folder for DiskFolder {
    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Storage for Disk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let file = match access {
            Access::Read => regular(open(path, OFlags::RDONLY)?)?,
            Access::Update => regular_with_one_name(open(path, OFlags::RDWR)?)?,
            Access::Write => regular_with_one_name(open(path, OFlags::RDWR | OFlags::CREATE)?)?,
        };
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        path::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        path::remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        path::remove_folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut folder = Dir::new(path::open_folder(path)?)?;
        while let Some(found) = folder.next() {
            let found = found?;
            let Ok(name) = found.file_name().to_str() else { continue };
            if name != "." && name != ".." {
                let is_dir = match found.file_type() {
                    FileType::Unknown => is_folder(&folder, name)?,
                    known => known == FileType::Directory,
                };
                entries.push(Entry { name: name.to_owned(), is_dir });
            }
        }
        Ok(entries)
    }

    fn describe(&self, path: &Path) -> io::Result<Description> {
        let metadata = fs::symlink_metadata(path)?;
        let kind = metadata.file_type();
        let kind = match () {
            () if kind.is_file() => Kind::File,
            () if kind.is_dir() => Kind::Folder,
            () if kind.is_symlink() => Kind::Link,
            () => Kind::Special,
        };
        let (mode, names) = (Some(metadata.mode() & 0o7777), Some(metadata.nlink()));
        Ok(Description { kind, mode, names })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        path::create_folder(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(DiskFolder(path::open_folder(path)?.into())))
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        path::resolve(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(Flock::new(path, open_to_lock)?))
    }

    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(Flock::new(path, |path| open(path, OFlags::RDONLY | OFlags::DIRECTORY))?))
    }

    fn lock_record(&self, path: &Path) -> io::Result<Box<dyn RecordLock>> {
        Ok(Box::new(OfdLock::new(path, Range::Whole, open_to_lock_record)?))
    }

    fn lock_byte(&self, path: &Path, byte: u64) -> io::Result<Box<dyn RecordLock>> {
        Ok(Box::new(OfdLock::new(path, Range::Byte(byte), open_to_lock_record)?))
    }

    fn map(&self, path: &Path, position: u64, words: usize) -> io::Result<Arc<dyn Map>> {
        if words == 0 || !position.is_multiple_of(MAP_UNIT) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = (words as u64).checked_mul(8).ok_or(io::ErrorKind::InvalidInput)?;
        let file = regular_with_one_name(open(path, OFlags::RDWR | OFlags::CREATE)?)?;
        allocate(&file, position, bytes)?;
        map::file(file, position, words)
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<&'static str>> {
        network::holding(path)
    }

    fn boot_id(&self) -> String {
        boot_id()
    }
}

#[derive(Debug)]
struct DiskFile(fs::File);

impl File for DiskFile {
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, position: u64, buf: &[u8]) -> io::Result<()> {
        if planted("short-write") {
            return self.0.write_at(buf, position).map(drop);
        }
        self.0.write_all_at(buf, position)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::fstat(&self.0)?.st_size as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if now >= len || reserve(&self.0, now, len - now)? { Ok(()) } else { self.set_len(len) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn forget_cached(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed)?)
    }

    #[allow(clippy::unnecessary_cast)] // of other types elsewhere
    fn status(&self) -> io::Result<Status> {
        let found = rustix::fs::fstat(&self.0)?;
        Ok(Status {
            len: found.st_size as u64,
            linked: found.st_nlink > 0,
            id: found.st_ino as u64,
            modified: found.st_mtime as i64 * 1000 + found.st_mtime_nsec as i64 / 1_000_000,
        })
    }
}

/// Of a file system that does not tell with the name.
fn is_folder(folder: &Dir, name: &str) -> io::Result<bool> {
    let found = rustix::fs::statat(folder.fd()?, name, AtFlags::SYMLINK_NOFOLLOW);
    Ok(found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory))
}

/// A file that is there, or a new one. Reading is enough for a `flock`, and works in a directory
/// that cannot be written.
fn open_to_lock(path: &Path) -> io::Result<fs::File> {
    let file = match open(path, OFlags::RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            open(path, OFlags::RDWR | OFlags::CREATE)?
        }
        other => other?,
    };
    regular(file)
}

/// Writing is needed for the exclusive mode; where it is not allowed, the shared one remains.
fn open_to_lock_record(path: &Path) -> io::Result<fs::File> {
    let file = match open(path, OFlags::RDWR | OFlags::CREATE) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            open(path, OFlags::RDONLY).map_err(|_| error)?
        }
        other => other?,
    };
    regular(file)
}

/// Makes sure that the range has its place on the disk, so that no store into a map of it finds
/// the disk full.
fn allocate(file: &fs::File, position: u64, bytes: u64) -> io::Result<()> {
    let end = position.checked_add(bytes).ok_or(io::ErrorKind::InvalidInput)?;
    if !reserve(file, position, bytes)? {
        append_zeros(file, end)?;
    }
    Ok(())
}

/// `false` when the file system cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn reserve(file: &fs::File, position: u64, bytes: u64) -> io::Result<bool> {
    use rustix::io::Errno;
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), position, bytes) {
            Ok(()) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(clippy::unnecessary_wraps)] // the other one needs it
fn reserve(_file: &fs::File, _position: u64, _bytes: u64) -> io::Result<bool> {
    Ok(false)
}

/// Appends, and never writes at a place: another process may have mapped what is there already and
/// stored into it. Two that append at once make the file longer than asked, which does no harm.
fn append_zeros(file: &fs::File, end: u64) -> io::Result<()> {
    const CHUNK: usize = 8 * 1024;
    rustix::fs::fcntl_setfl(file, OFlags::APPEND)?;
    loop {
        let len = file.metadata()?.len();
        if len >= end {
            return Ok(());
        }
        let chunk = usize::try_from(end - len).map_or(CHUNK, |missing| missing.min(CHUNK));
        io::Write::write_all(&mut &*file, &[0; CHUNK][..chunk])?;
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(target_vendor = "apple")]
fn boot_id() -> String {
    super::syscall::boot_session()
}

#[cfg(test)]
mod tests;
