"""Names of the ways to share partitions among the members of a group.

`partition_assignment_strategy` takes them. A group of one member gets every
partition, whichever is chosen.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "AbstractPartitionAssignor",
    "CooperativeStickyAssignor",
    "RangePartitionAssignor",
    "RebalanceProtocol",
    "RoundRobinPartitionAssignor",
    "StickyPartitionAssignor",
]


class RebalanceProtocol(IntEnum):
    """Whether members give up everything first, or only what moves (KIP-429)."""

    EAGER = 0
    COOPERATIVE = 1


class AbstractPartitionAssignor:
    """The root of all assignors."""

    name: str = ""
    version: int = 0


class RangePartitionAssignor(AbstractPartitionAssignor):
    """Topic by topic, each member a run of neighbouring partitions."""

    name = "range"


class RoundRobinPartitionAssignor(AbstractPartitionAssignor):
    """All partitions of all topics dealt out one by one."""

    name = "roundrobin"


class StickyPartitionAssignor(AbstractPartitionAssignor):
    """Evenly, and partitions stay where they are if they can."""

    name = "sticky"


class CooperativeStickyAssignor(StickyPartitionAssignor):
    """As sticky, and members keep reading what does not move."""

    name = "cooperative-sticky"

    def supported_protocols(self) -> list[RebalanceProtocol]:
        """Cooperative alone, as in kafka-python."""
        return [RebalanceProtocol.COOPERATIVE]
