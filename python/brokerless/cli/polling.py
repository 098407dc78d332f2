"""Polls that go on with the other partitions when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.cli.clients import existing_directory
from brokerless.errors import (
    CorruptRecordError,
    KafkaStorageError,
    MessageSizeTooLargeError,
    UnsupportedVersionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokerless import ConsumerRecord, KafkaConsumer, TopicPartition
    from brokerless.cli.failures import Failures

    Found = dict[TopicPartition, list[ConsumerRecord]]

__all__ = ["Polling"]

# What a partition may fail with that no other one has to.
OF_ONE = (
    CorruptRecordError,
    KafkaStorageError,
    MessageSizeTooLargeError,
    UnsupportedVersionError,
)


class Polling:
    """Polls a consumer, and leaves out each partition that failed once."""

    def __init__(self, client: KafkaConsumer, failures: Failures) -> None:
        self._client = client
        self._failures = failures
        self._failed: set[TopicPartition] = set()

    def working(self) -> set[TopicPartition]:
        """What is assigned and did not fail."""
        return self._client.assignment() - self._failed

    def has_failed(self) -> bool:
        """Whether any has failed."""
        return bool(self._failed)

    def is_over(self) -> bool:
        """Whether all that is assigned has failed."""
        return not self.working() and bool(self._failed & self._client.assignment())

    def poll(self, timeout_ms: int, most: int) -> Found:
        """Give at most so many records, as soon as there are any."""
        self._leave_out()
        try:
            return self._client.poll(timeout_ms=timeout_ms, max_records=most)
        except OF_ONE as error:
            if error.partition in self.working():
                self._fail(error.partition, error)
                return {}
            failed = set(self._failed)
            found = self._one_by_one(most)
            if self._failed == failed and not found:
                raise
            return found

    def ends(self, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
        """Where they end, without those that fail."""
        found: dict[TopicPartition, int] = {}
        for partition in sorted(partitions):
            found |= self._try(partition, self._client.end_offsets, [partition]) or {}
        return found

    def positions(self, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
        """What is read next of each, without those that fail."""
        tried = {it: self._try(it, self._client.position, it) for it in sorted(partitions)}
        return {it: at for it, at in tried.items() if at is not None}

    def _one_by_one(self, most: int) -> Found:
        """Ask each alone, which tells who fails."""
        for partition in sorted(self.working()):
            self._try(partition, self._client.beginning_offsets, [partition])
        found: Found = {}
        self._client.pause(*self.working())
        for partition in sorted(self.working()):
            left = most - sum(map(len, found.values()))
            if left > 0:
                found |= self._try(partition, self._alone, partition, left) or {}
        self._client.resume(*self.working())
        return found

    def _alone(self, partition: TopicPartition, most: int) -> Found:
        client = self._client
        # A poll may take it away: a group shares anew.
        client.resume(*{partition} & client.assignment())
        try:
            return client.poll(timeout_ms=0, max_records=most)
        finally:
            client.pause(*{partition} & client.assignment())

    def _try(self, partition: TopicPartition, deed: Callable[..., Any], *args: Any) -> Any:
        """Give what the deed gives, or None where it failed."""
        try:
            return deed(*args)
        except OF_ONE as error:
            # It may have been met while another one was asked.
            met = error.partition
            self._fail(met if met in self.working() else partition, error)
            return None

    def _fail(self, partition: TopicPartition, error: Exception) -> None:
        existing_directory()  # without it, nothing is to be said of a partition
        self._failed.add(partition)
        self._leave_out()
        with self._failures.of(partition, OF_ONE):
            raise error

    def _leave_out(self) -> None:
        """Pause what failed, also when a rebalance brought it back."""
        client = self._client
        for partition in (self._failed & client.assignment()) - client.paused():
            # Somewhere, so that nobody looks for its position.
            client.seek(partition, 0)
            client.pause(partition)
