//! What every world promises: one suite of tests, run against the disk and the memory.

mod files;
mod folders;
mod locks;
mod maps;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;
use super::mem::MemDisk;
use super::{Access, Entry, File, Storage};

/// An empty folder in a world.
struct World {
    storage: Arc<dyn Storage>,
    /// The same files, as another process sees them.
    other: Arc<dyn Storage>,
    root: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl World {
    fn disk() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let disk = Arc::new(Disk::new());
        Self { storage: disk.clone(), other: disk, root, _dir: Some(dir) }
    }

    fn mem() -> Self {
        let disk = MemDisk::new();
        let root = PathBuf::from("/data");
        disk.create_dir(&root).unwrap();
        Self { other: Arc::new(disk.process()), storage: Arc::new(disk), root, _dir: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn open(&self, name: &str) -> Arc<dyn File> {
        self.storage.open(&self.path(name), Access::Write).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let file = self.open(name);
        file.set_len(0).unwrap();
        file.write_at(0, bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        read(&*self.other.open(&self.path(name), Access::Read).unwrap())
    }

    fn names(&self, name: &str) -> Vec<Entry> {
        let mut entries = self.other.list(&self.path(name)).unwrap();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }
}

fn read(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    match result {
        Ok(_) => panic!("an error was due"),
        Err(error) => error.kind(),
    }
}

/// Runs each of these functions as a test of both worlds.
macro_rules! contract {
    ($($name:ident)*) => {
        mod disk { $(#[test] fn $name() { super::$name(&super::super::World::disk()); })* }
        mod mem { $(#[test] fn $name() { super::$name(&super::super::World::mem()); })* }
    };
}

pub(super) use contract;
