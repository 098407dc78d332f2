"""Which partition a record goes to.

Left alone, records with a key go by its murmur2 hash, as with Java's client, and
records without one fill a batch of one partition after the other. That is done in
Rust; the classes here are for programs that name them, call them or extend them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from brokerless._brokerless import murmur2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Cluster",
    "DefaultPartitioner",
    "Murmur2Partitioner",
    "Partitioner",
    "RoundRobinPartitioner",
    "StickyPartitioner",
    "murmur2",
]


class Cluster(Protocol):
    """What a `Partitioner` may ask about topics."""

    def topics(self) -> set[str]:
        """The names of all topics."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The partitions of a topic, or None if there is no such topic."""

    def available_partitions_for_topic(self, topic: str) -> set[int] | None:
        """The same: a partition is always available here."""


class Partitioner(ABC):
    """Picks a partition, kafka-python 3.x style."""

    @abstractmethod
    def partition(
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: Cluster,
    ) -> int:
        """The partition for a record; `key` and `value` also as the program gave them."""


class DefaultPartitioner(Partitioner):
    """By the key's hash; without a key any partition.

    Also callable as `f(key, all_partitions, available)`, as in kafka-python 2.x.
    """

    def partition(
        self,
        topic: str,
        key: Any,
        serialized_key: bytes | None,
        value: Any,
        serialized_value: bytes | None,
        cluster: Cluster,
    ) -> int:
        partitions = cluster.partitions_for_topic(topic)
        if not partitions:
            raise ValueError(f"Topic {topic} not found")
        available = cluster.available_partitions_for_topic(topic) or ()
        return self(serialized_key, sorted(partitions), list(available))

    def __call__(
        self, key: bytes | None, all_partitions: Sequence[int], available: Sequence[int]
    ) -> int:
        if key is None:
            import random

            return random.choice(available or all_partitions)  # noqa: S311
        return all_partitions[(murmur2(key) & 0x7FFFFFFF) % len(all_partitions)]


Murmur2Partitioner = DefaultPartitioner


class StickyPartitioner(DefaultPartitioner):
    """By the key's hash; records without a key fill one batch after the other (KIP-480).

    That is what a producer does without any partitioner.
    """


class RoundRobinPartitioner:
    """One partition after the other, whatever the key (kafka-python 1.x)."""

    def __init__(self, partitions: Iterable[int] | None = None) -> None:
        self._partitions = sorted(partitions or ())
        self._turn = count()

    def __call__(
        self,
        key: Any,
        all_partitions: Sequence[int] | None = None,
        available: Sequence[int] | None = None,
    ) -> int:
        pool = available or all_partitions or self._partitions
        return pool[next(self._turn) % len(pool)]


def is_builtin(partitioner: object) -> bool:
    """Whether the producer's own way of picking is meant."""
    return partitioner is None or type(partitioner) in (DefaultPartitioner, StickyPartitioner)
