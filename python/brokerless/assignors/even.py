"""The two assignors that look at nothing but who wants what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.assignors.abstract import AbstractPartitionAssignor
from brokerless.assignors.core import ask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless.assignors.abstract import Cluster
    from brokerless.assignors.protocol import (
        ConsumerProtocolAssignment,
        ConsumerProtocolSubscription,
    )

__all__ = ["RangePartitionAssignor", "RoundRobinPartitionAssignor"]


class _EvenAssignor(AbstractPartitionAssignor):
    """Without a memory, so that the classes themselves can be asked."""

    @classmethod
    def assign(cls, cluster: Cluster, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        """What each member gets, by its id."""
        return ask(cls, cluster, members, strategy=cls._strategy)

    _strategy = ""

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        """What a member wants."""
        from brokerless.assignors.protocol import ConsumerProtocolSubscription

        return ConsumerProtocolSubscription(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(
        cls, assignment: ConsumerProtocolAssignment, generation: int | None = None
    ) -> None:
        """Nothing is remembered."""


class RangePartitionAssignor(_EvenAssignor):
    """Topic by topic, each member a run of neighbouring partitions.

    Members come in the order of their ids, static ones first by their
    `group_instance_id`. Of members C0 and C1 and topics t0 and t1 with three partitions
    each C0 gets t0-0, t0-1, t1-0 and t1-1, and C1 gets t0-2 and t1-2.
    """

    name = _strategy = "range"


class RoundRobinPartitionAssignor(_EvenAssignor):
    """All partitions of all topics dealt out one by one.

    Of members C0 and C1 and topics t0 and t1 with three partitions each C0 gets t0-0,
    t0-2 and t1-1, and C1 gets t0-1, t1-0 and t1-2. Who does not want a topic is passed
    over, and may get less in the end.
    """

    name = _strategy = "roundrobin"
