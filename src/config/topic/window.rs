//! The timestamps that a topic takes, by how far they lie from the clock.

use crate::config::TopicConfig;
use crate::error::{Error, Result};
use crate::types::{NO_TIMESTAMP, Timestamp, TimestampType, TopicPartition};

/// How far before and after the clock a record's own timestamp may lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampWindow {
    before: i64,
    after: i64,
}

impl TopicConfig {
    /// `None` if the topic takes every timestamp, or gives its own.
    pub(crate) fn timestamp_window(&self) -> Option<TimestampWindow> {
        let (before, after) =
            (self.message_timestamp_before_max_ms, self.message_timestamp_after_max_ms);
        let is_free = (before, after) == (i64::MAX, i64::MAX);
        let is_own = self.message_timestamp_type == TimestampType::CreateTime;
        (is_own && !is_free).then_some(TimestampWindow { before, after })
    }
}

impl TimestampWindow {
    /// The oldest timestamp that is taken at `now`.
    pub(crate) fn oldest(self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.before)
    }

    /// Refuses a timestamp out of range; a record without one is taken.
    pub(crate) fn check(
        self,
        partition: &TopicPartition,
        timestamp: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let (from, to) = (self.oldest(now), now.saturating_add(self.after));
        if timestamp == NO_TIMESTAMP || (from..=to).contains(&timestamp) {
            return Ok(());
        }
        Err(Error::InvalidTimestamp { partition: partition.clone(), timestamp, from, to })
    }
}
