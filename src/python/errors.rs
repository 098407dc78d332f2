//! Engine errors as exceptions of kafka-python's classes, and signals during waits.

use pyo3::exceptions::{PyInterruptedError, PyOSError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use super::structs;
use crate::error::Error;
use crate::types::{OffsetAndMetadata, TopicPartition};

/// The exception of `brokerless.errors` that stands for an error.
fn class_name(error: &Error) -> &'static str {
    match error {
        Error::OfPartition { source, .. } => class_name(source),
        Error::Io { .. }
        | Error::Poisoned(_)
        | Error::Replaced { .. }
        | Error::HeldByBroker(_)
        | Error::InUse(_)
        | Error::OtherMachine(_)
        | Error::NetworkFileSystem { .. }
        | Error::NotWritable { .. }
        | Error::NotADirectory(_)
        | Error::InTheWay(_)
        | Error::NotADataDirectory(_)
        | Error::Damaged { .. }
        | Error::Missing { .. }
        | Error::ReadOnly(_) => "KafkaStorageError",
        Error::CorruptRecord { .. } | Error::RecordsMissing { .. } => "CorruptRecordError",
        Error::RecordTooLarge { .. } | Error::DecompressedTooLarge { .. } => {
            "MessageSizeTooLargeError"
        }
        Error::BatchTooLarge { .. } => "RecordListTooLargeError",
        Error::InvalidTopic(_) | Error::InternalTopic(_) | Error::TopicCollision { .. } => {
            "InvalidTopicError"
        }
        Error::ReservedTopic(_) => "InvalidRequestError",
        Error::PolicyViolation { .. } | Error::TooManyPartitions { .. } => "PolicyViolationError",
        Error::UnknownTopicOrPartition(_) => "UnknownTopicOrPartitionError",
        Error::TopicAlreadyExists(_) => "TopicAlreadyExistsError",
        Error::InvalidPartitions(_) => "InvalidPartitionsError",
        Error::OffsetOutOfRange { .. } => "OffsetOutOfRangeError",
        Error::OffsetMetadataTooLarge { .. } => "OffsetMetadataTooLargeError",
        Error::LogTruncation { .. } => "LogTruncationError",
        Error::NoOffsetForPartition(_) => "NoOffsetForPartitionError",
        Error::InvalidConfig { .. }
        | Error::InvalidChange { .. }
        | Error::InvalidProperty { .. } => "KafkaConfigurationError",
        Error::KeyRequired(_) => "InvalidRecordError",
        Error::InvalidTimestamp { .. } => "InvalidTimestampError",
        Error::NotEnoughReplicas { .. } => "NotEnoughReplicasError",
        Error::TopicDeletionDisabled(_) => "TopicDeletionDisabledError",
        Error::InvalidArgument(_) | Error::InvalidAssignment { .. } => ARGUMENT_VALUE,
        Error::IllegalState(_) | Error::Forked(_) => "IllegalStateError",
        Error::Closed(_) => "ClosedError",
        Error::Timeout { .. } | Error::HeldAlone { .. } | Error::Interrupted => "KafkaTimeoutError",
        Error::NewerFormat { .. } => "UnsupportedVersionError",
        Error::GroupMaxSizeReached(_) => "GroupMaxSizeReachedError",
        Error::InvalidSessionTimeout { .. } => "InvalidSessionTimeoutError",
        Error::GroupNotEmpty(_) => "NonEmptyGroupError",
        Error::GroupIdNotFound(_) => "GroupIdNotFoundError",
        Error::GroupSubscribedToTopic { .. } => "GroupSubscribedToTopicError",
        Error::UnknownMemberId { .. } => "UnknownMemberIdError",
        Error::InvalidGroupId(_) => "InvalidGroupIdError",
        Error::CommitFailed { .. } => "CommitFailedError",
        Error::RebalanceInProgress(_) => "RebalanceInProgressError",
        Error::FencedInstanceId { .. } => "FencedInstanceIdError",
        Error::InconsistentGroupProtocol(_) => "InconsistentGroupProtocolError",
    }
}

const ARGUMENT_TYPE: &str = "ArgumentTypeError";
const ARGUMENT_VALUE: &str = "IllegalArgumentError";

/// Has the error of one of several records say how many were sent before it.
pub(super) fn tell_sent(py: Python<'_>, error: &PyErr, sent: usize) {
    // Without it the error is still the error.
    let _ = error.value(py).setattr("_sent", sent);
}

/// The exception for an error, with the refused system call as its cause.
pub(super) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    if matches!(error, Error::Interrupted) {
        return PyInterruptedError::new_err(error.to_string());
    }
    if let Error::LogTruncation { partition, end, end_epoch, .. } = error {
        return truncation(py, error, partition, *end, *end_epoch).unwrap_or_else(|failed| failed);
    }
    let raised = named(py, class_name(error), error.to_string());
    if let Some(partition) = error.partition() {
        let told = structs::from_partition(py, partition);
        // Without it the error is still the error.
        let _ = told.and_then(|told| raised.value(py).setattr("partition", told));
    }
    if let Error::Io { source, path, .. } = error.root() {
        let cause = match source.raw_os_error() {
            Some(code) => {
                PyOSError::new_err((code, system_message(source), path.display().to_string()))
            }
            None => PyOSError::new_err(source.to_string()),
        };
        raised.set_cause(py, Some(cause));
    }
    raised
}

/// The class that tells by partition where to go on.
fn truncation(
    py: Python<'_>,
    error: &Error,
    partition: &TopicPartition,
    offset: i64,
    leader_epoch: i32,
) -> PyResult<PyErr> {
    let end = OffsetAndMetadata { offset, metadata: String::new(), leader_epoch };
    let divergent = PyDict::new(py);
    divergent.set_item(structs::from_partition(py, partition)?, structs::from_offset(py, &end)?)?;
    let class = py.import("brokerless.errors")?.getattr(class_name(error))?;
    Ok(PyErr::from_value(class.call1((divergent, error.to_string()))?))
}

/// What the system says, without Rust's "(os error 28)".
fn system_message(source: &std::io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        Python::attach(|py| exception(py, &error))
    }
}

/// An argument of a type that cannot be.
pub(super) fn argument_type(py: Python<'_>, message: impl Into<String>) -> PyErr {
    named(py, ARGUMENT_TYPE, message.into())
}

/// An argument with a value that cannot be.
pub(super) fn argument_value(py: Python<'_>, message: impl Into<String>) -> PyErr {
    named(py, ARGUMENT_VALUE, message.into())
}

/// A call that does not fit the client's state.
pub(super) fn illegal_state(py: Python<'_>, message: &str) -> PyErr {
    named(py, "IllegalStateError", message.to_owned())
}

/// An exception of `brokerless.errors` by its name.
pub(super) fn named(py: Python<'_>, class: &str, message: String) -> PyErr {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let made = ERRORS
        .get_or_try_init(py, || py.import("brokerless.errors").map(Bound::unbind))
        .and_then(|errors| errors.bind(py).getattr(class))
        .and_then(|class| class.call1((message,)));
    match made {
        Ok(value) => PyErr::from_value(value),
        Err(failed) => failed,
    }
}
