//! What a topic takes: records without a key and timestamps far from the clock are refused as by a
//! broker (Kafka's `LogValidator`).

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::engine::partition::Partition;
use crate::error::{AtPosition, Corruption, Error, Result};
use crate::record::{Batch, BatchInfo};
use crate::types::{Durability, NO_TIMESTAMP, Timestamp, TimestampType};

impl Partition {
    /// Refuses what can never be acknowledged: with `acks=all`, where `min.insync.replicas` asks for
    /// more copies than the one there is.
    pub(super) fn check_durability(
        &self,
        durability: Durability,
        config: &TopicConfig,
    ) -> Result<()> {
        let needed = config.min_insync_replicas;
        if durability == Durability::Durable && needed > 1 {
            return Err(Error::NotEnoughReplicas { partition: self.id.clone(), needed });
        }
        Ok(())
    }

    /// Refuses a batch with a record that the topic does not take.
    pub(super) fn check_records(
        &self,
        batch: &[u8],
        info: &BatchInfo,
        config: &TopicConfig,
    ) -> Result<()> {
        if info.is_control {
            return Ok(());
        }
        let times = Times::of(config, || self.shared.env.clock.now());
        times.check(self, info.max_timestamp)?;
        let each_time = times.may_refuse_older(info);
        if !config.compacted && !each_time {
            return Ok(());
        }
        let limit = self.shared.config().max_decompressed_bytes;
        let decoded = match Batch::decode(Bytes::copy_from_slice(batch), limit) {
            // Who must look into it, as compaction, will say so.
            Err(Corruption::TooLarge { .. }) => return Ok(()),
            decoded => decoded.at_position(&self.dir, 0)?,
        };
        for record in decoded.records() {
            let record = record.at_position(&self.dir, 0)?;
            if config.compacted && record.key.is_none() {
                return Err(Error::KeyRequired(self.id.clone()));
            }
            times.check(self, record.timestamp)?;
        }
        Ok(())
    }
}

/// The timestamps that a topic takes now.
struct Times {
    from: Timestamp,
    to: Timestamp,
}

impl Times {
    fn of(config: &TopicConfig, now: impl Fn() -> Timestamp) -> Self {
        let (before, after) =
            (config.message_timestamp_before_max_ms, config.message_timestamp_after_max_ms);
        let is_free = (before, after) == (i64::MAX, i64::MAX);
        if is_free || config.message_timestamp_type == TimestampType::LogAppendTime {
            return Self { from: Timestamp::MIN, to: Timestamp::MAX };
        }
        let now = now();
        Self { from: now.saturating_sub(before), to: now.saturating_add(after) }
    }

    /// Whether a record of the batch may be too old although its youngest is not.
    fn may_refuse_older(&self, info: &BatchInfo) -> bool {
        self.from > 0 && info.last_offset > info.base_offset
    }

    fn check(&self, partition: &Partition, timestamp: Timestamp) -> Result<()> {
        if timestamp == NO_TIMESTAMP || (self.from..=self.to).contains(&timestamp) {
            return Ok(());
        }
        let (partition, from, to) = (partition.id.clone(), self.from, self.to);
        Err(Error::InvalidTimestamp { partition, timestamp, from, to })
    }
}
