//! Kafka's lists of offsets in the data directory, against the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::directory::root::{LOG_STARTS, RECOVERY_POINTS};
use crate::engine::upkeep::compact;
use crate::log::checkpoint::{self, Offsets};
use crate::types::TopicPartition;
use crate::verify::finding::{Finding, Findings};
use crate::verify::fix::Fix;
use crate::verify::standing::Survey;

/// The files.
pub(crate) const NAMES: [&str; 3] = [RECOVERY_POINTS, LOG_STARTS, compact::CHECKPOINT];

/// The code of what is found where a log ends before what was on the disk.
pub(crate) const RECORDS_MISSING: &str = "records-missing";

/// A finding if the bytes are no list.
pub(crate) fn unreadable(path: &Path, bytes: &[u8]) -> Option<Finding> {
    if checkpoint::parse_offsets(bytes).is_some() {
        return None;
    }
    let what = "it is no list of offsets, and counts as empty";
    Some(Finding::warning("bad-checkpoint", path, what).fix(Fix::Shelve))
}

/// Compares the lists with where the logs end.
pub(crate) fn compare(
    survey: &Survey,
    partitions: &[TopicPartition],
    ends: &BTreeMap<TopicPartition, i64>,
    findings: &mut Findings,
) {
    for (name, outcome) in &survey.missing {
        findings.add(missing(name, outcome, ends));
    }
    let there: BTreeSet<_> = partitions.iter().collect();
    for (name, list) in [
        (RECOVERY_POINTS, &survey.recovery_points),
        (LOG_STARTS, &survey.log_starts),
        (compact::CHECKPOINT, &survey.cleaned),
    ] {
        let mut found = Vec::new();
        let mut right = list.clone();
        for (id, offset) in list {
            let end = if there.contains(id) { ends.get(id).copied() } else { Some(0) };
            let Some(end) = end.filter(|end| end < offset) else { continue };
            // Others may have appended and noted it since the log was read.
            if survey.in_use() {
                continue;
            }
            found.push(past_end(name, survey, id, *offset, end, there.contains(id)));
            // A start or a clean part behind the end says nothing of the log.
            if there.contains(id) && name == RECOVERY_POINTS {
                right.insert(id.clone(), end);
            } else {
                right.remove(id);
            }
        }
        report(found, list, &right, findings);
    }
}

/// A list that is gone. What a repair writes in its place is where the logs end now.
fn missing(name: &str, outcome: &str, ends: &BTreeMap<TopicPartition, i64>) -> Finding {
    let is_of_ends = name == RECOVERY_POINTS;
    let lines: Offsets =
        ends.iter().filter(|_| is_of_ends).map(|(id, end)| (id.clone(), *end)).collect();
    let what = format!("it is gone, though the directory was closed in good order: {outcome}");
    Finding::warning("checkpoint-missing", Path::new(name), what)
        .fix(Fix::Missing(checkpoint::encode_offsets(&lines)))
        .remedy(
            "put it back from a copy; or run verify with --repair: that takes the logs as they are",
        )
}

fn report(found: Vec<Finding>, list: &Offsets, right: &Offsets, findings: &mut Findings) {
    let mut fix = (list != right).then(|| Fix::Text(checkpoint::encode_offsets(right)));
    // Of several findings one has the fix: one of records, if there is any, as that needs more.
    let main = found.iter().position(|it| it.code == RECORDS_MISSING).unwrap_or(0);
    for (at, mut found) in found.into_iter().enumerate() {
        found.fix = fix.take_if(|_| at == main);
        findings.add(found);
    }
}

fn past_end(
    name: &'static str,
    survey: &Survey,
    id: &TopicPartition,
    offset: i64,
    end: i64,
    is_there: bool,
) -> Finding {
    let path = Path::new(name);
    let known_topic = survey.topics.get(&id.topic).is_some();
    if !is_there && (!known_topic || name != RECOVERY_POINTS) {
        let what = format!("{id} is listed, and is not there");
        return Finding::note("stale-line", path, what);
    }
    if name != RECOVERY_POINTS {
        let what = format!("{id} is listed with offset {offset}, and ends at {end}");
        return Finding::warning("checkpoint-past-end", path, what).of(offset);
    }
    let missing = format!("offsets {end} to {} are missing", offset - 1);
    let outcome = if is_there {
        format!("ends at {end}: {missing}, and the partition cannot be opened")
    } else {
        format!("its folder is gone: {missing}")
    };
    let what = format!("{id} was on the disk up to offset {offset}, and {outcome}");
    Finding::error(RECORDS_MISSING, path, what).of(end).remedy(
        "put its files back from a copy; or run verify with --repair to go on without the records",
    )
}
