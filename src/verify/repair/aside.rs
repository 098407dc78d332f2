//! Keeps beside a file what is about to go from it.

use std::path::{Path, PathBuf};

use crate::env::{Access, File};
use crate::error::{At, Result};
use crate::log::files;
use crate::verify::repair::{REPAIR, Repair, behind, folder};

impl Repair<'_> {
    /// Whether there is such a file.
    pub(super) fn is_there(&self, path: &Path) -> Result<bool> {
        match self.storage().open(path, Access::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            opened => opened.at("open", path).map(|_| true),
        }
    }

    /// Keeps a copy of a file that is about to be replaced; `None` if there is none.
    pub(super) fn keep_file(&self, path: &Path) -> Result<Option<PathBuf>> {
        if !self.is_there(path)? {
            return Ok(None);
        }
        let file = self.storage().open(path, Access::Read).at("open", path)?;
        let len = file.len().at("stat", path)?;
        self.keep_bytes(&*file, path, (0, len), path).map(Some)
    }

    /// Puts a file that was made anew in the place of the old one, of which a copy is kept, unless
    /// the two are the same. Tells whether they were not.
    pub(super) fn replace(&self, new: &Path, old: &Path) -> Result<bool> {
        let storage = &**self.storage();
        if self.is_there(old)? && self.is_copy(new, old)? {
            files::remove(storage, new)?;
            return Ok(false);
        }
        self.keep_file(old)?;
        storage.rename(new, old).at("rename", new)?;
        Ok(true)
    }

    fn is_copy(&self, one: &Path, other: &Path) -> Result<bool> {
        let open = |path: &Path| self.storage().open(path, Access::Read).at("open", path);
        let (file, copy) = (open(one)?, open(other)?);
        let len = file.len().at("stat", one)?;
        same(&*file, (0, len), &*copy).at("read", one)
    }

    /// Copies bytes of a file to one whose name ends with `.quarantined`, on the disk for good. A
    /// copy that an earlier try has made is taken.
    pub(super) fn keep_bytes(
        &self,
        file: &dyn File,
        path: &Path,
        range: (u64, u64),
        name: &Path,
    ) -> Result<PathBuf> {
        let storage = &**self.storage();
        let dir = folder(path);
        for number in 0.. {
            let aside = files::quarantined(name, number);
            match storage.open(&aside, Access::Read) {
                Ok(known) if same(file, range, &*known).at("read", path)? => return Ok(aside),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.write_aside(file, path, range, &aside)?;
                    storage.sync_dir(dir).at("sync", dir)?;
                    return Ok(aside);
                }
                Err(error) => return Err(error).at("open", &aside),
            }
        }
        unreachable!("there is always another number")
    }

    /// Writes bytes of `file` as `to`, which is whole as soon as it is there.
    pub(super) fn write_aside(
        &self,
        file: &dyn File,
        path: &Path,
        range: (u64, u64),
        to: &Path,
    ) -> Result<()> {
        const CHUNK: usize = 1 << 20;
        let storage = &**self.storage();
        let temporary = behind(to, REPAIR);
        let new = storage.open(&temporary, Access::Write).at("open", &temporary)?;
        new.set_len(0).at("truncate", &temporary)?;
        let mut bytes = vec![0; CHUNK];
        let (mut at, end) = range;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = file.read_at(at, &mut bytes[..wanted]).at("read", path)?;
            if read == 0 {
                break;
            }
            new.write_at(at - range.0, &bytes[..read]).at("write", &temporary)?;
            at += read as u64;
        }
        new.sync_data().at("sync", &temporary)?;
        storage.rename(&temporary, to).at("rename", &temporary)
    }
}

/// Whether `copy` holds just these bytes of `file`.
fn same(file: &dyn File, range: (u64, u64), copy: &dyn File) -> std::io::Result<bool> {
    const CHUNK: usize = 64 * 1024;
    if copy.len()? != range.1 - range.0 {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = range.0;
    while at < range.1 {
        let wanted = usize::try_from(range.1 - at).unwrap_or(CHUNK).min(CHUNK);
        let read = file.read_at(at, &mut ours[..wanted])?;
        let there = copy.read_at(at - range.0, &mut theirs[..wanted])?;
        if read == 0 || ours[..read] != theirs[..there] {
            return Ok(false);
        }
        at += read as u64;
    }
    Ok(true)
}
