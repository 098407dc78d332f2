"""The small tuples of the API, as in kafka-python."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "BrokerMetadata",
    "ConsumerGroupMetadata",
    "GroupInformation",
    "MemberInformation",
    "MemberState",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "PartitionMetadata",
    "RetryOptions",
    "TopicPartition",
    "TopicPartitionReplica",
]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class TopicPartitionReplica(NamedTuple):
    """A partition as one broker holds it."""

    topic: str
    partition: int
    broker_id: int


class OffsetAndMetadata(NamedTuple):
    """An offset to commit, with a note of your own.

    `metadata` comes back as a string, whatever went in. Both ways to write it
    work: two fields as in kafka-python 2.0, three as in later ones.
    """

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


class OffsetAndTimestamp(NamedTuple):
    """The offset and time (in milliseconds) of the record that a look-up found."""

    offset: int
    timestamp: int
    leader_epoch: int | None = None


class BrokerMetadata(NamedTuple):
    """A broker; here it is this process."""

    nodeId: int  # noqa: N815
    host: str
    port: int
    rack: str | None = None


class PartitionMetadata(NamedTuple):
    """A partition with its leader and replicas; here all of them are this process."""

    topic: str
    partition: int
    leader: int
    leader_epoch: int
    replicas: list[int]
    isr: list[int]
    offline_replicas: list[int]
    error: Any


class MemberInformation(NamedTuple):
    """A member of a consumer group."""

    member_id: str
    client_id: str
    client_host: str
    member_metadata: Any
    member_assignment: Any


class GroupInformation(NamedTuple):
    """A consumer group, with its state and members."""

    error_code: int
    group: str
    state: str
    protocol_type: str
    protocol: str
    members: list[MemberInformation]
    authorized_operations: Any


class RetryOptions(NamedTuple):
    """How often to try again (kafka-python 1.x); there is nothing to retry here."""

    limit: int
    backoff_ms: int
    retry_on_timeouts: bool


class MemberState:
    """Where a consumer stands with its group."""

    UNJOINED = "<unjoined>"
    REBALANCING = "<rebalancing>"
    STABLE = "<stable>"


class ConsumerGroupMetadata(NamedTuple):
    """Who a consumer is in its group, for transactions and for watching."""

    group_id: str | None = None
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
    state: str = MemberState.UNJOINED
