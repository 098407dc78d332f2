//! A directory as it will be when the swaps in it have come to their end, for who may not end them:
//! else the records of segments that are gone, and whose staged file has no name yet, would be missed
//! without a word.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, Description, Entry, File, Folder, Lock, Map, RecordLock, Storage};
use crate::error::Error;
use crate::log::swap;

/// How often is looked again, while others end what was begun.
const LOOKS: usize = 10;

/// The file system below, but for what swaps are about to replace.
#[derive(Debug)]
pub(crate) struct Settled(Arc<dyn Storage>);

impl Settled {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self(storage)
    }

    /// The file that is about to have that name.
    fn staged(&self, path: &Path) -> io::Result<Option<Arc<dyn File>>> {
        let Some((dir, base)) = swap::part_at(path) else { return Ok(None) };
        let staged = match self.0.open(&swap::behind(path), Access::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let is_whole = swap::is_whole(&self.0.list(dir)?, base);
        Ok(Some(staged).filter(|_| is_whole))
    }
}

impl Storage for Settled {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        match self.staged(path)? {
            Some(staged) if access == Access::Read => Ok(staged),
            _ => self.0.open(path, access),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        for _ in 0..LOOKS {
            let mut entries = self.0.list(path)?;
            match swap::replaced(&self.0, path, &entries) {
                Ok(replaced) => {
                    entries.retain(|entry| !replaced.iter().any(|it| it.holds(&entry.name)));
                    return Ok(entries);
                }
                // It has its name now.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Err(ErrorKind::Interrupted.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn describe(&self, path: &Path) -> io::Result<Description> {
        self.0.describe(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Box<dyn Folder>> {
        self.0.open_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.resolve(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.0.lock(path)
    }

    fn lock_dir(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.0.lock_dir(path)
    }

    fn lock_record(&self, path: &Path) -> io::Result<Box<dyn RecordLock>> {
        self.0.lock_record(path)
    }

    fn lock_byte(&self, path: &Path, byte: u64) -> io::Result<Box<dyn RecordLock>> {
        self.0.lock_byte(path, byte)
    }

    fn map(&self, path: &Path, position: u64, words: usize) -> io::Result<Arc<dyn Map>> {
        self.0.map(path, position, words)
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<&'static str>> {
        self.0.network_file_system(path)
    }

    fn boot_id(&self) -> String {
        self.0.boot_id()
    }
}
