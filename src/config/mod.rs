//! Settings: Kafka's names, defaults and checks.

pub mod consumer;
pub mod producer;
pub mod topic;

pub use consumer::{ConsumerConfig, OffsetReset};
pub use producer::ProducerConfig;
pub use topic::TopicConfig;
