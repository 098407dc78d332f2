"""Transactions: there are none of our own yet, and none that hang."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from brokerless.admin.absent import absent
from brokerless.admin.base import AdminBase
from brokerless.enums import EnumHelper
from brokerless.errors.cluster import TransactionalIdNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless.structs import TopicPartition

__all__ = [
    "AbortTransactionSpec",
    "PartitionProducerState",
    "ProducerState",
    "TransactionAdmin",
    "TransactionDescription",
    "TransactionListing",
    "TransactionState",
]


class TransactionState(EnumHelper, str, Enum):
    """How far a transaction is."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"
    DEAD = "Dead"
    PREPARE_EPOCH_FENCE = "PrepareEpochFence"
    UNKNOWN = "Unknown"


class TransactionListing(NamedTuple):
    """A transaction in a list."""

    transactional_id: str
    producer_id: int
    state: TransactionState


class TransactionDescription(NamedTuple):
    """A transaction as it is described."""

    coordinator_id: int
    state: TransactionState
    producer_id: int
    producer_epoch: int
    transaction_timeout_ms: int
    transaction_start_time_ms: int
    topic_partitions: set[TopicPartition]


class ProducerState(NamedTuple):
    """A producer that has written to a partition."""

    producer_id: int
    producer_epoch: int
    last_sequence: int
    last_timestamp: int
    coordinator_epoch: int
    current_transaction_start_offset: int


class PartitionProducerState(NamedTuple):
    """The producers that have written to a partition."""

    active_producers: list[ProducerState]


class AbortTransactionSpec(NamedTuple):
    """Which transaction to abort, and where."""

    topic_partition: TopicPartition
    producer_id: int
    producer_epoch: int
    coordinator_epoch: int = -1


class TransactionAdmin(AdminBase):
    """What the admin client says of transactions."""

    def list_transactions(
        self,
        broker_ids: Iterable[int] | None = None,
        producer_id_filters: Iterable[int] | None = None,
        state_filters: Iterable[Any] | None = None,
        duration_filter_ms: int | None = None,
        transactional_id_pattern: str | None = None,
    ) -> dict[int, list[TransactionListing]]:
        """List the transactions of each broker: there are none."""
        self._check_brokers(broker_ids)
        return {self._node(): []}

    def describe_transactions(
        self, transactional_ids: Iterable[str]
    ) -> dict[str, TransactionDescription]:
        """Raise `TransactionalIdNotFoundError` for any id."""
        for transactional_id in transactional_ids:
            raise TransactionalIdNotFoundError(
                f"There is no transactional id {transactional_id!r}: no producer here has one."
            )
        return {}

    def describe_producers(
        self, partitions: Iterable[TopicPartition], broker_id: int | None = None
    ) -> dict[TopicPartition, PartitionProducerState]:
        """Give the producers with an id that are at work on each partition: there are none.

        Producers here have no ids; those of a directory that brokers wrote are gone.
        """
        self._check_brokers(() if broker_id is None else (broker_id,))
        return {one: PartitionProducerState([]) for one in self._check_partitions(partitions)}

    def abort_transaction(self, spec: AbortTransactionSpec) -> NoReturn:
        """Raise `IncompatibleBrokerVersion`: markers of transactions are not written yet."""
        raise absent("abort_transaction", "markers of transactions are not written here yet")

    def find_hanging_transactions(
        self, broker_ids: Iterable[int] | None = None, max_transaction_timeout_ms: int = 900000
    ) -> list[dict[str, Any]]:
        """List the transactions that take too long: there are none."""
        self._check_brokers(broker_ids)
        return []
