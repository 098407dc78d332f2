//! File locks, and what becomes of them in a forked child.
//!
//! A lock belongs to the open file description, which a forked child shares: the child would keep
//! the parent's locks alive after the parent's death, and would end them by unlocking. So every
//! descriptor of a lock is known here, and the child lets all of them name `/dev/null`
//! ([`after_fork_in_child`]) before it does anything else. The parent's locks are then the
//! parent's alone, and the child's handles refuse to work.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::Pid;

use super::syscall::{self, Holder, Range};
use super::{Lock, Mode, RecordLock};

/// Every open descriptor that may hold a lock. Descriptors are opened and closed with this held,
/// so the numbers in it are never a stranger's.
static DESCRIPTORS: LazyLock<Mutex<HashSet<RawFd>>> = LazyLock::new(Mutex::default);

static GENERATION: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The forking thread holds [`DESCRIPTORS`] from before the fork until after it.
    static FORKING: RefCell<Option<MutexGuard<'static, HashSet<RawFd>>>> =
        const { RefCell::new(None) };
}

/// How often this process is a forked child: grows by one in a child. What was made under another
/// generation belongs to a parent.
pub fn fork_generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// To be called by the thread that is about to fork. No lock is opened or closed until
/// [`after_fork_in_parent`] or [`after_fork_in_child`] is called by the same thread.
pub fn before_fork() {
    FORKING.with_borrow_mut(|forking| {
        if forking.is_none() {
            *forking = Some(descriptors());
        }
    });
}

/// To be called in the parent, by the thread that forked, also when the fork failed.
pub fn after_fork_in_parent() {
    FORKING.take();
}

/// To be called in the child before anything else: ends its share in the parent's locks.
pub fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    let inherited = FORKING.take().or_else(|| match DESCRIPTORS.try_lock() {
        Ok(inherited) => Some(inherited),
        Err(TryLockError::Poisoned(inherited)) => Some(inherited.into_inner()),
        // Held for ever by a thread of the parent: `before_fork` was not called.
        Err(TryLockError::WouldBlock) => None,
    });
    let Some(mut inherited) = inherited else { return };
    let list: Vec<RawFd> = inherited.drain().collect();
    // Nobody is there to be told of an error; without `/dev/null` the locks stay shared.
    let _ = syscall::redirect_to_null(&list);
}

fn descriptors() -> MutexGuard<'static, HashSet<RawFd>> {
    DESCRIPTORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that is open for its lock, and its path.
#[derive(Debug)]
struct Locked {
    /// `None` only while it is dropped.
    file: Option<fs::File>,
    path: PathBuf,
    generation: u32,
    owner: Pid,
    /// Device and inode of the file, which stay the same while it is open.
    place: OnceLock<(u64, u64)>,
}

impl Locked {
    fn open(path: &Path, open: impl FnOnce(&Path) -> io::Result<fs::File>) -> io::Result<Self> {
        let mut descriptors = descriptors();
        let file = open(path)?;
        descriptors.insert(file.as_raw_fd());
        Ok(Self {
            file: Some(file),
            path: path.to_owned(),
            generation: fork_generation(),
            owner: rustix::process::getpid(),
            place: OnceLock::new(),
        })
    }

