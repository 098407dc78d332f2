//! Where a log ends, and what the next append must know of what is before it.

use crate::record::BatchInfo;
use crate::types::{NO_TIMESTAMP, Timestamp};

/// The end of a log. Whoever appends reads it under the partition's lock and publishes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The offset of the next record.
    pub(crate) end_offset: i64,
    /// Bytes of the active segment's log.
    pub(crate) end_position: u64,
    /// The base offset of the active segment.
    pub(crate) segment_base: i64,
    /// The youngest timestamp in the active segment.
    pub(crate) max_timestamp: Timestamp,
    /// The last offset of the batch that has it.
    pub(crate) offset_of_max_timestamp: i64,
    /// Where the bytes begin that count towards the next index entry.
    pub(crate) indexed_position: u64,
    /// What a `read_committed` reader may see ends here.
    pub(crate) last_stable_offset: i64,
    /// Entries of the active segment's offset index.
    pub(crate) index_entries: u32,
    /// Entries of its time index.
    pub(crate) time_entries: u32,
}

impl Tail {
    /// The end of a log whose active segment is empty.
    pub(crate) const fn empty(base: i64) -> Self {
        Self {
            end_offset: base,
            end_position: 0,
            segment_base: base,
            max_timestamp: NO_TIMESTAMP,
            offset_of_max_timestamp: -1,
            indexed_position: 0,
            last_stable_offset: base,
            index_entries: 0,
            time_entries: 0,
        }
    }

    /// The end after a batch of `info`, whose base offset is final, was appended at the end, its
    /// index entries not counted.
    pub(crate) fn after(mut self, info: &BatchInfo) -> Self {
        self.end_offset = info.next_offset();
        self.end_position = self.end_position.saturating_add(info.size as u64);
        if info.max_timestamp > self.max_timestamp {
            self.max_timestamp = info.max_timestamp;
            self.offset_of_max_timestamp = info.last_offset;
        }
        self
    }
}
