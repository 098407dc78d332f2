//! Settings: Kafka's names, defaults and checks.

pub mod consumer;
pub mod directory;
pub mod group;
mod names;
pub mod producer;
pub(crate) mod properties;
pub mod setting;
pub mod topic;

pub use consumer::{Assignor, ConsumerConfig, OffsetReset};
pub use directory::DirectoryConfig;
pub use producer::ProducerConfig;
pub use setting::{Change, Described, Kind, Source};
pub use topic::TopicConfig;
