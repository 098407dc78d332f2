//! A disk that remembers every write, flush and mark: two files of a FUSE file system, of which the
//! first is to be put under a loop device.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

pub const DISK: &str = "disk";
/// What is written to it is noted in between the writes to the disk.
pub const MARKS: &str = "marks";

const ROOT: INodeNo = INodeNo(1);
const DISK_INODE: INodeNo = INodeNo(2);
const MARKS_INODE: INodeNo = INodeNo(3);
pub const BLOCK: usize = 4096;

/// What happened, in the order in which the device did it.
pub enum Op {
    Write {
        at: u64,
        bytes: Vec<u8>,
    },
    /// Everything before it is on the disk for good.
    Flush,
    /// Somebody said so.
    Mark(String),
}

/// Blocks that are not zero.
#[derive(Clone, Default)]
pub struct Blocks(pub HashMap<u64, Box<[u8; BLOCK]>>);

impl Blocks {
    pub fn write(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = (at % BLOCK as u64) as usize;
            let some = bytes.len().min(BLOCK - within);
            let block = self.0.entry(at / BLOCK as u64).or_insert_with(|| Box::new([0; BLOCK]));
            block[within..within + some].copy_from_slice(&bytes[..some]);
            (at, bytes) = (at + some as u64, &bytes[some..]);
        }
    }

    fn read(&self, mut at: u64, out: &mut [u8]) {
        let mut out = out;
        while !out.is_empty() {
            let within = (at % BLOCK as u64) as usize;
            let some = out.len().min(BLOCK - within);
            let (head, rest) = out.split_at_mut(some);
            match self.0.get(&(at / BLOCK as u64)) {
                Some(block) => head.copy_from_slice(&block[within..within + some]),
                None => head.fill(0),
            }
            (at, out) = (at + some as u64, rest);
        }
    }
}

#[derive(Default)]
pub struct Log {
    pub ops: Vec<Op>,
    now: Blocks,
}

/// The file system; its clones share one log.
#[derive(Clone)]
pub struct Device {
    log: Arc<Mutex<Log>>,
    size: u64,
}

impl Device {
    pub fn new(size: u64) -> Self {
        Self { log: Arc::default(), size }
    }

    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nobody panics with it")
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match inode {
            ROOT => (FileType::Directory, 0o755, 0),
            DISK_INODE => (FileType::RegularFile, 0o600, self.size),
            MARKS_INODE => (FileType::RegularFile, 0o600, 0),
            _ => return None,
        };
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK as u32,
            flags: 0,
        })
    }
}

const KEPT: Duration = Duration::from_secs(1);

impl Filesystem for Device {
    fn lookup(&self, _: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let inode = match name.to_str() {
            Some(DISK) => DISK_INODE,
            Some(MARKS) => MARKS_INODE,
            _ => return reply.error(Errno::ENOENT),
        };
        let attributes = self.attributes(inode).expect("it is one of ours");
        reply.entry(&KEPT, &attributes, Generation(0));
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&KEPT, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.getattr(request, inode, handle, reply);
    }

    fn open(&self, _: &Request, _inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Without it the kernel would keep what the loop device wrote.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if inode != DISK_INODE {
            return reply.data(&[]);
        }
        let size = u64::from(size).min(self.size.saturating_sub(at));
        let mut bytes = vec![0; size as usize];
        self.log().now.read(at, &mut bytes);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut log = self.log();
        if inode == MARKS_INODE {
            let text = String::from_utf8_lossy(bytes);
            log.ops.extend(text.lines().map(|line| Op::Mark(line.to_owned())));
        } else {
            log.now.write(at, bytes);
            log.ops.push(Op::Write { at, bytes: bytes.to_vec() });
        }
        drop(log);
        reply.written(bytes.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if inode == DISK_INODE {
            self.log().ops.push(Op::Flush);
        }
        reply.ok();
    }
}
