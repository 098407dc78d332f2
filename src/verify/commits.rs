//! What `__consumer_offsets` holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::coord::schema;
use crate::record::{Batch, Record};
use crate::types::TopicPartition;
use crate::verify::finding::{Finding, Findings, Severity};

/// Where each group stands, by group and partition.
#[derive(Debug, Default)]
pub(crate) struct Commits(BTreeMap<(String, TopicPartition), Commit>);

#[derive(Debug)]
struct Commit {
    offset: i64,
    leader_epoch: i32,
    path: PathBuf,
    /// The offset of the commit itself.
    at: i64,
}

/// Kafka's newest version of a commit's or a group's key; later ones are of other things.
const NEWEST_KEY: i16 = 2;

impl Commits {
    /// Takes in the records of a batch; what they say of nothing is a finding.
    pub(crate) fn take(
        &mut self,
        path: &Path,
        position: u64,
        batch: &Batch,
        findings: &mut Findings,
    ) {
        for record in batch.records().map_while(Result::ok) {
            if let Err(what) = self.record(path, &record) {
                let remedy = "it is passed over; commit again if the group has lost its place";
                let found = Finding::warning("bad-commit", path, what).remedy(remedy);
                findings.add(found.at(position).of(record.offset));
            }
        }
    }

    fn record(&mut self, path: &Path, record: &Record<'_>) -> Result<(), &'static str> {
        let key = record.key.ok_or("a record without a key")?;
        let version = key.first_chunk().map(|version| i16::from_be_bytes(*version));
        let version = version.ok_or("a key without a version")?;
        if version > NEWEST_KEY {
            return Ok(());
        }
        if version == NEWEST_KEY {
            schema::parse_group_key(key).ok_or("a key that names no group")?;
            let value = record.value.map(|value| schema::parse_group_value(value).map(drop));
            return value.unwrap_or(Some(())).ok_or("a value that describes no group");
        }
        let key = schema::parse_key(key).ok_or("a key that names no group and partition")?;
        let id = (key.group, key.partition);
        let Some(value) = record.value else {
            self.0.remove(&id);
            return Ok(());
        };
        let value = schema::parse_value(value).ok_or("a value that is no committed offset")?;
        let offset = value.commit.offset;
        let leader_epoch = value.commit.leader_epoch;
        self.0
            .insert(id, Commit { offset, leader_epoch, path: path.to_owned(), at: record.offset });
        Ok(())
    }

    /// Takes in what others have found.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Reports the commits that lie behind the ends of their logs. One of an epoch that is over was
    /// made before a loss that is known: the group goes on where that epoch ends. Others are wrong
    /// if `is_odd` says so.
    pub(crate) fn compare(
        &self,
        ends: &BTreeMap<TopicPartition, i64>,
        epochs: &BTreeMap<TopicPartition, i32>,
        is_odd: bool,
        findings: &mut Findings,
    ) {
        for ((group, partition), commit) in &self.0 {
            let Some(end) = ends.get(partition).filter(|end| commit.offset > **end) else {
                continue;
            };
            let message = format!(
                "group {group:?} has committed offset {} of {partition}, which ends at {end}",
                commit.offset
            );
            let newest = epochs.get(partition).copied().unwrap_or(-1);
            let is_known = (0..newest).contains(&commit.leader_epoch);
            let severity = if is_odd && !is_known { Severity::Warning } else { Severity::Note };
            let remedy = "the group goes on where its history ends, or where auto_offset_reset \
                          says; commit again to set another place";
            let found = Finding::new(severity, "commit-past-end", &commit.path, message);
            let found = found.remedy(remedy);
            findings.add(found.of(commit.at));
        }
    }
}
