//! Keeps beside a file what is about to go from it.

use std::path::{Path, PathBuf};

use crate::env::{Access, File};
use crate::error::{At, Result};
use crate::log::aside::Part;
use crate::log::files;
use crate::verify::repair::Repair;

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
        let all = Part { file: &*file, path: one, range: (0, len) };
        all.is_copy(&*copy).at("read", one)
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
        Part { file, path, range }.keep(&**self.storage(), name)
    }

    /// Writes bytes of `file` as `to`, which is whole as soon as it is there.
    pub(super) fn write_aside(
        &self,
        file: &dyn File,
        path: &Path,
        range: (u64, u64),
        to: &Path,
    ) -> Result<()> {
        Part { file, path, range }.write(&**self.storage(), to)
    }
}
