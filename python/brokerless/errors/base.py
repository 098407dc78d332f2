"""The roots of the error tree, and the errors that a client finds by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from brokerless.structs import TopicPartition


class KafkaError(RuntimeError):
    """The root of all errors of this package.

    A `RuntimeError`, as in kafka-python 2.x; code written for 3.x, where it is
    a plain `Exception`, catches it as well.
    """

    retriable: ClassVar[bool] = False
    """Whether the same call may succeed later."""
    invalid_metadata: ClassVar[bool] = False
    """Whether what is known about topics and partitions is out of date."""
    partition: TopicPartition | None = None
    """The partition it is about, if it is about one and this is known: others may work."""

    def __str__(self) -> str:
        if not self.args:
            return type(self).__name__
        return f"{type(self).__name__}: {super().__str__()}"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.args == getattr(other, "args", None)

    def __hash__(self) -> int:
        return hash((type(self), self.args))


class RetriableError(KafkaError):
    """The same call may succeed later."""

    retriable = True


class InvalidMetadataError(RetriableError):
    """What is known about topics and partitions is out of date."""

    invalid_metadata = True


class Cancelled(RetriableError):
    """The call was given up before it was done."""


class CommitFailedError(KafkaError):
    """The offsets were not committed: the partitions belong to somebody else now."""

    def __init__(self, *args: Any) -> None:
        moved = "The group has rebalanced and given the partitions to another member: poll again."
        super().__init__(*args or (moved,))


class IllegalArgumentError(KafkaError, ValueError, AssertionError):
    """An argument makes no sense.

    A `ValueError` as in kafka-python 3.x, an `AssertionError` as in 2.x.
    """


class ArgumentTypeError(TypeError, AssertionError):
    """An argument of the wrong type: a `TypeError` (3.x) and an `AssertionError` (2.x)."""


class IllegalStateError(KafkaError):
    """The object cannot do this now."""


class ClosedError(IllegalStateError, AssertionError):
    """The client is closed: an `IllegalStateError` (3.x) and an `AssertionError` (2.x)."""


class KafkaConfigurationError(KafkaError):
    """A setting is unknown, or its value makes no sense."""


class SettingError(KafkaConfigurationError, ValueError, AssertionError):
    """The same, found before anything is opened.

    A `ValueError` as in kafka-python 3.x, an `AssertionError` as in 2.x.
    """


class KafkaConnectionError(InvalidMetadataError):
    """A connection failed. There are no connections here; for `except` clauses."""


class KafkaProtocolError(KafkaError):
    """Bytes that do not follow the protocol."""


class CorrelationIdError(RetriableError, KafkaProtocolError):
    """An answer to another question. For `except` clauses."""


class InvalidReceiveError(KafkaProtocolError):
    """An answer of an impossible size. For `except` clauses."""


class KafkaTimeoutError(RetriableError):
    """The call was not done in time."""


class MetadataEmptyBrokerList(RetriableError):
    """No broker in the metadata. For `except` clauses."""


class NoBrokersAvailable(InvalidMetadataError):
    """No broker answers (kafka-python 2.x). Never raised: none is needed."""


class NoOffsetForPartitionError(KafkaError):
    """No committed offset, and `auto_offset_reset='none'` forbids to choose one."""


class LogTruncationError(KafkaError):
    """The log was cut below the consumer's position (KIP-320).

    `divergent_offsets` maps each partition to the place from which its log
    differs from what was read, or to `None` where that is not known.
    """

    def __init__(self, divergent_offsets: Any, *args: Any) -> None:
        self.divergent_offsets = divergent_offsets
        super().__init__(*args or (f"Truncated below the position: {divergent_offsets}",))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.divergent_offsets, *self.args)


class NodeNotReadyError(RetriableError):
    """A broker is not ready. For `except` clauses."""


class UnknownBrokerIdError(KafkaError):
    """No such broker."""


class QuotaViolationError(KafkaError):
    """A measured value broke its quota."""


class StaleMetadata(InvalidMetadataError):
    """What is known about topics and partitions is out of date."""


class TooManyInFlightRequests(RetriableError):
    """Too many requests without an answer. For `except` clauses."""


class UnrecognizedBrokerVersion(KafkaError):
    """A broker of an unknown version. For `except` clauses."""


class UnsupportedCodecError(KafkaError):
    """Data compressed by a codec that is not supported."""


class TransactionAbortedError(KafkaError):
    """The record was not sent: its transaction was aborted."""

    message = "Failing batch since transaction was aborted"


class KafkaUnavailableError(KafkaError):
    """No broker answers (kafka-python 1.x). Never raised: none is needed."""


class ConsumerTimeout(KafkaError):
    """No message in time (kafka-python 1.x); iteration simply ends today."""


class BrokerResponseError(KafkaError):
    """A condition of the log, with Kafka's number, name and explanation."""

    errno: ClassVar[int | None] = None
    message: ClassVar[str | None] = None
    description: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        """The docstring of a class with a number is its description."""
        super().__init_subclass__()
        if "errno" in vars(cls):
            cls.description = cls.__doc__

    def __str__(self) -> str:
        return f"[Error {self.errno}] {super().__str__()}"


class AuthorizationError(BrokerResponseError):
    """Not allowed. For `except` clauses: there are no users here."""
