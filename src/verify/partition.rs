//! The check of one partition's folder.

use std::path::{Path, PathBuf};

use crate::engine::topics::{self, Topics};
use crate::env::Kind;
use crate::error::{At, Error, Result};
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::log::producers::Producers;
use crate::log::recovery::gaps::{self, Gap};
use crate::types::TopicPartition;
use crate::verify::directory::{CANNOT_READ, cannot_read, describe, removed};
use crate::verify::finding::{Finding, Severity};
use crate::verify::fix::Fix;
use crate::verify::segment::Log;
use crate::verify::standing::{Standing, Survey, User};
use crate::verify::{Outcome, Task};

/// A partition, and what is known of it.
pub(crate) struct Site<'a> {
    pub(crate) task: &'a Task<'a>,
    pub(crate) dir: PathBuf,
    pub(crate) standing: Standing,
    pub(crate) id: &'a TopicPartition,
    /// Base offsets of its segments, ascending.
    pub(crate) bases: Vec<i64>,
    /// Whether records were taken out of it by a repair or a recovery.
    pub(crate) has_quarantine: bool,
    /// Missing offsets that a repair has taken note of.
    pub(crate) known_gaps: Vec<Gap>,
}

/// What a name in a partition's folder stands for.
enum Named {
    Known,
    /// Something that the next to open the directory puts in order.
    Leftover(&'static str),
    Quarantined,
    Unknown,
}

impl Task<'_> {
    /// Checks a partition. While others have it open, files may be replaced under the check, which
    /// is then done again.
    pub(crate) fn check_partition(&self, survey: &Survey, id: &TopicPartition) -> Result<Outcome> {
        const TRIES: usize = 3;
        self.begin(id)?;
        for _ in 0..TRIES {
            let standing = survey.of(id)?;
            let before = *self.counts.borrow();
            let checked = self.check_folder(id, standing.clone());
            let same = standing.published.map(|it| it.swaps)
                == survey.of(id)?.published.map(|it| it.swaps);
            let steady = standing.published.is_none_or(|it| it.swaps % 2 == 0) && same;
            let steady = steady && (!standing.in_use() || self.is_the_same(survey, id)?);
            match checked {
                Err(error) if standing.in_use() && is_gone(&error) => {}
                checked if steady || !standing.in_use() => return checked,
                _ => {}
            }
            *self.counts.borrow_mut() = before;
        }
        let mut outcome = Outcome::default();
        let message = "its files were replaced again and again while it was checked";
        outcome.findings.add(Finding::note("changed", Path::new(&id.to_string()), message));
        Ok(outcome)
    }

    /// Whether the topic is listed as it was; else it was deleted, and perhaps made again.
    pub(crate) fn is_the_same(&self, survey: &Survey, id: &TopicPartition) -> Result<bool> {
        let topics = match Topics::read(&*self.env.storage, self.dir, 0) {
            // That is reported elsewhere.
            Err(Error::Damaged { .. } | Error::Missing { .. }) => Topics::default(),
            topics => topics?,
        };
        let named = |topics: &Topics| topics.get(&id.topic).map(|topic| topic.id);
        Ok(named(&topics) == named(&survey.topics))
    }

    fn check_folder(&self, id: &TopicPartition, standing: Standing) -> Result<Outcome> {
        let dir = self.dir.join(id.to_string());
        let mut outcome = Outcome { known: true, ..Outcome::default() };
        let mut site = Site {
            task: self,
            dir,
            standing,
            id,
            bases: Vec::new(),
            has_quarantine: false,
            known_gaps: Vec::new(),
        };
        if let Err(error) = site.check_names(&mut outcome) {
            let error = pass_over(error, site.standing.in_use())?;
            outcome.findings.add(cannot_read(&self.name(&site.dir), &error));
            outcome.known = false;
            return Ok(outcome);
        }
        site.check_metadata(&mut outcome)?;
        site.check_known_gaps(&mut outcome)?;
        Log::new(&site, &mut outcome)?.check(&mut outcome)?;
        site.check_snapshots(&mut outcome)?;
        // What seems to be missing may be there.
        if outcome.findings.has(CANNOT_READ) {
            outcome.findings.leave_alone();
        }
        Ok(outcome)
    }
}

