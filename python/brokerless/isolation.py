"""Kafka's numbers for what a reader sees, and for places in a log."""

from __future__ import annotations

from enum import IntEnum

from brokerless.enums import EnumHelper

__all__ = ["IsolationLevel", "OffsetSpec", "OffsetTimestamp"]


class IsolationLevel(EnumHelper, IntEnum):
    """Whether records of open and aborted transactions are seen."""

    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1


class OffsetSpec(EnumHelper, IntEnum):
    """Places in a log that have a name instead of a timestamp."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3
    EARLIEST_LOCAL = -4
    LATEST_TIERED = -5


class OffsetTimestamp(int):
    """A time in milliseconds, where a plain number would be an offset."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"OffsetTimestamp({int(self)})"
