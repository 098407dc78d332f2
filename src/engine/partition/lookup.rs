//! Places in a log by what is known of them: Kafka's `ListOffsets`.

use crate::engine::TimedOffset;
use crate::engine::partition::Partition;
use crate::error::Result;
use crate::types::{IsolationLevel, Timestamp};

/// A place in a log. Kafka has numbers below zero for those that are no times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The end, -1.
    Latest,
    /// The first record, -2; also -4, as nothing of a log is elsewhere.
    Earliest,
    /// The first of the youngest records, -3.
    MaxTimestamp,
    /// The last record that is elsewhere too, -5: there is none.
    Tiered,
    /// The first record that is not older.
    Time(Timestamp),
}

impl Place {
    /// The place of Kafka's number; `None` where it has none.
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            -1 => Self::Latest,
            -2 | -4 => Self::Earliest,
            -3 => Self::MaxTimestamp,
            -5 => Self::Tiered,
            0.. => Self::Time(number),
            _ => return None,
        })
    }
}

/// The timestamp of a place that is no record.
const NO_TIME: Timestamp = -1;

impl Partition {
    /// The offset of a place, with the timestamp of its record where it was found by that; `None`
    /// if there is no such record.
    pub fn look_up(&self, place: Place, isolation: IsolationLevel) -> Result<Option<TimedOffset>> {
        let ends = self.ends()?;
        let end = match isolation {
            IsolationLevel::ReadUncommitted => ends.log_end_offset,
            IsolationLevel::ReadCommitted => ends.last_stable_offset,
        };
        let untimed = |offset, leader_epoch| {
            Ok(Some(TimedOffset { offset, timestamp: NO_TIME, leader_epoch }))
        };
        let found = match place {
            Place::Latest => return untimed(end, self.leader_epoch()?),
            Place::Earliest => {
                let start = ends.log_start_offset;
                return untimed(start, self.epoch_at(start)?);
            }
            Place::Tiered => None,
            Place::MaxTimestamp => self.max_timestamp()?,
            Place::Time(time) => self.offset_for_time(time)?,
        };
        Ok(found.filter(|found| found.offset < end))
    }
}
