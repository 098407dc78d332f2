"""Kafka's error codes: those of records, topics and transactions.

The docstring of a class is its `description`.
"""

from brokerless.errors.base import (
    AuthorizationError,
    BrokerResponseError,
    InvalidMetadataError,
    RetriableError,
)


class UnknownError(BrokerResponseError):
    """An unexpected failure."""

    errno, message = -1, "UNKNOWN"


class NoError(BrokerResponseError):
    """No error."""

    errno, message = 0, "NO_ERROR"


class OffsetOutOfRangeError(BrokerResponseError):
    """The offset is outside the range that the partition holds."""

    errno, message = 1, "OFFSET_OUT_OF_RANGE"


class CorruptRecordError(BrokerResponseError):
    """A record batch fails its checksum or makes no sense otherwise."""

    errno, message = 2, "CORRUPT_MESSAGE"


CorruptRecordException = CorruptRecordError


class UnknownTopicOrPartitionError(InvalidMetadataError, BrokerResponseError):
    """No such topic, or no such partition of it."""

    errno, message = 3, "UNKNOWN_TOPIC_OR_PARTITION"


class InvalidFetchRequestError(BrokerResponseError):
    """A fetch of an impossible size."""

    errno, message = 4, "INVALID_FETCH_SIZE"


class LeaderNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """The partition has no leader at the moment."""

    errno, message = 5, "LEADER_NOT_AVAILABLE"


class NotLeaderForPartitionError(InvalidMetadataError, BrokerResponseError):
    """The broker does not lead the partition."""

    errno, message = 6, "NOT_LEADER_FOR_PARTITION"


class RequestTimedOutError(RetriableError, BrokerResponseError):
    """The request took longer than it was allowed to."""

    errno, message = 7, "REQUEST_TIMED_OUT"


class BrokerNotAvailableError(BrokerResponseError):
    """The broker is not alive."""

    errno, message = 8, "BROKER_NOT_AVAILABLE"


class ReplicaNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """A replica is missing where one is expected."""

    errno, message = 9, "REPLICA_NOT_AVAILABLE"


class MessageSizeTooLargeError(BrokerResponseError):
    """The record or batch is larger than the allowed maximum."""

    errno, message = 10, "MESSAGE_SIZE_TOO_LARGE"


class NetworkExceptionError(InvalidMetadataError, BrokerResponseError):
    """The connection was lost before the answer came."""

    errno, message = 13, "NETWORK_EXCEPTION"


class InvalidTopicError(BrokerResponseError):
    """The topic has a name that is not allowed, or is an internal one."""

    errno, message = 17, "INVALID_TOPIC"


class RecordListTooLargeError(BrokerResponseError):
    """The batch is larger than a segment may be."""

    errno, message = 18, "RECORD_LIST_TOO_LARGE"


class NotEnoughReplicasError(RetriableError, BrokerResponseError):
    """Fewer replicas in sync than the write asks for."""

    errno, message = 19, "NOT_ENOUGH_REPLICAS"


class NotEnoughReplicasAfterAppendError(RetriableError, BrokerResponseError):
    """Written, but to fewer replicas than the write asks for."""

    errno, message = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND"


class InvalidRequiredAcksError(BrokerResponseError):
    """acks is neither 0, 1 nor all."""

    errno, message = 21, "INVALID_REQUIRED_ACKS"


class TopicAuthorizationFailedError(AuthorizationError):
    """Not allowed to use the topic."""

    errno, message = 29, "TOPIC_AUTHORIZATION_FAILED"


class ClusterAuthorizationFailedError(AuthorizationError):
    """Not allowed to administer the cluster."""

    errno, message = 31, "CLUSTER_AUTHORIZATION_FAILED"


class InvalidTimestampError(BrokerResponseError):
    """The record's timestamp is outside the allowed range."""

    errno, message = 32, "INVALID_TIMESTAMP"


class UnsupportedVersionError(BrokerResponseError):
    """This version of the request is not supported."""

    errno, message = 35, "UNSUPPORTED_VERSION"


class IncompatibleBrokerVersion(UnsupportedVersionError):
    """The client knows by itself that the version is too old."""


class TopicAlreadyExistsError(BrokerResponseError):
    """There is a topic of this name already."""

    errno, message = 36, "TOPIC_ALREADY_EXISTS"


