//! The outside: files, locks, shared memory and time are reached only through here.
//!
//! [`Storage`], [`File`] and [`Clock`] are traits, so tests replace the world and not the
//! code: `disk` is the operating system, `mem` a disk in memory that loses power, tears
//! writes and fails calls. `contract` is one suite of tests for both.

pub(crate) mod atomic;
pub mod clock;
#[cfg(test)]
mod contract;
pub mod disk;
pub(crate) mod keepers;
pub mod lock;
pub mod map;
pub mod mem;
pub mod point;
pub mod process;
pub mod random;
mod syscall;
pub mod wake;
pub mod watch;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use self::wake::Woken;
use crate::types::Timestamp;

/// What [`Storage::open`] may do with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it; it must exist.
    Read,
    /// Read and write it; it must exist.
    Update,
    /// Read and write it; an empty one is made if there is none.
    Write,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder. Names that are not UTF-8 are left out of a listing.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// What stands under a name; a link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device.
    Special,
}

/// What [`Storage::describe`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is.
    pub kind: Kind,
    /// Who may do what with it, as POSIX counts it, where that is known.
    pub mode: Option<u32>,
    /// Names that lead to it, where that is known.
    pub names: Option<u64>,
}

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Beside other shared ones.
    Shared,
    /// Alone.
    Exclusive,
}

/// A file system, and what shares it.
pub trait Storage: Debug + Send + Sync {
    /// Opens a regular file; a link, FIFO or device is refused. The *name* of a new file
    /// survives a crash after [`sync_dir`](Self::sync_dir).
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// Replaces `to` by `from` in one step for readers; which name survives a crash is open
    /// until [`sync_dir`](Self::sync_dir).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; open handles outlive it.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// What is in a folder, in no order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// What stands under a name, which is neither opened nor followed.
    fn describe(&self, path: &Path) -> io::Result<Description> {
        let kind = match self.list(path) {
            Ok(_) => Kind::Folder,
            Err(_) => self.open(path, Access::Read).map(|_| Kind::File)?,
        };
        Ok(Description { kind, mode: None, names: None })
    }

    /// Makes a folder and those above it; one that exists already is no error.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Opens a folder to sync it. After an error nothing was tried.
    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Folder>>;

    /// Makes the folder's names survive a crash.
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.open_dir(path)?.sync()
    }

    /// The same place by a path without symbolic links, as far as it exists. The other calls
    /// refuse a path with a link in it.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    /// A lock on a file (made if there is none), not yet taken. It excludes every other handle, in
    /// this process too.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;

    /// The same for a folder, which exists.
    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn Lock>>;

    /// Kafka's way of locking: a record lock on a whole file (made if there is none), not yet
    /// taken. It excludes Java's `FileChannel.tryLock`. It excludes every other handle, in this
    /// process too.
    fn lock_record(&self, path: &Path) -> io::Result<Box<dyn RecordLock>>;

    /// A record lock on one byte of a file (made if there is none), not yet taken. The file need
    /// not have that byte. A file is locked whole or by bytes, never both ways.
    fn lock_byte(&self, path: &Path, byte: u64) -> io::Result<Box<dyn RecordLock>>;

    /// Maps `words` 8-byte words of a file from byte `position` (a multiple of 64 KiB), shared
    /// with every process. The file is made, and lengthened with allocated zeros where it is
    /// shorter; it never shrinks.
    fn map(&self, path: &Path, position: u64, words: usize) -> io::Result<Arc<dyn Map>>;

    /// The network file system that holds `path`, if it is one: `nfs`, `smb`, `9p`, ...
    fn network_file_system(&self, path: &Path) -> io::Result<Option<&'static str>>;

    /// Names this boot of the machine: what was not synced under another id may be lost. Empty
    /// when the system does not tell.
    fn boot_id(&self) -> String;
}

/// An open folder.
pub trait Folder: Debug + Send + Sync {
    /// Makes its names survive a crash. After an error nothing is known of those made since the last
    /// time, and trying again proves nothing.
    fn sync(&self) -> io::Result<()>;
}

