"""Names that only some versions of kafka-python have. None is raised; for `except` clauses.

Where a later version has the same condition under another name, that is the class.
"""

from __future__ import annotations

from typing import Any

from brokerless.errors.base import KafkaError, KafkaProtocolError, RetriableError
from brokerless.errors.broker import CorruptRecordError
from brokerless.errors.groups import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)

# 2.0 and 2.1, by their later names.
GroupCoordinatorNotAvailableError = CoordinatorNotAvailableError
GroupLoadInProgressError = CoordinatorLoadInProgressError
InvalidMessageError = CorruptRecordError
NotCoordinatorForGroupError = NotCoordinatorError
ProtocolError = KafkaProtocolError


class AsyncProducerQueueFull(KafkaError):
    """The queue of a producer of 1.x is full."""

    @property
    def failed_msgs(self) -> Any:
        """What was not queued."""
        return self.args[0]


class AuthenticationFailedError(KafkaError):
    """A broker did not know who it was."""


class AuthenticationMethodNotSupported(KafkaError):
    """A broker does not know this way to authenticate."""


class FailedPayloadsError(KafkaError):
    """A request of 1.x failed."""

    @property
    def payload(self) -> Any:
        """What was asked."""
        return self.args[0]


class RecordTooLargeError(KafkaError):
    """A record is larger than a fetch may be (`kafka.consumer.fetcher`); here it is read."""


class UnjoinedGroupException(RetriableError):
    """The consumer is in no group yet (`kafka.coordinator.base`)."""