class InvalidPartitionsError(BrokerResponseError):
    """The number of partitions is not allowed."""

    errno, message = 37, "INVALID_PARTITIONS"


class InvalidReplicationFactorError(BrokerResponseError):
    """The replication factor is not allowed."""

    errno, message = 38, "INVALID_REPLICATION_FACTOR"


class InvalidReplicationAssignmentError(BrokerResponseError):
    """The assignment of replicas makes no sense."""

    errno, message = 39, "INVALID_REPLICATION_ASSIGNMENT"


class InvalidConfigurationError(BrokerResponseError):
    """A setting is unknown, or its value makes no sense."""

    errno, message = 40, "INVALID_CONFIG"


class InvalidRequestError(BrokerResponseError):
    """The request makes no sense."""

    errno, message = 42, "INVALID_REQUEST"


class UnsupportedForMessageFormatError(BrokerResponseError):
    """The partition's record format does not support this."""

    errno, message = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT"


class PolicyViolationError(BrokerResponseError):
    """The request breaks a policy."""

    errno, message = 44, "POLICY_VIOLATION"


class OutOfOrderSequenceNumberError(BrokerResponseError):
    """The producer's sequence numbers have a gap."""

    errno, message = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER"


class DuplicateSequenceNumberError(BrokerResponseError):
    """The producer has sent this sequence number before."""

    errno, message = 46, "DUPLICATE_SEQUENCE_NUMBER"


class InvalidProducerEpochError(BrokerResponseError):
    """The producer's epoch is too old."""

    errno, message = 47, "INVALID_PRODUCER_EPOCH"


class InvalidTxnStateError(BrokerResponseError):
    """The call does not fit the state of the transaction."""

    errno, message = 48, "INVALID_TXN_STATE"


class InvalidProducerIdMappingError(BrokerResponseError):
    """The producer id does not belong to the transactional id."""

    errno, message = 49, "INVALID_PRODUCER_ID_MAPPING"


class InvalidTransactionTimeoutError(BrokerResponseError):
    """The transaction timeout is above the allowed maximum."""

    errno, message = 50, "INVALID_TRANSACTION_TIMEOUT"


class ConcurrentTransactionsError(RetriableError, BrokerResponseError):
    """Another operation on this transaction is under way."""

    errno, message = 51, "CONCURRENT_TRANSACTIONS"


class TransactionCoordinatorFencedError(BrokerResponseError):
    """A transaction coordinator of an older epoch."""

    errno, message = 52, "TRANSACTION_COORDINATOR_FENCED"


class TransactionalIdAuthorizationFailedError(AuthorizationError):
    """Not allowed to use the transactional id."""

    errno, message = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"


class OperationNotAttemptedError(BrokerResponseError):
    """Not tried, because another part of the request failed."""

    errno, message = 55, "OPERATION_NOT_ATTEMPTED"


class KafkaStorageError(InvalidMetadataError, BrokerResponseError):
    """The disk failed."""

    errno, message = 56, "KAFKA_STORAGE_ERROR"


class UnknownProducerIdError(BrokerResponseError):
    """Nothing is known about the producer any more."""

    errno, message = 59, "UNKNOWN_PRODUCER_ID"


class FencedLeaderEpochError(InvalidMetadataError, BrokerResponseError):
    """The leader epoch is older than the partition's."""

    errno, message = 74, "FENCED_LEADER_EPOCH"


class UnknownLeaderEpochError(InvalidMetadataError, BrokerResponseError):
    """The leader epoch is newer than the partition's."""

    errno, message = 75, "UNKNOWN_LEADER_EPOCH"


class UnsupportedCompressionTypeError(BrokerResponseError):
    """The client does not support the partition's compression."""

    errno, message = 76, "UNSUPPORTED_COMPRESSION_TYPE"


class OffsetNotAvailableError(RetriableError, BrokerResponseError):
    """The end of the log is not settled yet."""

    errno, message = 78, "OFFSET_NOT_AVAILABLE"


class InvalidRecordError(BrokerResponseError):
    """The record breaks a rule of its topic."""

    errno, message = 87, "INVALID_RECORD"


class ProducerFencedError(BrokerResponseError):
    """A newer producer has the same transactional id."""

    errno, message = 90, "PRODUCER_FENCED"


class TransactionAbortableError(BrokerResponseError):
    """The transaction cannot go on; it can be aborted."""

    errno, message = 120, "TRANSACTION_ABORTABLE"
