"""The assignors that leave partitions where they are, if they can."""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from brokerless.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from brokerless.assignors.core import ask
from brokerless.assignors.either import either
from brokerless.assignors.protocol import ConsumerProtocolSubscription, StickyAssignorUserData
from brokerless.assignors.wire import TopicPartitions
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless.assignors.abstract import Cluster
    from brokerless.assignors.core import Owned
    from brokerless.assignors.protocol import ConsumerProtocolAssignment

__all__ = [
    "CooperativeStickyAssignor",
    "StickyAssignorMemberMetadataV1",
    "StickyPartitionAssignor",
]


class StickyAssignorMemberMetadataV1(NamedTuple):
    """A member as the algorithm sees it."""

    subscription: list[str]
    partitions: list[TopicPartition]
    generation: int


class StickyPartitionAssignor(AbstractPartitionAssignor):
    """Evenly, and partitions stay where they are if they can (KIP-54).

    Evenly means: no partition could move to a member that has two or more partitions
    less. Of members C0, C1, C2 and four topics with two partitions each:

        C0: t0-0, t1-1, t3-0     C1: t0-1, t2-0, t3-1     C2: t1-0, t2-1

    and when C1 is gone

        C0: t0-0, t0-1, t1-1, t3-0                  C2: t1-0, t2-0, t2-1, t3-1

    What a member had it keeps in `member_assignment`, and tells in its user data.
    """

    DEFAULT_GENERATION_ID = -1

    name = "sticky"

    # Of the class until an instance has its own, as in kafka-python 2.x.
    member_assignment: list[TopicPartition] | None = None
    generation: int = DEFAULT_GENERATION_ID

    @classmethod
    def assign(cls, cluster: Cluster, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        """What each member gets, by its id."""
        return ask(cls, cluster, members, cls._owned, "sticky")

    @classmethod
    def _owned(cls, metadata: Any) -> Owned:
        member = cls.parse_member_metadata(metadata)
        return list(member.partitions), member.generation

    @classmethod
    def parse_member_metadata(cls, metadata: Any) -> StickyAssignorMemberMetadataV1:
        """What a member had, by its user data; nothing, if that makes no sense."""
        data = metadata.user_data
        if data and not isinstance(data, StickyAssignorUserData):
            try:
                data = StickyAssignorUserData.decode(bytes(data))
            except ValueError:
                data = None
        partitions = _one_by_one(data.previous_assignment) if data else []
        generation = data.generation if data else cls.DEFAULT_GENERATION_ID
        return StickyAssignorMemberMetadataV1(list(metadata.topics), partitions, generation)

    @either
    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        """What a member wants, and in the user data what it had."""
        return self._metadata(topics, self.member_assignment, self.generation)

    @classmethod
    def _metadata(
        cls,
        topics: Iterable[str],
        member_assignment_partitions: Iterable[TopicPartition] | None,
        generation: int = DEFAULT_GENERATION_ID,
    ) -> ConsumerProtocolSubscription:
        if member_assignment_partitions is None:
            return ConsumerProtocolSubscription(cls.version, list(topics), b"")
        had = _by_topic(member_assignment_partitions)
        data = StickyAssignorUserData(had, generation).encode()
        return ConsumerProtocolSubscription(cls.version, list(topics), data)

    @either
    def on_assignment(
        self, assignment: ConsumerProtocolAssignment, generation: int | None = None
    ) -> None:
        """Remembers what the member has got."""
        self.member_assignment = assignment.partitions()
        if generation is not None:
            self.generation = generation

    @either
    def on_generation_assignment(self, generation: int) -> None:
        """Remembers the generation (kafka-python 2.x)."""
        self.generation = generation


class CooperativeStickyAssignor(StickyPartitionAssignor):
    """As sticky, and members keep reading what does not move (KIP-429).

    `assign` leaves out what another member still has. A group here hands that over as
    soon as the other has given it up, without another round.
    """

    name = "cooperative-sticky"
    version = 1

    @classmethod
    def supported_protocols(cls) -> list[RebalanceProtocol]:
        """Cooperative alone, as in kafka-python."""
        return [RebalanceProtocol.COOPERATIVE]

    @classmethod
    def assign(cls, cluster: Cluster, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        """What each member gets, by its id."""
        staged = getattr(cluster, "hands_over", None) is True
        return ask(cls, cluster, members, cls._owned, "cooperative-sticky", not staged)

    @classmethod
    def parse_member_metadata(cls, metadata: Any) -> StickyAssignorMemberMetadataV1:
        """What a member has, by the fields for it."""
        generation = getattr(metadata, "generation_id", cls.DEFAULT_GENERATION_ID)
        if generation < 0 and isinstance(metadata.user_data, bytes):
            generation = _generation(metadata.user_data)
        partitions = _one_by_one(getattr(metadata, "owned_partitions", None) or ())
        return StickyAssignorMemberMetadataV1(list(metadata.topics), partitions, generation)

    @either
    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        """What a member wants, and what it has."""
        had = sorted(_by_topic(self.member_assignment or ()))
        owned = [TopicPartitions(topic, sorted(partitions)) for topic, partitions in had]
        return ConsumerProtocolSubscription(self.version, sorted(topics), b"", owned)


def _generation(user_data: bytes) -> int:
    """Java's clients put it there before the protocol had a field for it."""
    return int(struct.unpack(">i", user_data)[0]) if len(user_data) == struct.calcsize(">i") else -1


def _one_by_one(topics: Iterable[Any]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, numbers in topics for number in numbers]


def _by_topic(partitions: Iterable[TopicPartition]) -> list[tuple[str, list[int]]]:
    by_topic = defaultdict(list)
    for topic, partition in partitions:
        by_topic[topic].append(partition)
    return list(by_topic.items())
