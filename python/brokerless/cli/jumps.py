"""What was deleted before it could be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokerless.cli.ending import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokerless import ConsumerRecord, KafkaConsumer, TopicPartition

__all__ = ["Jumps"]


class Jumps:
    """Says where a consumer had to go on behind records that are gone."""

    def __init__(self, client: KafkaConsumer) -> None:
        self._client = client
        self._next: dict[TopicPartition, int] = {}
        self.count = 0

    def expect(self, partition: TopicPartition, offset: int) -> None:
        """Say what is read next."""
        self._next = {partition: offset}

    def look(self, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """Compare what came with what should have come."""
        assigned = self._client.assignment()
        # What was taken away may come back further on, read by another member.
        known = {it: at for it, at in self._next.items() if it in assigned}
        self._next = {}
        for partition in assigned & {*known, *polled}:
            expected, found = known.get(partition), polled.get(partition)
            if found:
                self._compare(partition, expected, found[0].offset)
                expected = found[-1].offset + 1
            at = self._client.position(partition) or 0
            self._compare(partition, expected, at)
            self._next[partition] = at

    def _compare(self, partition: TopicPartition, expected: int | None, at: int) -> None:
        if expected is not None and at > expected:
            self._look_closer(partition, expected)

    def _look_closer(self, partition: TopicPartition, expected: int) -> None:
        """Compaction and transactions leave gaps too, but behind the beginning."""
        begin = self._client.beginning_offsets([partition])[partition]
        if begin > expected:
            self.count += 1
            place = f"{partition.topic}-{partition.partition}"
            gone = f"offsets {expected} to {begin - 1}"
            say(f"{place}: {gone} were deleted before they were read")
