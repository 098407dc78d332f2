//! What the storm needs of a consumer. There are two: the client's, and a bare one on the engine.

use std::time::Duration;

use brokerless::types::OffsetAndMetadata;
use brokerless::{Result, TopicPartition};

/// How a member is.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) topics: Vec<String>,
    pub(crate) strategy: String,
    /// `group.instance.id`.
    pub(crate) instance: Option<String>,
    /// The session timeout.
    pub(crate) session: Duration,
}

/// What a poll came to.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Assigned(Vec<TopicPartition>),
    /// Until the next poll they may be committed.
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    /// From an offset up to another.
    Records(Vec<(TopicPartition, i64, i64)>),
}

/// A generation that cannot be told any more.
pub(crate) const UNKNOWN: i32 = -1;

pub(crate) trait Consumer {
    fn poll(&mut self, timeout: Duration) -> Result<Step>;
    fn commit(&mut self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()>;
    /// The one in which it was last assigned something.
    fn generation(&self) -> i32;
    /// Leaves in good order; what it owned was given up.
    fn close(self: Box<Self>) -> Result<()>;
}
