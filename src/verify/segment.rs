//! The check of a partition's log: its segments one after the other, each beside its indexes.

use crate::config::directory::MAX_DECOMPRESSED;
use std::path::Path;

use crate::env::Access;
use crate::error::{At, Corruption, Error, Result};
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::log::recovery::gaps::{self, Gap};
use crate::record::{Batch, BatchInfo};
use crate::types::TimestampType;
use crate::verify::Outcome;
use crate::verify::directory::cannot_read;
use crate::verify::epochs::{Epochs, Stretch};
use crate::verify::finding::Finding;
use crate::verify::fix::Fix;
use crate::verify::index::Indexes;
use crate::verify::names::{self, Place};
use crate::verify::partition::{Site, pass_over};
use crate::verify::standing::{Gaps, Published};
use crate::verify::transactions::Transactions;
use crate::verify::walk::{Seen, Step, Walk};

/// The topic whose records are looked into.
const OFFSETS_TOPIC: &str = crate::engine::topics::OFFSETS_TOPIC;

/// The log of a partition, segment by segment.
pub(crate) struct Log<'a> {
    pub(super) site: &'a Site<'a>,
    transactions: Transactions,
    /// The end of what was read so far; `None` before the first segment.
    end: Option<i64>,
    epochs: Epochs,
    /// What the checkpoint says of them.
    known_epochs: LeaderEpochs,
    /// Whether part of it is damaged, so that what is said of transactions proves nothing.
    pub(super) damaged: bool,
}

impl<'a> Log<'a> {
    pub(crate) fn new(site: &'a Site<'a>, outcome: &mut Outcome) -> Result<Self> {
        let transactions = Transactions::default();
        let (epochs, known_epochs) = (Epochs::default(), site.epochs(outcome)?);
        Ok(Self { site, transactions, end: None, epochs, known_epochs, damaged: false })
    }

    /// Checks every segment; `outcome` then knows where the log ends.
    pub(crate) fn check(mut self, outcome: &mut Outcome) -> Result<()> {
        let site = self.site;
        let storage = &*site.task.env.storage;
        if let Some(first) = site.bases.first() {
            self.transactions = Transactions::at(storage, &site.dir, *first)?;
        }
        let places = self.places(outcome)?;
        for (at, place) in places.iter().enumerate() {
            let bound = self.next_with_batches(&places[at + 1..], outcome)?;
            let last = at + 1 == places.len();
            if let Err(error) = self.segment(*place, bound, last, outcome) {
                let error = pass_over(error, site.standing.in_use())?;
                let path = site.name(&files::path(&site.dir, place.name, files::LOG));
                outcome.findings.add_once(cannot_read(&path, &error));
                (outcome.known, self.damaged) = (false, true);
            }
        }
        outcome.end = self.end.unwrap_or(site.standing.log_start.unwrap_or(0));
        let judged = std::mem::take(&mut self.epochs).judge(&self.known_epochs);
        let newest = judged.epochs.last().map_or(-1, |(epoch, _)| *epoch);
        outcome.epoch = newest.max(self.known_epochs.latest().unwrap_or(-1));
        for (stretch, due) in &judged.wrong {
            let fix = Fix::Stamp { from: stretch.from, to: stretch.to, epoch: *due };
            let mut found = wrong_epoch(stretch, *due);
            found.fix = Some(fix).filter(|_| !site.standing.in_use());
            outcome.findings.add(found);
        }
        if !self.damaged {
            site.check_epochs(&judged.epochs, outcome.end, outcome)?;
        }
        Ok(())
    }

    fn places(&self, outcome: &mut Outcome) -> Result<Vec<Place>> {
        let site = self.site;
        let as_named = |name: &i64| Place { name: *name, base: *name };
        if site.standing.in_use() {
            return Ok(site.bases.iter().map(as_named).collect());
        }
        let start = gaps::start(site.standing.log_start, &self.known_epochs);
        names::places(&site.task.env.storage, &site.dir, &site.bases, start).or_else(|error| {
            let error = pass_over(error, false)?;
            let path = if let Error::Io { path, .. } = &error { path } else { &site.dir };
            outcome.findings.add_once(cannot_read(&site.name(path), &error));
            Ok(site.bases.iter().map(as_named).collect())
        })
    }

    /// Where the next segment begins that is not empty. One that cannot be read counts as if it were
    /// not.
    fn next_with_batches(&self, places: &[Place], outcome: &mut Outcome) -> Result<Option<i64>> {
        let site = self.site;
        let storage = &*site.task.env.storage;
        for place in places {
            let path = files::path(&site.dir, place.name, files::LOG);
            match storage.open(&path, Access::Read).and_then(|file| file.len()) {
                Ok(0) => {}
                Ok(_) => return Ok(Some(place.base)),
                Err(error) => {
                    let error = Error::Io { op: "open", path: path.clone(), source: error };
                    let error = pass_over(error, site.standing.in_use())?;
                    outcome.findings.add_once(cannot_read(&site.name(&path), &error));
                    return Ok(Some(place.base));
                }
            }
        }
        Ok(None)
    }

