//! Settings: Kafka's names, defaults and checks.

pub mod topic;

pub use topic::TopicConfig;
