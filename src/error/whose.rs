//! Which partition an error is about.

use super::{Error, NO_PARTITION};
use crate::types::TopicPartition;

impl Error {
    /// The partition it is about, if it is about one: others may work.
    pub fn partition(&self) -> Option<&TopicPartition> {
        let (Self::OfPartition { partition, .. }
        | Self::KeyRequired(partition)
        | Self::InvalidTimestamp { partition, .. }
        | Self::NotEnoughReplicas { partition, .. }
        | Self::PolicyViolation { partition, .. }
        | Self::UnknownTopicOrPartition(partition)
        | Self::OffsetOutOfRange { partition, .. }
        | Self::NoOffsetForPartition(partition)
        | Self::LogTruncation { partition, .. }
        | Self::Poisoned(partition)) = self
        else {
            return None;
        };
        Some(partition).filter(|it| it.partition != NO_PARTITION)
    }

    /// The same, as an error about this partition; what is about the client stays as it is.
    pub(crate) fn of(self, partition: &TopicPartition) -> Self {
        let is_the_clients = matches!(
            self,
            Self::Timeout { .. }
                | Self::HeldAlone { .. }
                | Self::Interrupted
                | Self::Closed(_)
                | Self::Forked(_)
                | Self::IllegalState(_)
        );
        if is_the_clients || self.partition().is_some() {
            return self;
        }
        Self::OfPartition { partition: partition.clone(), source: Box::new(self) }
    }

    /// The error itself, where it is wrapped.
    pub fn root(&self) -> &Self {
        match self {
            Self::OfPartition { source, .. } => source.root(),
            other => other,
        }
    }
}

/// Processes by their ids.
pub(super) fn processes(ids: &[u32]) -> String {
    let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
    match &*ids {
        [] => "another process".to_owned(),
        [id] => format!("process {id}"),
        _ => format!("one of the processes {}", ids.join(", ")),
    }
}
