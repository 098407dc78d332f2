"""Partitions: more of them, and where they are."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

from brokerless.admin.base import AdminBase, attempt
from brokerless.admin.response import Response, reported
from brokerless.errors.broker import (
    InvalidReplicationAssignmentError,
    UnknownTopicOrPartitionError,
)
from brokerless.errors.cluster import ElectionNotNeededError, NoReassignmentInProgressError
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from brokerless.errors.base import BrokerResponseError

__all__ = ["NewPartitions", "PartitionAdmin"]


class NewPartitions:
    """The number of partitions that a topic shall have."""

    def __init__(self, total_count: int, new_assignments: list[list[int]] | None = None) -> None:
        self.total_count = total_count
        self.new_assignments = new_assignments


class ElectionType(IntEnum):
    """Who may be elected."""

    PREFERRED = 0
    UNCLEAN = 1


class PartitionAdmin(AdminBase):
    """What the admin client does with partitions."""

    def create_partitions(
        self,
        topic_partitions: Mapping[str, NewPartitions | int | Mapping[str, Any]],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> Response:
        """Give topics more partitions: total numbers by topic.

        With `validate_only` it is only checked whether that can be done.
        """
        create = self._admin.check_partitions if validate_only else self._admin.create_partitions
        # As the client has read it.
        wanted = cast("dict[str, NewPartitions]", topic_partitions)
        errors = {name: attempt(self._more, create, name, it) for name, it in wanted.items()}
        for error in errors.values():
            if error is not None and raise_errors:
                raise error
        results = [Response(name=name, **reported(error)) for name, error in errors.items()]
        return Response(results=results)

    def _more(self, create: Callable[..., None], name: str, wanted: NewPartitions) -> None:
        assignments = wanted.new_assignments
        new = wanted.total_count - self._counts().get(name, wanted.total_count)
        if assignments is not None and new > 0 and len(assignments) != new:
            raise InvalidReplicationAssignmentError(
                f"Attempted to add {new} additional partition(s), but only {len(assignments)} "
                "assignment(s) were specified."
            )
        create(name, wanted.total_count)

    def _named(self, topic_partitions: Any) -> dict[str, list[int]]:
        """The partitions that are meant: by number, all of some topics, or all."""
        if hasattr(topic_partitions, "items"):
            return {topic: list(numbers) for topic, numbers in topic_partitions.items()}
        counts = self._counts()
        topics = counts if topic_partitions is None else topic_partitions
        return {topic: list(range(counts.get(topic, 0))) for topic in topics}

    def elect_leaders(
        self,
        election_type: int,
        topic_partitions: Any = None,
        timeout_ms: float | None = None,
        raise_errors: bool = True,
    ) -> Response:
        """Say of each partition that it needs no election: its one replica leads it."""
        ElectionType(election_type)
        counts = self._counts()
        results = [
            Response(
                topic=topic,
                partition_result=[_election(n, counts.get(topic, 0)) for n in numbers],
            )
            for topic, numbers in self._named(topic_partitions).items()
        ]
        codes = {one.error_code for result in results for one in result.partition_result}
        if UnknownTopicOrPartitionError.errno in codes and raise_errors:
            raise UnknownTopicOrPartitionError("a partition that is to be led does not exist")
        return Response(error_code=0, replica_election_results=results)

    def alter_partition_reassignments(
        self,
        reassignments: Mapping[TopicPartition, Iterable[int] | None],
        timeout_ms: float | None = None,
    ) -> dict[TopicPartition, type[BrokerResponseError] | None]:
        """Move nothing: None for partitions that are to be where they are, an error class else."""
        counts, node = self._counts(), self._node()
        moved = {}
        for one, replicas in reassignments.items():
            partition = TopicPartition(*one)
            replicas = _replicas(partition, replicas)
            is_known = 0 <= partition.partition < counts.get(partition.topic, 0)
            moved[partition] = _moved(replicas, node) if is_known else UnknownTopicOrPartitionError
        return moved

    def list_partition_reassignments(
        self,
        topic_partitions: Any = None,
        timeout_ms: float | None = None,
    ) -> dict[TopicPartition, dict[str, list[int]]]:
        """List the partitions on the move: there are none."""
        return {}


def _election(number: int, count: int) -> Response:
    error: BrokerResponseError = ElectionNotNeededError(
        "Leader election not needed for topic partition."
    )
    if not 0 <= number < count:
        error = UnknownTopicOrPartitionError("No such topic or partition.")
    return Response(partition_id=number, **reported(error))


def _replicas(partition: TopicPartition, replicas: Iterable[int] | None) -> list[int] | None:
    if replicas is None:
        return None
    listed = list(replicas)
    if not listed:
        raise ValueError(
            f"Replica list for {partition} must be non-empty; use None to cancel a reassignment."
        )
    if not all(isinstance(replica, int) for replica in listed):
        raise ValueError(f"Replica list for {partition} must be int broker_ids.")
    return listed


def _moved(replicas: list[int] | None, node: int) -> type[BrokerResponseError] | None:
    if replicas is None:
        return NoReassignmentInProgressError
    return None if replicas == [node] else InvalidReplicationAssignmentError
