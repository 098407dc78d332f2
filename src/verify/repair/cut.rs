//! Cuts damage out of a log.

use std::path::Path;

use crate::engine::directory::root::CLEAN_SHUTDOWN;
use crate::env::Access;
use crate::error::{At, Result};
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::verify::finding::Finding;
use crate::verify::fix::Run;
use crate::verify::repair::{Repair, base_of, folder};

impl Repair<'_> {
    /// Cuts a log at the first damage. The bytes from there on are kept in a file beside, and the
    /// good batches among them in segments of their own.
    pub(super) fn split(
        &mut self,
        found: &Finding,
        path: &Path,
        position: u64,
        runs: &[Run],
    ) -> Result<()> {
        let storage = self.storage().clone();
        let dir = folder(path);
        let Some(base) = base_of(path, files::LOG) else { return Ok(()) };
        self.unmark()?;
        let file = storage.open(path, Access::Update).at("open", path)?;
        let len = file.len().at("stat", path)?;
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".from-{position}"));
        let aside = self.keep_bytes(&*file, path, (position, len), Path::new(&aside))?;
        let is_damage = found.is_damage();
        if runs.is_empty() && is_damage && self.is_last(dir, base)? {
            self.begin_epoch(dir, found.offset.unwrap_or(base))?;
        }
        // Whatever fails in between, what is left in the old file lies below the new segments: who
        // tries again believes no offset that is not.
        for run in runs.iter().rev().filter(|run| run.first_offset > base) {
            let to = files::path(dir, run.first_offset, files::LOG);
            self.write_aside(&*file, path, (run.from, run.to), &to)?;
            storage.sync_dir(dir).at("sync", dir)?;
        }
        if let Some(whole) = runs.iter().find(|run| run.first_offset == base) {
            self.write_aside(&*file, path, (whole.from, whole.to), path)?;
            storage.sync_dir(dir).at("sync", dir)?;
        } else {
            file.set_len(position).at("truncate", path)?;
            file.sync_data().at("sync", path)?;
        }
        let kept = self.task.name(&aside);
        let message =
            format!("cut at position {position}; what was there is in {}", kept.display());
        self.done(&found.path, message);
        for run in runs {
            let to = files::path(dir, run.first_offset, files::LOG);
            let message = format!(
                "offsets {} to {} of it are kept here",
                run.first_offset,
                run.end_offset - 1
            );
            self.done(&self.task.name(&to), message);
        }
        Ok(())
    }

    /// Cuts the zeros behind a log, which hold nothing.
    pub(super) fn give_room_back(
        &mut self,
        path: &Path,
        shown: &Path,
        position: u64,
    ) -> Result<()> {
        let file = self.storage().open(path, Access::Update).at("open", path)?;
        file.set_len(position).at("truncate", path)?;
        file.sync_data().at("sync", path)?;
        self.done(shown, format!("cut at position {position}, behind which there were only zeros"));
        Ok(())
    }

    fn is_last(&self, dir: &Path, base: i64) -> Result<bool> {
        let bases = files::offsets(&**self.storage(), dir, files::LOG)?;
        Ok(bases.last() == Some(&base))
    }

    /// What a reader saw from `offset` on is gone: it notices by the epoch.
    pub(super) fn begin_epoch(&self, dir: &Path, offset: i64) -> Result<()> {
        let storage = &**self.storage();
        let mut epochs = LeaderEpochs::read(storage, dir)?;
        epochs.begin(epochs.latest().unwrap_or(0).saturating_add(1), offset);
        epochs.write(storage, dir)
    }

    /// The next to open the directory must not take its word that nothing is to be looked at.
    pub(super) fn unmark(&mut self) -> Result<()> {
        let dir = self.task.dir;
        let path = dir.join(CLEAN_SHUTDOWN);
        if files::read(&**self.storage(), &path)?.is_none() {
            return Ok(());
        }
        files::remove(&**self.storage(), &path)?;
        self.storage().sync_dir(dir).at("sync", dir)?;
        self.done(
            Path::new(CLEAN_SHUTDOWN),
            "removed: the logs are looked through at the next use",
        );
        Ok(())
    }
}