/// Errors of files are findings; while others have the directory open, a file that is gone is not.
pub(crate) fn pass_over(error: Error, in_use: bool) -> Result<Error> {
    match error {
        error @ Error::Io { .. } if !(in_use && is_gone(&error)) => Ok(error),
        error => Err(error),
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

impl Site<'_> {
    pub(crate) fn name(&self, path: &Path) -> PathBuf {
        self.task.name(path)
    }

    /// How bad it is if something is wrong that recovery makes anew after a crash.
    pub(crate) fn soft(&self, offset: i64) -> Severity {
        if self.standing.tolerates(offset) || self.standing.user == User::Broker {
            Severity::Note
        } else {
            Severity::Warning
        }
    }

    fn check_names(&mut self, outcome: &mut Outcome) -> Result<()> {
        let storage = &*self.task.env.storage;
        let mut names: Vec<String> =
            storage.list(&self.dir).at("list", &self.dir)?.into_iter().map(|it| it.name).collect();
        names.sort();
        for name in names {
            let path = self.dir.join(&name);
            let described = describe(storage, &path)?;
            let shown = self.name(&path);
            let Some(described) = described else { continue };
            outcome.findings.extend(described.open_to_others(&shown));
            outcome.findings.extend(described.other_names(&shown, is_written(&name)));
            match described.kind {
                Kind::File => {}
                Kind::Folder if is_ours(&name) => {
                    outcome.findings.add(described.not_a_file(&shown, true));
                    outcome.known = false;
                    continue;
                }
                Kind::Folder => {
                    let what = "a folder that does not belong here";
                    outcome.findings.add(Finding::warning("unknown-folder", &shown, what));
                    continue;
                }
                Kind::Link | Kind::Special => {
                    outcome.findings.add(described.not_a_file(&shown, is_ours(&name)));
                    outcome.known &= !is_ours(&name);
                    continue;
                }
            }
            if let Some(base) = files::offset_of(&name, files::LOG) {
                self.bases.push(base);
            }
            match named(&name) {
                Named::Known => {}
                Named::Leftover(what) => {
                    outcome.findings.add(Finding::note("leftover", &shown, what));
                }
                Named::Quarantined => {
                    self.has_quarantine |= files::is_quarantined(&name);
                    let what = "what a recovery or repair took out of the log; nothing reads it";
                    let remedy = "remove it when it is not needed any more";
                    outcome.findings.add(Finding::note("quarantined", &shown, what).remedy(remedy));
                }
                Named::Unknown => {
                    let what = "a file that neither Kafka nor brokerless knows";
                    outcome.findings.add(Finding::note("unknown-file", &shown, what));
                }
            }
        }
        self.bases.sort_unstable();
        self.known_gaps = gaps::read_known(storage, &self.dir)?;
        if let Some(published) = self.standing.published {
            // A segment that is being made may yet be taken back.
            self.bases.retain(|base| *base <= published.segment_base);
            if self.bases.last() != Some(&published.segment_base) {
                let path = files::path(&self.dir, published.segment_base, files::LOG);
                let what = "the segment was removed while processes have it open and write to it";
                outcome.findings.add(removed(&self.name(&path), what));
                outcome.known = false;
            }
        }
        Ok(())
    }

    fn read(&self, name: &str, outcome: &mut Outcome) -> Result<Option<Vec<u8>>> {
        let path = self.dir.join(name);
        match files::read(&*self.task.env.storage, &path) {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                let error = pass_over(error, self.standing.in_use())?;
                outcome.findings.add_once(cannot_read(&self.name(&path), &error));
                Ok(None)
            }
        }
    }

    fn check_metadata(&self, outcome: &mut Outcome) -> Result<()> {
        let path = self.name(&self.dir.join(files::PARTITION_METADATA));
        let due = self.standing.topic_id.as_ref().map(|id| format!("version: 0\ntopic_id: {id}"));
        let Some(bytes) = self.read(files::PARTITION_METADATA, outcome)? else {
            let due = due.filter(|_| !self.bases.is_empty() && !self.standing.in_use());
            outcome.findings.extend(due.map(|text| {
                let what = "there is none: it is written when the partition is next used";
                Finding::note("metadata-missing", &path, what).fix(Fix::Missing(text))
            }));
            return Ok(());
        };
        if let Some(id) = topics::named_id(&bytes) {
            let known = self.standing.topic_id.as_ref().filter(|known| **known != id.to_string());
            outcome.findings.extend(known.map(|known| {
                let what = format!(
                    "it says topic id {id}, and .brokerless-topics says {known}: the partition \
                     cannot be used"
                );
                Finding::error("other-topic", &path, what).remedy(
                    "put the folders of the partitions back under their names; or, if the records \
                     are this topic's, remove this file",
                )
            }));
            return Ok(());
        }
        let what = "it names no topic id";
        let mut found = Finding::new(self.soft(i64::MAX), "metadata-mismatch", &path, what)
            .remedy("it is written again when the partition is next used");
        found.fix = due.map(Fix::Text);
        outcome.findings.add(found);
        Ok(())
    }

    /// The list of missing offsets that repairs have taken note of.
    fn check_known_gaps(&self, outcome: &mut Outcome) -> Result<()> {
        let Some(bytes) = self.read(files::MISSING, outcome)? else { return Ok(()) };
        let kept = gaps::encode_known(&self.known_gaps);
        if kept.as_bytes() == bytes {
            return Ok(());
        }
        let path = self.name(&self.dir.join(files::MISSING));
        let what = "it is no list of missing offsets, or not from its first line to its last: what \
                    a repair has noted behind that is told of again";
        let mut found = Finding::warning("bad-missing", &path, what);
        found.fix = Some(Fix::Text(kept)).filter(|_| !self.standing.in_use());
        outcome.findings.add(found.remedy(
            "put it back from a copy; or run verify with --repair: that keeps the lines that can \
             be read",
        ));
        Ok(())
    }

    /// What the checkpoint says of leader epochs; nothing if it cannot be right.
    pub(crate) fn epochs(&self, outcome: &mut Outcome) -> Result<LeaderEpochs> {
        let bytes = self.read(files::LEADER_EPOCHS, outcome)?;
        let epochs = bytes.and_then(|bytes| LeaderEpochs::parse(&bytes));
        Ok(epochs.filter(LeaderEpochs::ascends).unwrap_or_default())
    }

    /// The epochs that the log should have, from what its batches say.
    pub(crate) fn check_epochs(
        &self,
        seen: &[(i32, i64)],
        end: i64,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let path = self.name(&self.dir.join(files::LEADER_EPOCHS));
        let rebuilt = Fix::Epochs(seen.to_vec());
        let Some(bytes) = self.read(files::LEADER_EPOCHS, outcome)? else {
            if end > 0 && !seen.is_empty() && !self.standing.in_use() {
                let what = "there is none: leader epochs begin anew";
                outcome.findings.add(Finding::note("epochs-missing", &path, what).fix(rebuilt));
            }
            return Ok(());
        };
        let newest = seen.last().map_or(-1, |(epoch, _)| *epoch);
        let severity = self.soft(end);
        let wrong = match LeaderEpochs::parse(&bytes) {
            // As old brokers leave it.
            None if bytes.is_empty() && seen.is_empty() => return Ok(()),
            None => "it is no list of leader epochs".to_owned(),
            Some(epochs) if !epochs.ascends() => "its epochs do not ascend".to_owned(),
            Some(epochs) if epochs.latest().unwrap_or(-1) < newest => {
                format!("its newest epoch is older than that of the last batch, {newest}")
            }
            Some(_) => return Ok(()),
        };
        outcome.findings.add(Finding::new(severity, "epochs-mismatch", &path, wrong).fix(rebuilt));
        Ok(())
    }

    fn check_snapshots(&self, outcome: &mut Outcome) -> Result<()> {
        let storage = &*self.task.env.storage;
        for at in files::offsets(storage, &self.dir, files::SNAPSHOT)? {
            let path = files::path(&self.dir, at, files::SNAPSHOT);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(bytes) = self.read(name, outcome)? else { continue };
            let shown = self.name(&path);
            if self.standing.published.is_none() && outcome.known && at > outcome.end {
                let what = format!("it is of offset {at}, and the log ends at {}", outcome.end);
                let severity = self.soft(outcome.end);
                let found = Finding::new(severity, "snapshot-past-end", &shown, what).of(at);
                outcome.findings.add(found.fix(Fix::Shelve));
            } else if Producers::parse(&bytes).is_none() {
                let what = "its checksum does not fit: an older one is used in its place";
                let found = Finding::new(self.soft(at), "bad-snapshot", &shown, what).of(at);
                outcome.findings.add(found.fix(Fix::Snapshot));
            }
        }
        Ok(())
    }
}

