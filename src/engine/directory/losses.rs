//! What somebody has removed from a directory while nobody had it open, as far as the names in it
//! and its lists tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::engine::directory::root::{FORMAT, LOG_STARTS, RECOVERY_POINTS};
use crate::engine::topics::{Topic, Topics};
use crate::env::Entry;
use crate::log::checkpoint::Offsets;

/// The numbers of the folders that each topic has.
pub(crate) type Folders = BTreeMap<String, BTreeSet<i32>>;

/// What a directory of ours has that was closed in good order, and what comes of its absence.
const LISTS: [(&str, &str); 2] = [
    (RECOVERY_POINTS, "a log that has lost its end is not noticed"),
    (LOG_STARTS, "records that were deleted, and whose segment is still there, are read again"),
];

/// The lists that somebody has removed from among these names, and what comes of that; for a
/// directory that was closed in good order.
pub(crate) fn lists<'a>(
    names: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    let is_ours = names(FORMAT);
    LISTS.into_iter().filter(move |(name, _)| is_ours && !names(name))
}

/// Warns of lists that are gone, though the directory was closed in good order.
pub(crate) fn tell_lists(dir: &Path, entries: &[Entry]) {
    let is_there = |name: &str| entries.iter().any(|entry| entry.name == name);
    for (name, outcome) in lists(is_there) {
        log::warn!("{} is gone: {outcome}", dir.join(name).display());
    }
}

/// Warns of partitions whose folders are gone: those of `listed`, and those that had records.
pub(crate) fn tell_folders(
    dir: &Path,
    listed: &Topics,
    deleted: &[Arc<Topic>],
    folders: &Folders,
    points: &Offsets,
) {
    let is_deleted = |name: &str| deleted.iter().any(|topic| *topic.name == *name);
    for (id, end) in points.iter().filter(|(id, end)| **end > 0 && !is_deleted(&id.topic)) {
        let numbers = folders.get(&*id.topic);
        if numbers.is_some_and(|numbers| numbers.contains(&id.partition)) {
            continue;
        }
        let (what, dir) = if numbers.is_some() && listed.get(&id.topic).is_some() {
            ("it is refused until `brokerless verify --repair` goes on without them", dir.display())
        } else {
            ("the topic begins anew", dir.display())
        };
        log::warn!(
            "{id} had records up to offset {end}, and its folder is gone from {dir}: {what}, unless \
             all close the directory and put the folder back"
        );
    }
    for topic in listed.iter().filter(|topic| !folders.contains_key(&*topic.name)) {
        let ids = (0..topic.partition_count()).map(|number| format!("{}-{number}", topic.name));
        log::warn!(
            "{} has no folder in {}: {} begin anew, and empty",
            topic.name,
            dir.display(),
            ids.collect::<Vec<_>>().join(", ")
        );
    }
}

/// How many of the topics with unknown settings are named.
const NAMED: usize = 5;

/// Warns of topics that only their folders tell of, and that keep everything therefore.
pub(crate) fn tell_unknown<'a>(dir: &Path, topics: impl Iterator<Item = &'a Arc<Topic>>) {
    let names: Vec<&str> =
        topics.filter(|topic| !topic.internal).map(|topic| &*topic.name).collect();
    if names.is_empty() {
        return;
    }
    let more = if names.len() > NAMED { ", ..." } else { "" };
    log::warn!(
        "{} does not tell what settings these topics had ({} in all): {}{more}; they keep all \
         their records (retention.ms=-1, retention.bytes=-1) until `brokerless topics alter` sets \
         their cleanup.policy and retention",
        dir.display(),
        names.len(),
        names[..names.len().min(NAMED)].join(", ")
    );
}