    fn segment(
        &mut self,
        place: Place,
        bound: Option<i64>,
        last: bool,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let site = self.site;
        let storage = &*site.task.env.storage;
        let Place { name: number, base } = place;
        let path = files::path(&site.dir, number, files::LOG);
        let name = site.name(&path);
        let file = storage.open(&path, Access::Read).at("open", &path)?;
        let len = file.len().at("stat", &path)?;
        let published = site.standing.published.filter(|it| it.segment_base == base);
        let end = published.map_or(len, |it| len.min(it.end_position));
        if number != base {
            outcome.findings.add(names::misnamed(&name, place));
        }
        self.check_begin(&name, base, len, outcome);
        if published.is_some_and(|it| len < it.end_position) {
            outcome.findings.add(shortened(&name, len));
        }
        let walk = Walk {
            file: &*file,
            path: &path,
            end,
            base,
            bound,
            dense: last && (site.standing.ours || site.standing.gaps != Gaps::Right),
            limit: site.task.limit,
        };
        let mut indexes = Indexes::open(storage, &site.dir, base, published.map(|it| it.entries))?;
        let seen = walk.run(|step| {
            indexes.batch(step)?;
            self.batch(step, &name, outcome)
        })?;
        site.task.count(|counts| {
            counts.segments += 1;
            counts.bytes += seen.damage.iter().map(|it| it.to - it.position).sum::<u64>();
        })?;
        self.report_damage(&seen, place, end, bound, outcome)?;
        self.report_skipped(&seen, &name, outcome);
        if seen.damage.is_empty() && number == base {
            self.check_indexes(indexes, base, seen.end_offset, published, outcome)?;
        }
        self.transactions.end_segment();
        // What damage up to its end has taken is told of.
        let to = bound.filter(|_| seen.damage.last().is_some_and(|it| it.to == end));
        self.end = Some(self.end.unwrap_or(base).max(to.unwrap_or(seen.end_offset)));
        Ok(())
    }

    /// How the segment follows the one before.
    fn check_begin(&mut self, path: &Path, base: i64, len: u64, outcome: &mut Outcome) {
        let site = self.site;
        let standing = &site.standing;
        let Some(end) = self.end else {
            let start = gaps::start(standing.log_start, &self.known_epochs);
            // What a broker that died had removed, it may not have noted.
            let is_noted = standing.clean || standing.ours;
            let start = start.filter(|start| *start < base && is_noted && !standing.in_use());
            if let Some(start) = start {
                let what = format!(
                    "the log begins here, and it began at {start} when that was last noted: \
                     offsets {start} to {} are missing",
                    base - 1
                );
                outcome.findings.add(self.missing(site.has_quarantine, path, what, (start, base)));
            }
            return;
        };
        if base < end && len == 0 {
            let what = format!("an empty segment inside the one before, which ends at {end}");
            let found = Finding::new(site.soft(base), "stray-segment", path, what);
            outcome.findings.add(found.of(base).fix(Fix::ShelveSegment));
        }
        // What lies before the start was to go, and a crash may have left any part of it.
        let is_shown = standing.log_start.is_none_or(|start| base > start);
        if base > end && is_shown && standing.gaps != Gaps::Right {
            let what = format!(
                "offsets {end} to {} are missing: the segment before ends at {end}",
                base - 1
            );
            let known = site.has_quarantine || standing.gaps == Gaps::Unknown;
            outcome.findings.add(self.missing(known, path, what, (end, base)));
        }
    }

    /// Records that are missing: known, if something tells of them.
    fn missing(&self, known: bool, path: &Path, what: String, gap: Gap) -> Finding {
        if known || self.site.known_gaps.contains(&gap) {
            return Finding::note("missing-offsets", path, what).of(gap.0);
        }
        let mut found = Finding::error("missing-offsets", path, what).of(gap.0).remedy(
            "put the missing files back from a copy; or run verify with --repair, which takes note \
             of it and goes on without the records",
        );
        found.fix = Some(Fix::Accept(vec![gap]));
        found.fix = found.fix.filter(|_| !self.site.standing.in_use());
        found
    }

    fn batch(&mut self, step: &Step<'_>, path: &Path, outcome: &mut Outcome) -> Result<()> {
        let Step { position, info, batch } = *step;
        self.site.task.count(|counts| {
            counts.batches += 1;
            counts.records += batch.map_or(0, |batch| batch.count() as u64);
            counts.bytes += info.size as u64;
        })?;
        self.epochs.take(path, position, info);
        let Some(batch) = batch else {
            let what = format!(
                "the batch decompresses to more than {MAX_DECOMPRESSED} allows ({} bytes): its \
                 records were not looked at",
                self.site.task.limit
            );
            let found = located("too-large", path, position, info, what);
            outcome.findings.add(found.remedy(
                "raise the setting in brokerless.properties, and check the directory again",
            ));
            return Ok(());
        };
        if let Some(what) = wrong_records(info, batch) {
            outcome.findings.add(located("wrong-records", path, position, info, what));
        }
        if let Err(what) = self.transactions.take(info, batch) {
            let what = format!("a control batch that says nothing: {what}");
            outcome.findings.add(located("bad-control-batch", path, position, info, what));
        }
        if *self.site.id.topic == *OFFSETS_TOPIC && !info.is_control {
            outcome.commits.take(path, position, batch, &mut outcome.findings);
        }
        Ok(())
    }

