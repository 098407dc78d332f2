//! What a topic takes: records without a key and timestamps far from the clock are refused as by a
//! broker (Kafka's `LogValidator`).

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::engine::partition::Partition;
use crate::error::{AtPosition, Corruption, Error, Result};
use crate::record::{Batch, BatchInfo};
use crate::types::Durability;

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
        let window = config.timestamp_window();
        let now = if window.is_some() { self.shared.env.clock.now() } else { 0 };
        let check = |timestamp| window.map_or(Ok(()), |it| it.check(&self.id, timestamp, now));
        check(info.max_timestamp)?;
        // A record may be too old although the youngest is not.
        let each_time = info.last_offset > info.base_offset
            && window.is_some_and(|window| window.oldest(now) > 0);
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
            check(record.timestamp)?;
        }
        Ok(())
    }
}