    fn file(&self) -> io::Result<&fs::File> {
        if self.generation != fork_generation() {
            return Err(io::Error::other("this lock was made before fork"));
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.file().map(fs::File::as_fd)
    }

    /// Whether the path still leads to the file.
    fn is_current(&self) -> io::Result<bool> {
        let file = self.file()?;
        let place = if let Some(place) = self.place.get() {
            *place
        } else {
            let locked = file.metadata()?;
            *self.place.get_or_init(|| (locked.dev(), locked.ino()))
        };
        match fs::symlink_metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the lock is this process's to give back. A child that was forked behind our back
    /// (without [`after_fork_in_child`]) must not end its parent's lock.
    fn is_ours(&self) -> bool {
        self.generation == fork_generation() && self.owner == rustix::process::getpid()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let mut descriptors = descriptors();
        if let Some(file) = self.file.take() {
            descriptors.remove(&file.as_raw_fd());
        }
    }
}

/// An advisory lock of the `flock` kind.
#[derive(Debug)]
pub(super) struct Flock {
    locked: Locked,
    /// Whether it may have to be given back.
    held: AtomicBool,
}

impl Flock {
    /// `open` gives the file or folder to lock.
    pub(super) fn new(
        path: &Path,
        open: impl FnOnce(&Path) -> io::Result<fs::File>,
    ) -> io::Result<Self> {
        Ok(Self { locked: Locked::open(path, open)?, held: AtomicBool::new(false) })
    }

    fn set(&self, operation: FlockOperation) -> io::Result<()> {
        let fd = self.locked.fd()?;
        // First: who fails to give it back tries that again.
        self.held.store(true, Ordering::Release);
        loop {
            match rustix::fs::flock(fd, operation) {
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

impl Lock for Flock {
    fn acquire(&self, mode: Mode) -> io::Result<()> {
        self.set(match mode {
            Mode::Shared => FlockOperation::LockShared,
            Mode::Exclusive => FlockOperation::LockExclusive,
        })
    }

    fn try_acquire(&self, mode: Mode) -> io::Result<bool> {
        let taken = self.set(match mode {
            Mode::Shared => FlockOperation::NonBlockingLockShared,
            Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        });
        match taken {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn release(&self) -> io::Result<()> {
        self.set(FlockOperation::Unlock)?;
        self.held.store(false, Ordering::Release);
        Ok(())
    }

    fn is_current(&self) -> io::Result<bool> {
        self.locked.is_current()
    }
}

impl Drop for Flock {
    /// Unlocks and does not leave it to the closing: a child that was just forked, and has not come
    /// to [`after_fork_in_child`] yet, would still hold the lock.
    fn drop(&mut self) {
        if *self.held.get_mut() && self.locked.is_ours() {
            let _ = self.release();
        }
    }
}

/// A record lock of an open file description.
#[derive(Debug)]
pub(super) struct OfdLock {
    locked: Locked,
    range: Range,
}

impl OfdLock {
    /// `open` gives the file to lock.
    pub(super) fn new(
        path: &Path,
        range: Range,
        open: impl FnOnce(&Path) -> io::Result<fs::File>,
    ) -> io::Result<Self> {
        Ok(Self { locked: Locked::open(path, open)?, range })
    }
}

impl RecordLock for OfdLock {
    fn try_acquire(&self, mode: Mode) -> io::Result<bool> {
        let taken = syscall::set_record_lock(self.locked.fd()?, self.range, Some(mode));
        // A file that could only be opened for reading takes no exclusive lock.
        let readable_only = |error: &io::Error| {
            mode == Mode::Exclusive
                && error.raw_os_error() == Some(rustix::io::Errno::BADF.raw_os_error())
        };
        match taken {
            Err(error) if readable_only(&error) => Err(why_not_writable(&self.locked.path)),
            other => other,
        }
    }

    fn release(&self) -> io::Result<()> {
        syscall::set_record_lock(self.locked.fd()?, self.range, None).map(drop)
    }

    fn is_free(&self) -> io::Result<bool> {
        let holder = syscall::record_lock_holder(self.locked.fd()?, self.range)?;
        Ok(holder == Holder::Nobody)
    }

    fn holder(&self) -> io::Result<Option<u32>> {
        Ok(match syscall::record_lock_holder(self.locked.fd()?, self.range)? {
            Holder::Process(pid) => Some(pid),
            Holder::Nobody | Holder::Unknown => None,
        })
    }

    fn is_current(&self) -> io::Result<bool> {
        self.locked.is_current()
    }
}

/// Why a file could be opened for reading only.
fn why_not_writable(path: &Path) -> io::Error {
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Err(Errno::ACCESS | Errno::PERM) => io::ErrorKind::PermissionDenied.into(),
        _ => io::ErrorKind::ReadOnlyFilesystem.into(),
    }
}

impl Drop for OfdLock {
    /// As with [`Flock`].
    fn drop(&mut self) {
        if self.locked.is_ours() {
            let _ = self.release();
        }
    }
}
