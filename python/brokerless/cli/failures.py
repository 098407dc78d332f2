"""What of many could not be done: each is said, and the rest is done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from brokerless.cli.ending import FAILED, FailedError, say, sentence
from brokerless.errors.base import KafkaError
from brokerless.errors.broker import PolicyViolationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokerless import TopicPartition

__all__ = ["Failures"]


class Failures:
    """Says what fails, partition by partition, and counts."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def of(
        self,
        partition: TopicPartition,
        kinds: tuple[type[Exception], ...] = (FailedError, KafkaError),
    ) -> Iterator[None]:
        """Do something with one partition; what it fails with is said, and is the end of it."""
        try:
            yield
        except PolicyViolationError:  # what a topic forbids, no other partition of it allows
            raise
        except kinds as error:
            self.count += 1
            place = f"{partition.topic}-{partition.partition}: "
            say(place + sentence(error).removeprefix(place))

    @property
    def code(self) -> int:
        """The exit code."""
        return FAILED if self.count else 0
