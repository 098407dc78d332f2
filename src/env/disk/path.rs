//! From a path to what lies there, and what is made there.
//!
//! No link is followed on the way: what lies in a shared directory is not to be trusted. (The way
//! to the directory itself may have links; [`resolve`] goes it once.) What is made is the user's
//! alone, whatever the umask says; in a folder that its group shares, it is the group's too.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Set-group-ID and all rights of the group: `chmod 2770`, the usual sign of a shared folder.
const SHARED: u32 = 0o2070;

/// The modes of what is made in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Modes {
    file: u32,
    folder: u32,
}

impl Modes {
    const OWN: Self = Self { file: 0o600, folder: 0o700 };
    const GROUP: Self = Self { file: 0o660, folder: 0o2770 };

    fn within(folder_mode: u32) -> Self {
        if folder_mode & SHARED == SHARED { Self::GROUP } else { Self::OWN }
    }
}

/// Opens a file, or a folder for reading. With `CREATE` in the flags, makes a file where there is
/// nothing.
pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<fs::File> {
    // `NONBLOCK`: the opening of a FIFO must not wait for its other end. It means nothing for the
    // files that are kept.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    loop {
        match call(path, flags.difference(OFlags::CREATE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(fs::File::from),
        }
        if !flags.contains(OFlags::CREATE) {
            return Err(io::ErrorKind::NotFound.into());
        }
        match make(path, flags) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}

/// Makes a file that is not there yet.
fn make(path: &Path, flags: OFlags) -> io::Result<fs::File> {
    let (folder, name) = place(path)?;
    let mode = Modes::within(mode_of(&folder)?).file;
    let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::File::from(retried(|| {
        rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(mode as _))
    })?);
    if file.metadata()?.mode() & 0o7777 != mode {
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode as _))?;
    }
    Ok(file)
}

/// Opens a folder.
pub(super) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let opened = call(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
    opened.map_err(|error| if is_link(path) { link(path) } else { error })
}

/// Makes a folder and those above it.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    match make_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_folder(parent(path))?;
            ignore_existing(make_folder(path), path)
        }
        made => ignore_existing(made, path),
    }
}

fn ignore_existing(made: io::Result<()>, path: &Path) -> io::Result<()> {
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match open_folder(path) {
            Err(other) if other.kind() == io::ErrorKind::NotADirectory => Err(error),
            // Who may not read a folder may still use what is in it.
            Err(other) if other.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            opened => opened.map(drop),
        },
        made => made,
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Ok((folder, name)) = place(path) else {
        // Such as `/` or `..`: there, or else wrong.
        return match path.file_name() {
            None => open_folder(path).map(drop),
            Some(_) => place(path).map(drop),
        };
    };
    let mode = Modes::within(mode_of(&folder)?).folder;
    rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(mode as _))?;
    let found = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if Mode::from_raw_mode(found.st_mode) != Mode::from_raw_mode(mode as _) {
        rustix::fs::chmodat(&folder, name, Mode::from_raw_mode(mode as _), AtFlags::empty())?;
    }
    Ok(())
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let ((from, old), (to, new)) = (place(from)?, place(to)?);
    Ok(rustix::fs::renameat(from, old, to, new)?)
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    let (folder, name) = place(path)?;
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
}

pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    let (folder, name) = place(path)?;
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

/// The same place by a path without links, as far as it exists.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match (fs::canonicalize(path), path.file_name()) {
        (Err(error), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(resolve(parent(path))?.join(name))
        }
        (resolved, _) => resolved,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The folder of a path, open, and the name in it.
fn place(path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const SEARCH: OFlags = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const SEARCH: OFlags = OFlags::RDONLY;

    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = call(parent(path), SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
    Ok((folder, name))
}

fn mode_of(folder: &OwnedFd) -> io::Result<u32> {
    #[allow(clippy::useless_conversion)] // a `u16` elsewhere
    Ok(rustix::fs::fstat(folder)?.st_mode.into())
}

/// Opens what is there.
fn call(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    match retried(|| without_links(path, flags | OFlags::CLOEXEC)) {
        Ok(file) => Ok(file),
        Err(error @ (Errno::LOOP | Errno::NOTDIR)) => Err(link_on(path).unwrap_or(error.into())),
        // A socket, or a FIFO or device without its other end.
        Err(Errno::NXIO) => Err(not_regular("a socket or device")),
        Err(Errno::ISDIR) => Err(is_folder()),
        Err(error) => Err(error.into()),
    }
}

fn retried(mut call: impl FnMut() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::MFILE) if raise_limit_of_open_files() => {}
            other => return other,
        }
    }
}

#[cfg(target_os = "linux")]
fn without_links(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;

    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
        // Before Linux 5.6, or in a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => without_link_above(path, flags),
        other => other,
    }
}

#[cfg(not(target_os = "linux"))]
fn without_links(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    without_link_above(path, flags)
}

/// Looks at the folder of the path before: a partition's is all that lies between the directory
/// and a file. Who swaps it in between is not noticed.
fn without_link_above(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    if is_link(parent(path)) {
        return Err(Errno::LOOP);
    }
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// The error that names the first link on a path; `None` if there is none.
fn link_on(path: &Path) -> Option<io::Error> {
    if is_link(path) {
        return Some(not_regular("a symbolic link"));
    }
    let above: Vec<_> = path.ancestors().skip(1).collect();
    above.into_iter().rev().find(|folder| is_link(folder)).map(link)
}

fn link(folder: &Path) -> io::Error {
    let text = format!(
        "{} is a symbolic link, which is not followed; put the folder itself in its place",
        folder.display()
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Lets the process have as many open files as it may ask for: the usual limit of 1,024 is less
/// than a topic of many partitions needs. Tells whether that is more than before.
fn raise_limit_of_open_files() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok()
}

/// Refuses everything but a regular file.
pub(super) fn regular(file: fs::File) -> io::Result<fs::File> {
    check_regular(&rustix::fs::fstat(&file)?).map(|()| file)
}

fn check_regular(found: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(is_folder()),
        FileType::Fifo => Err(not_regular("a FIFO")),
        _ => Err(not_regular("a device")),
    }
}

/// Refuses also a file with a second name: what is written would show under that too, and it need
/// not be ours.
pub(super) fn regular_with_one_name(file: fs::File) -> io::Result<fs::File> {
    let found = rustix::fs::fstat(&file)?;
    check_regular(&found)?;
    if found.st_nlink > 1 {
        let text = "it has a second name, a hard link, which would be written to as well; put a \
                    copy of the file in its place";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(file)
}

fn not_regular(what: &str) -> io::Error {
    let text = format!(
        "it is {what}, not a regular file; move it away, or put the file itself in its place"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn is_folder() -> io::Error {
    let text = "it is a folder, not a regular file; move it away";
    io::Error::new(io::ErrorKind::IsADirectory, text)
}
