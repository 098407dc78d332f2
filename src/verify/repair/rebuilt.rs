//! Makes anew from a log what stands beside it.

use std::path::Path;

use crate::env::Access;
use crate::error::{At, Result};
use crate::log::aborted;
use crate::log::files;
use crate::log::index::{OffsetIndex, TimeIndex};
use crate::log::segment::Segment;
use crate::log::tail::Tail;
use crate::types::NO_TIMESTAMP;
use crate::verify::repair::{REPAIR, Repair, base_of, behind, folder, partition_of};
use crate::verify::standing::Survey;
use crate::verify::transactions::Transactions;
use crate::verify::walk::{Step, Walk};

impl Repair<'_> {
    /// Makes both indexes of a segment anew.
    pub(super) fn indexes(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let suffixes = [files::INDEX, files::TIME_INDEX];
        let Some(base) = suffixes.iter().find_map(|suffix| base_of(path, suffix)) else {
            return Ok(());
        };
        let (dir, storage) = (folder(path), self.storage().clone());
        let survey = Survey::take(self.task.dir, self.task.env, true)?;
        let config = survey.of(&partition_of(dir))?.config;
        let new = |suffix| behind(&files::path(dir, base, suffix), REPAIR);
        let log = files::path(dir, base, files::LOG);
        let segment = Segment {
            base_offset: base,
            log: storage.open(&log, Access::Read).at("open", &log)?,
            path: log.as_path().into(),
            index: OffsetIndex::new(storage.clone(), new(files::INDEX), Access::Write),
            times: TimeIndex::new(storage.clone(), new(files::TIME_INDEX), Access::Write),
        };
        segment.index.truncate(0)?;
        segment.times.truncate(0)?;
        let mut tail = Tail::empty(base);
        self.walk(&segment, |step| {
            let mut info = *step.info;
            if info.records_count == Some(0) {
                info.max_timestamp = NO_TIMESTAMP;
            }
            tail.end_position = step.position;
            tail = segment.note(&tail, &info, &config)?;
            Ok(())
        })?;
        segment.note_time(&mut tail)?;
        segment.index.sync()?;
        segment.times.sync()?;
        let mut is_new = false;
        for suffix in suffixes {
            is_new |= self.replace(&new(suffix), &files::path(dir, base, suffix))?;
        }
        storage.sync_dir(dir).at("sync", dir)?;
        // Both are made anew for what is wrong with one.
        if is_new {
            self.done(shown, "made anew from the log");
        }
        Ok(())
    }

    fn walk(&self, segment: &Segment, visit: impl FnMut(&Step<'_>) -> Result<()>) -> Result<()> {
        let walk = Walk {
            file: &*segment.log,
            path: &segment.path,
            end: segment.len()?,
            base: segment.base_offset,
            bound: None,
            dense: false,
            limit: self.task.limit,
        };
        walk.run(visit).map(drop)
    }

    /// The producers of a log and their transactions, from its beginning up to `end`; `visit` is
    /// given them at the end of each segment.
    fn replay(
        &self,
        dir: &Path,
        end: i64,
        mut visit: impl FnMut(i64, &mut Transactions) -> Result<()>,
    ) -> Result<Transactions> {
        let storage = self.storage();
        let bases = files::offsets(&**storage, dir, files::LOG)?;
        let first = bases.first().copied().unwrap_or(0);
        let mut transactions = Transactions::at(&**storage, dir, first)?;
        for base in bases.into_iter().filter(|base| *base < end) {
            let segment = Segment::open(storage, dir, base, false)?;
            self.walk(&segment, |step| {
                if step.info.last_offset < end
                    && let Some(batch) = step.batch
                {
                    // One that says nothing is reported elsewhere.
                    let _ = transactions.take(step.info, batch);
                }
                Ok(())
            })?;
            visit(base, &mut transactions)?;
        }
        Ok(transactions)
    }

    pub(super) fn aborted(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let Some(base) = base_of(path, files::TXN_INDEX) else { return Ok(()) };
        let (dir, storage) = (folder(path), self.storage().clone());
        let mut entries = Vec::new();
        self.replay(dir, i64::MAX, |at, transactions| {
            let of_segment = transactions.end_segment();
            if at == base {
                entries = of_segment;
            }
            Ok(())
        })?;
        let new = behind(path, REPAIR);
        aborted::write_to(&*storage, &new, &entries)?.sync_data().at("sync", &new)?;
        self.replace(&new, path)?;
        storage.sync_dir(dir).at("sync", dir)?;
        self.done(shown, "made anew from the log");
        Ok(())
    }

    pub(super) fn snapshot(&mut self, path: &Path, shown: &Path) -> Result<()> {
        let Some(at) = base_of(path, files::SNAPSHOT) else { return Ok(()) };
        let (dir, storage) = (folder(path), self.storage().clone());
        self.keep_file(path)?;
        let transactions = self.replay(dir, at, |_, _| Ok(()))?;
        transactions.producers.save(&*storage, dir, at)?;
        self.done(shown, "made anew from the log");
        Ok(())
    }
}