/// Whether a name is of a file that the log is made of.
fn is_ours(name: &str) -> bool {
    matches!(named(name), Named::Known)
}

/// Whether a file is written where it stands: others are replaced whole.
fn is_written(name: &str) -> bool {
    let parts = [files::LOG, files::INDEX, files::TIME_INDEX, files::TXN_INDEX];
    parts.iter().any(|part| files::offset_of(name, part).is_some())
}

fn named(name: &str) -> Named {
    let parts = [files::LOG, files::INDEX, files::TIME_INDEX, files::TXN_INDEX, files::SNAPSHOT];
    let of_segment = |name: &str| parts.iter().any(|part| files::offset_of(name, part).is_some());
    let known = [files::LEADER_EPOCHS, files::PARTITION_METADATA, files::MISSING];
    if of_segment(name) || known.contains(&name) {
        return Named::Known;
    }
    let leftovers = [
        (
            ".cleaned",
            "what a compaction that did not end was writing; it is removed at the next use",
        ),
        (".swap", "a compaction that was not over; it is completed at the next use"),
        (".deleted", "about to be removed; that is done at the next use"),
        (".tmp", "what was being written when somebody died; nothing reads it"),
        (".repair", "what a repair that did not end was writing; the next one removes it"),
    ];
    if let Some((_, what)) = leftovers.iter().find(|(end, _)| name.ends_with(end)) {
        return Named::Leftover(what);
    }
    if name.contains(&format!(".{}", files::QUARANTINED)) {
        return Named::Quarantined;
    }
    Named::Unknown
}
