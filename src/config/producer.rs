//! Settings of a producer.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::types::{Compression, Durability};

/// How a producer behaves; [`Default`] has kafka-python's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerConfig {
    /// `acks`: when a record counts as delivered.
    pub acks: Durability,
    /// `linger.ms`: how long a batch waits for more records.
    pub linger: Duration,
    /// `batch.size`, in bytes. Left at its default, a batch may grow beyond it while the sender
    /// is busy.
    pub batch_size: usize,
    /// `compression.type`; a topic's own setting goes before it.
    pub compression: Compression,
    /// The codec's level; `None` is the codec's default.
    pub compression_level: Option<i32>,
    /// `max.request.size`: the largest record, in bytes, before compression.
    pub max_request_size: usize,
    /// `buffer.memory`: bytes of records that are not delivered yet.
    pub buffer_memory: usize,
    /// `max.block.ms`: how long `send` waits for memory.
    pub max_block: Duration,
    /// `delivery.timeout.ms`: a batch that waited longer for its turn fails.
    pub delivery_timeout: Duration,
    /// `allow.auto.create.topics`: whether a topic that is sent to is made.
    pub allow_auto_create_topics: bool,
    /// `client.id`: a name for logs.
    pub client_id: String,
}

impl ProducerConfig {
    /// Kafka's `batch.size`.
    pub const DEFAULT_BATCH_SIZE: usize = 16 << 10;

    /// Refuses values that cannot work together.
    pub fn check(&self) -> Result<()> {
        if self.buffer_memory == 0 {
            return Err(invalid("buffer_memory", &self.buffer_memory, "it must be positive"));
        }
        if self.max_request_size == 0 {
            return Err(invalid("max_request_size", &self.max_request_size, "it must be positive"));
        }
        if self.delivery_timeout < self.linger {
            let why = "it must not be shorter than linger_ms";
            return Err(invalid("delivery_timeout_ms", &self.delivery_timeout.as_millis(), why));
        }
        Ok(())
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Durability::default(),
            linger: Duration::ZERO,
            batch_size: Self::DEFAULT_BATCH_SIZE,
            compression: Compression::None,
            compression_level: None,
            max_request_size: 1 << 20,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(120),
            allow_auto_create_topics: true,
            client_id: String::new(),
        }
    }
}

fn invalid(name: &str, value: &dyn ToString, why: &str) -> Error {
    Error::InvalidConfig { name: name.into(), value: value.to_string(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(ProducerConfig::default().check().is_ok());
    }

    #[test]
    fn no_memory_is_refused() {
        let config = ProducerConfig { buffer_memory: 0, ..ProducerConfig::default() };

        assert!(matches!(config.check(), Err(Error::InvalidConfig { .. })));
    }

    #[test]
    fn a_linger_beyond_the_delivery_timeout_is_refused() {
        let config = ProducerConfig {
            linger: Duration::from_secs(2),
            delivery_timeout: Duration::from_secs(1),
            ..ProducerConfig::default()
        };

        assert!(matches!(config.check(), Err(Error::InvalidConfig { .. })));
    }
}