    /// Offsets that are left out between two batches, where no compaction explains it.
    fn report_skipped(&self, seen: &Seen, path: &Path, outcome: &mut Outcome) {
        let site = self.site;
        let Some((from, to)) = seen.gaps.first().copied() else { return };
        if site.standing.gaps == Gaps::Right {
            return;
        }
        let skipped: i64 = seen.gaps.iter().map(|(from, to)| to - from).sum();
        let what = format!(
            "{skipped} offsets are skipped between its batches, in {} places; the first are {from} \
             to {}",
            seen.gaps.len(),
            to - 1
        );
        let is_told = site.has_quarantine || site.standing.gaps == Gaps::Unknown;
        let is_new = |gap: &&Gap| !is_told && !site.known_gaps.contains(gap);
        let new: Vec<Gap> = seen.gaps.iter().filter(is_new).copied().collect();
        let found = if new.is_empty() {
            Finding::note("missing-offsets", path, what)
        } else {
            let mut found = Finding::error("missing-offsets", path, what).remedy(
                "put the file back from a copy; or run verify with --repair, which takes note of it \
                 and goes on without the records",
            );
            found.fix = Some(Fix::Accept(new)).filter(|_| !site.standing.in_use());
            found
        };
        outcome.findings.add(found.of(from));
    }

    fn check_indexes(
        &mut self,
        indexes: Indexes,
        base: i64,
        end: i64,
        published: Option<Published>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let site = self.site;
        let severity = site.soft(end);
        let fix = Some(Fix::Indexes).filter(|_| !site.standing.in_use());
        let folder = site.name(&site.dir);
        for mut found in indexes.findings(&folder, base, severity) {
            found.fix.clone_from(&fix);
            if end > base {
                outcome.findings.add(found.of(base));
            }
        }
        if self.damaged
            || (site.standing.in_use() && published.is_some())
            || site.standing.gaps == Gaps::Right
        {
            return Ok(());
        }
        let storage = &*site.task.env.storage;
        if let Some(what) = self.transactions.disagreement(storage, &site.dir, base, end)? {
            let path = files::path(&folder, base, files::TXN_INDEX);
            let mut found = Finding::new(
                severity,
                "txn-index-mismatch",
                &path,
                format!("the index of aborted transactions does not fit its log: {what}"),
            );
            found.fix = Some(Fix::Aborted).filter(|_| !site.standing.in_use());
            outcome.findings.add(found);
        }
        Ok(())
    }
}

fn located(
    code: &'static str,
    path: &Path,
    position: u64,
    info: &BatchInfo,
    what: String,
) -> Finding {
    Finding::warning(code, path, what).at(position).of(info.base_offset)
}

fn wrong_epoch(stretch: &Stretch, due: i32) -> Finding {
    let Stretch { epoch, first_offset, last_offset, batches, .. } = stretch;
    let count = if *batches == 1 { "1 batch".to_owned() } else { format!("{batches} batches") };
    let what = format!(
        "{count}, offsets {first_offset} to {last_offset}, of leader epoch {epoch} where {due} is \
         due: the checksum does not cover it, and no record is lost"
    );
    let found = Finding::warning("epoch-goes-back", &stretch.path, what);
    found.at(stretch.from).of(*first_offset)
}

fn shortened(path: &Path, len: u64) -> Finding {
    let what = format!("the file ends at position {len}, before what was published");
    Finding::error("shortened", path, what)
        .at(len)
        .remedy("close every process that uses the directory, and verify it again")
}

/// What is wrong with records of a batch whose checksum is right.
fn wrong_records(info: &BatchInfo, batch: &Batch) -> Option<String> {
    let mut due = info.base_offset;
    for record in batch.records().map_while(Result::ok) {
        if info.magic == 2 && (record.offset < due || record.offset > info.last_offset) {
            let what = Corruption::Offset { expected: due, found: record.offset };
            return Some(format!("a record is out of its batch: {what}"));
        }
        due = record.offset + 1;
        let by_creation = info.magic == 2 && info.timestamp_type == TimestampType::CreateTime;
        if by_creation && record.timestamp > info.max_timestamp {
            return Some(format!(
                "offset {} is of {}, and its batch says that none is younger than {}",
                record.offset, record.timestamp, info.max_timestamp
            ));
        }
    }
    None
}
