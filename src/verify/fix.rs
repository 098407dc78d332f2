//! What a repair can do about a finding. Each is done whole or not at all, and none of them removes
//! a byte that is not kept elsewhere.

use crate::log::recovery::gaps::Gap;
use crate::verify::names::Place;

/// One deed. Paths are those of the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fix {
    /// Keep what stands from `position` on aside, and cut the log there; each run of good batches
    /// behind becomes a segment of its own.
    Split { position: u64, runs: Vec<Run> },
    /// Cut the log at that position: only zeros follow.
    Room(u64),
    /// Give a segment's files the names of the offset that it begins at.
    Rename(Place),
    /// Write the epoch into the batches there.
    Stamp { from: u64, to: u64, epoch: i32 },
    /// Take note that these offsets are missing.
    Accept(Vec<Gap>),
    /// Give the file a name that nobody reads.
    Shelve,
    /// Give a segment's files such names.
    ShelveSegment,
    /// Make the indexes of the segment anew from its log.
    Indexes,
    /// Make its transaction index anew.
    Aborted,
    /// Make the snapshot anew.
    Snapshot,
    /// Make the checkpoint of leader epochs anew from the batches.
    Epochs(Vec<(i32, i64)>),
    /// Replace the file's text.
    Text(String),
    /// Make the list of topics anew from the folders.
    Topics,
    /// Write the file, which is not there.
    Missing(String),
}

/// Good batches in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) first_offset: i64,
    /// One past the last.
    pub(crate) end_offset: i64,
}
