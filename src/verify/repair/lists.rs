//! Puts files aside, and corrects those of text.

use std::io::ErrorKind;
use std::path::Path;

use crate::engine::topics;
use crate::error::{At, Result};
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::types::TopicPartition;
use crate::verify::finding::Finding;
use crate::verify::lists::RECORDS_MISSING;
use crate::verify::names::Place;
use crate::verify::repair::{Repair, base_of, folder};
use crate::verify::standing::Survey;

impl Repair<'_> {
    /// Gives a file a name that nobody reads.
    pub(super) fn shelve(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let storage = &**self.storage();
        let to = files::free_quarantine(storage, path)?;
        storage.rename(path, &to).at("rename", path)?;
        let dir = folder(path);
        storage.sync_dir(dir).at("sync", dir)?;
        let message = format!("put aside as {}", self.task.name(&to).display());
        self.done(shown, message);
        Ok(())
    }

    pub(super) fn shelve_segment(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let Some(base) = base_of(path, files::LOG) else { return Ok(()) };
        for suffix in [files::INDEX, files::TIME_INDEX, files::TXN_INDEX] {
            let index = files::path(folder(path), base, suffix);
            if self.is_there(&index)? {
                self.shelve(&index, &self.task.name(&index))?;
            }
        }
        self.shelve(path, shown)
    }

    /// Gives a segment's files the names of the offset that it begins at. The log goes last: who dies
    /// before that leaves the reason to the next.
    pub(super) fn rename(&mut self, path: &Path, shown: &Path, place: Place) -> Result<()> {
        let (storage, dir) = (self.storage().clone(), folder(path));
        for suffix in [files::INDEX, files::TIME_INDEX, files::TXN_INDEX] {
            let from = files::path(dir, place.name, suffix);
            let to = files::path(dir, place.base, suffix);
            if !self.is_there(&from)? {
                continue;
            }
            if self.is_there(&to)? {
                self.shelve(&from, &self.task.name(&from))?;
            } else {
                storage.rename(&from, &to).at("rename", &from)?;
            }
        }
        let to = files::path(dir, place.base, files::LOG);
        storage.rename(path, &to).at("rename", path)?;
        storage.sync_dir(dir).at("sync", dir)?;
        self.done(shown, format!("is {} now, as it begins", self.task.name(&to).display()));
        Ok(())
    }

    /// Replaces a file of text; the old one is kept.
    pub(super) fn text(&mut self, found: &Finding, path: &Path, text: &str) -> Result<()> {
        if found.code == RECORDS_MISSING {
            self.forget_missing()?;
        }
        let aside = self.keep_file(path)?.unwrap_or_default();
        files::replace(&**self.storage(), path, text.as_bytes())?;
        let message = format!("corrected; the old one is {}", self.task.name(&aside).display());
        self.done(&found.path, message);
        Ok(())
    }

    /// Makes the list of topics anew; nothing tells what their settings were.
    pub(super) fn list_topics(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let storage = &**self.storage();
        let text = topics::list_of_folders(storage, self.task.dir)?;
        files::replace(storage, path, text.as_bytes())?;
        self.done(
            shown,
            "made anew from the folders, with default settings, but retention.ms=-1 and \
             retention.bytes=-1: every topic keeps all its records until `brokerless topics alter` \
             sets its cleanup.policy and retention",
        );
        Ok(())
    }

    /// Begins an epoch in each log that ends before what was on the disk.
    fn forget_missing(&mut self) -> Result<()> {
        self.unmark()?;
        let survey = Survey::take(self.task.dir, self.task.env, true)?;
        for (id, point) in survey.recovery_points.iter().filter(|(_, point)| **point > 0) {
            let folder = self.task.dir.join(id.to_string());
            match self.storage().list(&folder) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.begin_anew(&survey, id, &folder)?;
                    continue;
                }
                Err(_) => continue,
            }
            let outcome = self.task.check_partition(&survey, id)?;
            if outcome.known && outcome.end < *point {
                self.begin_epoch(&folder, outcome.end)?;
            }
        }
        Ok(())
    }

    /// Makes the folder of a partition again, for its epoch. Which was its last nobody knows; as a
    /// crash of the machine begins one in every log, others of the directory are as far.
    fn begin_anew(&self, survey: &Survey, id: &TopicPartition, folder: &Path) -> Result<()> {
        let topic = survey.topics.get(&id.topic);
        if !topic.is_some_and(|topic| (0..topic.partition_count()).contains(&id.partition)) {
            return Ok(());
        }
        let (storage, dir) = (&**self.storage(), self.task.dir);
        let mut newest = 0;
        for other in survey.recovery_points.keys() {
            let epochs = LeaderEpochs::read(storage, &dir.join(other.to_string()))?;
            newest = newest.max(epochs.latest().unwrap_or(0));
        }
        storage.create_dir(folder).at("create", folder)?;
        let mut epochs = LeaderEpochs::default();
        epochs.begin(newest.saturating_add(1), 0);
        epochs.write(storage, folder)?;
        storage.sync_dir(dir).at("sync", dir)
    }

    pub(super) fn epochs(
        &mut self,
        path: &Path,
        shown: &Path,
        epochs: &[(i32, i64)],
    ) -> Result<()> {
        let storage = self.storage().clone();
        let dir = folder(path);
        self.keep_file(path)?;
        let mut list = LeaderEpochs::default();
        for (epoch, offset) in epochs {
            list.begin(*epoch, *offset);
        }
        list.write(&*storage, dir)?;
        self.done(shown, "made anew from the batches");
        Ok(())
    }
}
