"""What was deleted before it could be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokerless.cli.ending import say

if TYPE_CHECKING:
    from brokerless import KafkaConsumer, TopicPartition
    from brokerless.cli.polling import Found

__all__ = ["Jumps"]


class Jumps:
    """Says what is gone where a consumer wanted to read, and goes on with what is left."""

    def __init__(self, client: KafkaConsumer) -> None:
        self._client = client
        self._next: dict[TopicPartition, int] = {}
        self.count = 0

    def expect(self, partition: TopicPartition, offset: int) -> None:
        """Say what is read next."""
        self._next[partition] = offset

    def look(self, polled: Found) -> bool:
        """Compare what came with what should have come, and give whether any is gone.

        What lies behind more than what is gone is taken out, and comes again.
        """
        count = self.count
        assigned = self._client.assignment()
        # What was taken away may come back further on, read by another member.
        known = {it: at for it, at in self._next.items() if it in assigned}
        self._next = {
            it: self._after(it, known.get(it), polled) for it in assigned & {*known, *polled}
        }
        return self.count > count

    def _after(self, partition: TopicPartition, expected: int | None, polled: Found) -> int:
        """What is read next of a partition."""
        found = polled.get(partition)
        if found and self._goes_back(partition, expected, found[0].offset):
            del polled[partition]
        else:
            expected = found[-1].offset + 1 if found else expected
            self._goes_back(partition, expected, self._client.position(partition) or 0)
        return self._client.position(partition) or 0

    def _goes_back(self, partition: TopicPartition, expected: int | None, at: int) -> bool:
        """Whether records that are left would have been passed over."""
        if expected is None or at <= expected:
            return False
        begin = self._client.beginning_offsets([partition])[partition]
        # Compaction and transactions leave gaps too, but behind the beginning.
        if begin <= expected:
            return False
        self.count += 1
        place = f"{partition.topic}-{partition.partition}"
        say(f"{place}: offsets {expected} to {begin - 1} were deleted before they were read")
        if at > begin:
            self._client.seek(partition, begin)
        return at > begin
