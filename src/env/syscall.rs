//! The system calls that no safe crate offers: record locks of an open file description, and
//! the replacement of a descriptor that other owners still name.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::Mode;

#[cfg(any(target_os = "linux", target_os = "android"))]
const OFD_GETLK: libc::c_int = libc::F_OFD_GETLK;
/// From Apple's `fcntl.h`; the `libc` crate leaves it out.
#[cfg(target_vendor = "apple")]
const OFD_GETLK: libc::c_int = 92;

/// What of a file a record lock covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Whole,
    Byte(u64),
}

/// Takes (`Some`) or gives back (`None`) a record lock, without waiting: `false` when another
/// handle's lock is in the way.
pub(super) fn set_record_lock(
    fd: BorrowedFd<'_>,
    range: Range,
    mode: Option<Mode>,
) -> io::Result<bool> {
    let lock = record_lock(range, mode)?;
    // SAFETY: the descriptor is open for the whole call, and the lock is a valid `flock`.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Stops the process here, in this thread, until somebody lets it go on. A signal to the process
/// would be taken by any thread, and this one would run on for a while.
#[cfg(debug_assertions)]
pub(super) fn stop_here() {
    // SAFETY: no handler runs for this signal, and no memory is touched.
    unsafe { libc::raise(libc::SIGSTOP) };
}

/// Who keeps an exclusive record lock out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    /// The lock of an open file description belongs to no process.
    Unknown,
    Process(u32),
}

/// Whose record lock would keep an exclusive one out.
pub(super) fn record_lock_holder(fd: BorrowedFd<'_>, range: Range) -> io::Result<Holder> {
    let mut lock = record_lock(range, Some(Mode::Exclusive))?;
    // SAFETY: the descriptor is open for the whole call, and the lock is a valid `flock` that the
    // kernel may write to.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), OFD_GETLK, &raw mut lock) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if libc::c_int::from(lock.l_type) == libc::c_int::from(libc::F_UNLCK as i16) {
        return Ok(Holder::Nobody);
    }
    let pid = u32::try_from(lock.l_pid).ok().filter(|pid| *pid > 0);
    Ok(pid.map_or(Holder::Unknown, Holder::Process))
}

/// Lets each descriptor name `/dev/null`, whoever owns it. What it named before is closed.
///
/// The owners keep a valid descriptor, so nothing they do later reaches a stranger's file.
pub(super) fn redirect_to_null(descriptors: &[RawFd]) -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for &fd in descriptors {
        // SAFETY: `dup2` and `fcntl` take numbers, not memory; the caller's list holds only
        // descriptors that are open and that this crate made for locks.
        let result = unsafe {
            match libc::dup2(null.as_raw_fd(), fd) {
                -1 => -1,
                fd => libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC),
            }
        };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The id of this boot, where the system has one; empty when it is unknown.
#[cfg(target_vendor = "apple")]
pub(super) fn boot_session() -> String {
    let mut text = [0_u8; 64];
    let mut len = text.len();
    // SAFETY: the name ends with a NUL, and `len` is the number of bytes that may be written.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        return String::new();
    }
    let text = &text[..len.min(text.len())];
    String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()
}

fn record_lock(range: Range, mode: Option<Mode>) -> io::Result<libc::flock> {
    // SAFETY: a `flock` is made of integers, for which zeros are valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = match mode {
        Some(Mode::Shared) => libc::F_RDLCK,
        Some(Mode::Exclusive) => libc::F_WRLCK,
        None => libc::F_UNLCK,
    } as _;
    lock.l_whence = libc::SEEK_SET as _;
    if let Range::Byte(byte) = range {
        lock.l_start = byte.try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
        lock.l_len = 1;
    }
    Ok(lock)
}
