//! Keeps beside a file what is about to go from it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::env::{Access, File, Storage};
use crate::error::{At, Result};
use crate::log::files;

/// Behind the name of a file that is being written.
pub(crate) const UNFINISHED: &str = ".repair";

/// Bytes of a file, which begins at the one position and ends before the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    pub(crate) file: &'a dyn File,
    pub(crate) path: &'a Path,
    pub(crate) range: (u64, u64),
}

impl Part<'_> {
    /// Copies it to a file whose name is `name` and ends with `.quarantined`, on the disk for good.
    /// A copy that an earlier try has made is taken.
    pub(crate) fn keep(self, storage: &dyn Storage, name: &Path) -> Result<PathBuf> {
        let dir = self.path.parent().expect("a file of a partition has a folder");
        for number in 0.. {
            let aside = files::quarantined(name, number);
            match storage.open(&aside, Access::Read) {
                Ok(known) if self.is_copy(&*known).at("read", self.path)? => return Ok(aside),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.write(storage, &aside)?;
                    storage.sync_dir(dir).at("sync", dir)?;
                    return Ok(aside);
                }
                Err(error) => return Err(error).at("open", &aside),
            }
        }
        unreachable!("there is always another number")
    }

    /// Writes it as `to`, which is whole as soon as it is there.
    pub(crate) fn write(self, storage: &dyn Storage, to: &Path) -> Result<()> {
        const CHUNK: usize = 1 << 20;
        let mut temporary = to.as_os_str().to_owned();
        temporary.push(UNFINISHED);
        let temporary = Path::new(&temporary);
        let new = storage.open(temporary, Access::Write).at("open", temporary)?;
        new.set_len(0).at("truncate", temporary)?;
        let (mut at, end) = self.range;
        let mut bytes = vec![0; usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK)];
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = self.file.read_at(at, &mut bytes[..wanted]).at("read", self.path)?;
            if read == 0 {
                break;
            }
            new.write_at(at - self.range.0, &bytes[..read]).at("write", temporary)?;
            at += read as u64;
        }
        new.sync_data().at("sync", temporary)?;
        storage.rename(temporary, to).at("rename", temporary)
    }

    /// Whether `copy` holds just these bytes.
    pub(crate) fn is_copy(self, copy: &dyn File) -> std::io::Result<bool> {
        const CHUNK: usize = 64 * 1024;
        let (from, to) = self.range;
        if copy.len()? != to - from {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            let read = self.file.read_at(at, &mut ours[..wanted])?;
            let there = copy.read_at(at - from, &mut theirs[..wanted])?;
            if read == 0 || ours[..read] != theirs[..there] {
                return Ok(false);
            }
            at += read as u64;
        }
        Ok(true)
    }
}
