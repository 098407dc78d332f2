//! Keeps beside a file what is about to go from it.

use std::path::{Path, PathBuf};

use crate::env::{Access, File};
use crate::error::{At, Result};
use crate::log::files;
use crate::verify::repair::{REPAIR, Repair, behind, folder};

impl Repair<'_> {
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
