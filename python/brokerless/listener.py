"""Callbacks for a change of the partitions that a consumer owns."""

from __future__ import annotations

from typing import Any

__all__ = ["AsyncConsumerRebalanceListener", "ConsumerRebalanceListener"]


class ConsumerRebalanceListener:
    """Called inside `poll`, before and after the consumer's partitions change.

    Override what you need. The usual work is to commit or to save state in
    `on_partitions_revoked`, and to seek or to load it in `on_partitions_assigned`.
    Each method may be `async`; it is run to its end inside `poll`.
    """

    def on_partitions_revoked(self, revoked: Any) -> Any:
        """`revoked`, a collection of `TopicPartition`, are about to be given up."""

    def on_partitions_assigned(self, assigned: Any) -> Any:
        """`assigned`, a collection of `TopicPartition`, are the consumer's from now on."""

    def on_partitions_lost(self, lost: Any) -> Any:
        """`lost` belong to somebody else already; commits would fail (KIP-429)."""
        return self.on_partitions_revoked(lost)


class AsyncConsumerRebalanceListener:
    """The same with coroutines, which are run to their end inside `poll`."""

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """`revoked`, a collection of `TopicPartition`, are about to be given up."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """`assigned`, a collection of `TopicPartition`, are the consumer's from now on."""

    async def on_partitions_lost(self, lost: Any) -> None:
        """`lost` belong to somebody else already; commits would fail (KIP-429)."""
        await self.on_partitions_revoked(lost)