/// An open regular file.
pub trait File: Debug + Send + Sync {
    /// Reads at most `buf.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, position: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `buf` at `position`. After an error, or a crash before
    /// [`sync_data`](Self::sync_data), any part of it may be there.
    fn write_at(&self, position: u64, buf: &[u8]) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Lengthens the file to `len` with zeros that have their place on the disk, where the file
    /// system can give them one; never cuts it.
    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.len()? < len { self.set_len(len) } else { Ok(()) }
    }

    /// Makes completed writes, and the length, survive a crash. After one error nothing is known
    /// of what is on the disk, and trying again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Lets what is read from now on come from the disk, as far as no write waits for it: after a
    /// failed sync, memory shows bytes that the disk does not have.
    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }

    /// The file's length, and whether the file still has a name.
    fn status(&self) -> io::Result<Status>;
}

/// What [`File::status`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Length in bytes.
    pub len: u64,
    /// Whether a name still leads to it.
    pub linked: bool,
    /// What tells it from every other file of the file system (the inode).
    pub id: u64,
    /// When it was last written.
    pub modified: Timestamp,
}

/// A lock of the `flock` kind. The guard ends it; so does the end of the process.
pub trait Lock: Debug + Send + Sync {
    /// Waits for the lock and takes it; gives `Interrupted` never.
    fn acquire(&self, mode: Mode) -> io::Result<()>;
    /// Takes the lock if that needs no waiting. Changing the mode of a lock that is held gives it up
    /// first: on `false` nothing is held.
    fn try_acquire(&self, mode: Mode) -> io::Result<bool>;
    /// Gives the lock back.
    fn release(&self) -> io::Result<()>;
    /// Whether the path it was made for still leads to the file or folder that is locked.
    fn is_current(&self) -> io::Result<bool>;
}

/// A record lock (an open file description lock on Linux).
pub trait RecordLock: Debug + Send + Sync {
    /// Takes the lock if that needs no waiting; changing the mode of a lock that is held is one
    /// step, and on `false` the old lock is still held.
    fn try_acquire(&self, mode: Mode) -> io::Result<bool>;
    /// Gives the lock back.
    fn release(&self) -> io::Result<()>;
    /// Whether an exclusive lock could be taken now: no other handle's lock is in the way.
    fn is_free(&self) -> io::Result<bool>;
    /// The id of a process that holds a classic (Java's) record lock in the way, if one is known.
    fn holder(&self) -> io::Result<Option<u32>>;
    /// Whether the path it was made for still leads to the file that is locked.
    fn is_current(&self) -> io::Result<bool>;
}

/// Shared memory, seen only as atomics.
pub trait Map: Debug + Send + Sync {
    /// The words, at an address that is a multiple of 64.
    fn words(&self) -> &[AtomicU64];
    /// The same memory as 4-byte words, for the words that [`wake`] waits on; one
    /// place is only ever used in one of the two ways.
    fn halves(&self) -> &[AtomicU32];
    /// Whether the file below still has all that is mapped. Where somebody from outside has cut it,
    /// the next look at the words ends the process (`SIGBUS`).
    fn is_whole(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// The only time there is, and the only waiting for it.
pub trait Clock: Debug + Send + Sync {
    /// Wall-clock time: for record timestamps and retention.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back: for waits.
    fn monotonic(&self) -> Duration;

    /// Time since the machine was started, also while it slept: for what is to be compared with
    /// the wall clock.
    fn uptime(&self) -> Duration {
        self.monotonic()
    }

    /// Sleeps while `word` is `expected`, as [`wake::wait`] does.
    fn wait(&self, word: &AtomicU32, expected: u32, timeout: Duration) -> Woken {
        wake::wait(word, expected, timeout)
    }

    /// Lets another thread run, if one waits to.
    fn give_way(&self) {
        std::thread::yield_now();
    }

    /// Lets some time pass; less if a signal comes.
    fn pause(&self, time: Duration) {
        self.wait(&AtomicU32::new(0), 0, time);
    }
}

/// The world an engine lives in.
#[derive(Clone, Debug)]
pub struct Env {
    /// Where its files are.
    pub storage: Arc<dyn Storage>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Env {
    /// The machine as it is.
    pub fn system() -> Self {
        Self { storage: Arc::new(disk::Disk::new()), clock: Arc::new(clock::SystemClock) }
    }
}
