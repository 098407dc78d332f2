//! How long a batch may be.

use super::TopicConfig;
use crate::error::{Error, Result};
use crate::types::TopicPartition;

/// What a topic says of the size of a batch, as it lies in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    message: usize,
    segment: usize,
}

impl BatchLimits {
    /// The size that breaks no limit.
    pub(crate) fn least(self) -> usize {
        self.message.min(self.segment)
    }

    /// Refuses a batch in Kafka's order (`UnifiedLog.append`): what is too long for a message and
    /// for a segment is too long for a message.
    pub(crate) fn check(self, id: &TopicPartition, size: usize) -> Result<()> {
        if size > self.message {
            return Err(Error::RecordTooLarge {
                size,
                max: self.message,
                setting: "max.message.bytes",
            });
        }
        if size > self.segment {
            return Err(Error::BatchTooLarge { partition: id.clone(), size, max: self.segment });
        }
        Ok(())
    }
}

impl TopicConfig {
    /// What the settings say of the size of a batch.
    pub(crate) fn batch_limits(&self) -> BatchLimits {
        let (message, segment) = (self.max_message_bytes as usize, self.segment_bytes as usize);
        BatchLimits { message, segment }
    }
}
