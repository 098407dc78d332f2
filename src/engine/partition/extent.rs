//! How much is in a log, and how young it is.

use crate::engine::partition::Partition;
use crate::error::Result;
use crate::log::segment::{Segment, TimedOffset};
use crate::log::segments::Edition;
use crate::log::tail::Tail;

impl Partition {
    /// Bytes of the log's segments, indexes not counted.
    pub fn size(&self) -> Result<u64> {
        self.ready()?;
        self.steady(|swaps| {
            let tail = self.page.tail();
            let edition = Edition { newest: tail.segment_base, swaps };
            let mut size = tail.end_position;
            for base in self.segments.bases(edition)? {
                if base < tail.segment_base {
                    size += self.segments.get(base, edition)?.len()?;
                }
            }
            Ok(size)
        })
    }

    /// The first of the youngest records (`ListOffsets` with -3); `None` where no record has a
    /// timestamp.
    pub fn max_timestamp(&self) -> Result<Option<TimedOffset>> {
        self.ready()?;
        let found = self.steady(|swaps| self.max_timestamp_in(swaps));
        found.map_err(|error| {
            error.limited_by(crate::config::directory::MAX_DECOMPRESSED_SETTING, None)
        })
    }

    fn max_timestamp_in(&self, swaps: u64) -> Result<Option<TimedOffset>> {
        let tail = self.page.tail();
        let edition = Edition { newest: tail.segment_base, swaps };
        let start = self.page.log_start_offset();
        let mut youngest: Option<(i64, i64)> = None;
        for base in self.segments.bases(edition)? {
            let segment = self.segments.get(base, edition)?;
            let timestamp = youngest_since(&segment, start, &tail)?;
            if timestamp > youngest.map_or(-1, |(timestamp, _)| timestamp) {
                youngest = Some((timestamp, base));
            }
        }
        let Some((timestamp, base)) = youngest else { return Ok(None) };
        let segment = self.segments.get(base, edition)?;
        let limit = self.shared.config().max_decompressed_bytes;
        segment.find_time(timestamp, start, Self::end_of(&segment, &tail)?, limit)
    }
}

/// The largest timestamp of a segment's batches that reach `start`; below 0 if there is none.
fn youngest_since(segment: &Segment, start: i64, tail: &Tail) -> Result<i64> {
    let is_active = segment.base_offset == tail.segment_base;
    let end = if is_active { tail.end_position } else { segment.len()? };
    let entries = if is_active { tail.time_entries } else { segment.times.entries()? };
    let youngest = segment.youngest(entries, end)?;
    if youngest.offset >= start || youngest.timestamp < 0 {
        return Ok(youngest.timestamp);
    }
    segment.youngest_from(start, end)
}
