//! The operating system's file systems.
//!
//! Nothing but regular files and folders is opened, and no link is followed at the end of a path:
//! what lies in a shared directory is not to be trusted. New files and folders are the user's
//! alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode as Permissions, OFlags};

use super::lock::{Flock, OfdLock};
use super::syscall::Range;
use super::{Access, Entry, File, Lock, Map, RecordLock, Status, Storage, map};

const FILE: Permissions = Permissions::RUSR.union(Permissions::WUSR);
const FOLDER: u32 = 0o700;

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

impl Storage for Disk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Update => OFlags::RDWR,
            Access::Write => OFlags::RDWR | OFlags::CREATE,
        };
        let file = regular(open(path, flags)?)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        Ok(entries)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER).create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(Flock::new(path, open_to_lock)?))
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
        let file = regular(open(path, OFlags::RDWR | OFlags::CREATE)?)?;
        allocate(&file, position, bytes)?;
        map::file(&file, position, words)
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<&'static str>> {
        // What does not exist yet will be made on the file system of the nearest folder above.
        for folder in path.ancestors() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            match rustix::fs::statfs(folder) {
                Err(rustix::io::Errno::NOENT) => {}
                other => return Ok(network_kind(&other?)),
            }
        }
        Ok(None)
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
        self.0.write_all_at(buf, position)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
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

    fn status(&self) -> io::Result<Status> {
        let metadata = self.0.metadata()?;
        Ok(Status {
            len: metadata.len(),
            linked: metadata.nlink() > 0,
            id: metadata.ino(),
            modified: metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000,
        })
    }
}

/// `NONBLOCK`: the opening of a FIFO must not wait for its other end. It means nothing for the
/// files that are kept.
fn open(path: &Path, flags: OFlags) -> io::Result<fs::File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    loop {
        match rustix::fs::open(path, flags, FILE) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::MFILE) if raise_limit_of_open_files() => {}
            Err(rustix::io::Errno::LOOP) => return Err(not_regular("a symbolic link")),
            // A socket, or a FIFO or device without its other end.
            Err(rustix::io::Errno::NXIO) => return Err(not_regular("a socket or device")),
            other => return Ok(other?.into()),
        }
    }
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
fn regular(file: fs::File) -> io::Result<fs::File> {
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Ok(file)
    } else if kind.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else if kind.is_fifo() {
        Err(not_regular("a FIFO"))
    } else {
        Err(not_regular("a device"))
    }
}

fn not_regular(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a regular file"))
}

/// A file, or a folder, that is there; or a new file. Reading is enough for a `flock`, and works in
/// a directory that cannot be written.
fn open_to_lock(path: &Path) -> io::Result<fs::File> {
    let file = match open(path, OFlags::RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            open(path, OFlags::RDWR | OFlags::CREATE)?
        }
        other => other?,
    };
    if file.metadata()?.is_dir() { Ok(file) } else { regular(file) }
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

/// FUSE is not among them: most of what it serves is local.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn network_kind(stat: &rustix::fs::StatFs) -> Option<&'static str> {
    network_magic(stat.f_type as u32)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn network_magic(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x0000_6969 => "nfs",
        0x0000_517b => "smb",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb2",
        0x0102_1997 => "9p",
        0x5346_414f | 0x6b41_4653 => "afs",
        0x00c3_6400 => "ceph",
        0x7375_7245 => "coda",
        0x0116_1970 => "gfs2",
        0x7461_636f => "ocfs2",
        0x0bd0_0bd0 => "lustre",
        0x4750_4653 => "gpfs",
        _ => return None,
    })
}

#[cfg(target_vendor = "apple")]
fn network_kind(stat: &rustix::fs::StatFs) -> Option<&'static str> {
    let name: Vec<u8> =
        stat.f_fstypename.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
    ["nfs", "smbfs", "afpfs", "webdav", "ftp"].into_iter().find(|kind| kind.as_bytes() == name)
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
