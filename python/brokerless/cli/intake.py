"""What of an import went in, and what was refused, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.cli.ending import FailedError, say, sentence
from brokerless.cli.output import counted
from brokerless.cli.produce import Sending
from brokerless.errors.base import BrokerResponseError, KafkaError
from brokerless.errors.broker import (
    InvalidRecordError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

if TYPE_CHECKING:
    from brokerless import KafkaProducer
    from brokerless.cli.values import Given

    Place = tuple[str, int]

__all__ = ["Intake"]

# What is the matter with one record, and not with those that follow.
_REFUSALS = (
    InvalidRecordError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)


class Intake(Sending):
    """Sends records; says of each that did not go in which line it is of, and why."""

    def __init__(self, client: KafkaProducer) -> None:
        super().__init__(client)
        self._done = 0
        self.refused = 0
        self._failure = ""
        # Neighbouring lines with the same reason, which are said together.
        self._name, self._first, self._last, self._reason = "", 0, 0, ""

    def take(self, place: Place, topic: str, record: Given) -> None:
        """Send the record of a line."""
        self.one(
            topic,
            record.value,
            place,
            key=record.key,
            headers=record.headers,
            partition=record.partition,
            timestamp_ms=record.timestamp,
        )
        if self._failure:
            raise FailedError(f"stopped at {place[0]}, line {place[1]}: {self._failure}")

    def finish(self) -> None:
        """Wait for all, and say what is left to say."""
        while self._futures:
            self._settle_first()
        self._say_lines()

    def summary(self) -> str:
        """How many went in."""
        others = f", {self.refused:,} not" if self.refused else ""
        return f"{counted(self._done, 'record')} imported{others}"

    def _refuse(self, error: BrokerResponseError, place: Place) -> None:
        if not isinstance(error, _REFUSALS):
            super()._refuse(error, place)
        self._note(place, sentence(error))

    def _settle(self, future: Any, place: Place) -> None:
        try:
            future.get()
        except _REFUSALS as error:
            self._note(place, sentence(error))
        except KafkaError as error:
            # What failed is said at the end, once; these are what was under way.
            self._note(place, "not imported")
            self._failure = self._failure or sentence(error)
        else:
            self._done += 1

    def _note(self, place: Place, reason: str) -> None:
        self.refused += 1
        name, number = place
        if (name, number, reason) != (self._name, self._last + 1, self._reason):
            self._say_lines()
            self._name, self._first, self._reason = name, number, reason
        self._last = number

    def _say_lines(self) -> None:
        if not self._reason:
            return
        lines = f"line {self._first}"
        if self._last > self._first:
            lines = f"lines {self._first} to {self._last}"
        say(f"{self._name}, {lines}: {self._reason}")
        self._reason = ""
