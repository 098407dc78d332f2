"""The root of all assignors."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless.assignors.protocol import (
        ConsumerProtocolAssignment,
        ConsumerProtocolSubscription,
    )

__all__ = ["AbstractPartitionAssignor", "Cluster", "RebalanceProtocol"]


class RebalanceProtocol(IntEnum):
    """Whether members give up everything first, or only what moves (KIP-429)."""

    EAGER = 0
    COOPERATIVE = 1


class Cluster(Protocol):
    """What an assignor may ask about topics."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The partitions of a topic, or None if there is no such topic."""


class AbstractPartitionAssignor:
    """Shares partitions among the members of a group; the methods are kafka-python's.

    `assign` has to be there. The others can stay as they are; they may be methods of the
    class or of its instances. Each consumer makes one instance and keeps it.
    """

    name: str = ""
    version: int = 0

    @classmethod
    def supported_protocols(cls) -> list[RebalanceProtocol]:
        """`[EAGER]`, unless it holds back what another member still has."""
        return [RebalanceProtocol.EAGER]

    def assign(self, cluster: Cluster, members: Any) -> dict[str, ConsumerProtocolAssignment]:
        """What each member gets, by its id. The member that leads is asked.

        Each of `members` has a `member_id`, a `group_instance_id` and `metadata` with
        `topics`, `user_data`, `owned_partitions` and `generation_id`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method assign")

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        """What the member that leads learns of this one; `user_data` is for your own use."""
        from brokerless.assignors.protocol import ConsumerProtocolSubscription

        return ConsumerProtocolSubscription(self.version, list(topics), b"")

    def on_assignment(self, assignment: ConsumerProtocolAssignment, generation: int) -> None:
        """This member has got partitions."""
