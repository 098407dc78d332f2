"""The bytes in which members of a group speak of themselves."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Reader", "TopicPartitions", "Writer"]


class TopicPartitions(NamedTuple):
    """Some partitions of a topic."""

    topic: str
    partitions: list[int]


class Writer:
    """Builds a message, field by field."""

    def __init__(self) -> None:
        self.message = bytearray()

    def i16(self, value: int) -> None:
        """Two bytes."""
        self.message += struct.pack(">h", value)

    def i32(self, value: int) -> None:
        """Four bytes."""
        self.message += struct.pack(">i", value)

    def string(self, text: str | None) -> None:
        """Text, or null."""
        data = b"" if text is None else text.encode()
        self.i16(-1 if text is None else len(data))
        self.message += data

    def bytes(self, data: bytes | None) -> None:
        """Bytes, or null."""
        self.i32(-1 if data is None else len(data))
        self.message += data or b""

    def strings(self, texts: Iterable[str]) -> None:
        """An array of texts."""
        every = list(texts)
        self.i32(len(every))
        for text in every:
            self.string(text)

    def partitions(self, topics: Iterable[tuple[str, Iterable[int]]]) -> None:
        """An array of topics with their partitions."""
        every = list(topics)
        self.i32(len(every))
        for topic, partitions in every:
            numbers = list(partitions)
            self.string(topic)
            self.i32(len(numbers))
            self.message += struct.pack(f">{len(numbers)}i", *numbers)


class Reader:
    """Takes a message apart; `ValueError` says what is wrong with it."""

    def __init__(self, message: bytes) -> None:
        self._rest = memoryview(message)

    def i16(self) -> int:
        """Two bytes."""
        return int(struct.unpack(">h", self._take(2))[0])

    def i32(self) -> int:
        """Four bytes."""
        return int(struct.unpack(">i", self._take(4))[0])

    def string(self) -> str:
        """Text."""
        text = self.nullable_string()
        if text is None:
            raise ValueError("a text is missing")
        return text

    def nullable_string(self) -> str | None:
        """Text, or null."""
        length = self.i16()
        return None if length == -1 else str(self._take(length), "utf-8")

    def nullable_bytes(self) -> bytes | None:
        """Bytes, or null."""
        length = self.i32()
        return None if length == -1 else bytes(self._take(length))

    def strings(self) -> list[str]:
        """An array of texts."""
        return self._array(self.string)

    def partitions(self) -> list[TopicPartitions]:
        """An array of topics with their partitions."""
        return self._array(lambda: TopicPartitions(self.string(), self._array(self.i32)))

    def end(self) -> None:
        """Nothing must be left."""
        if self._rest:
            raise ValueError(f"{len(self._rest)} bytes too many")

    def _array(self, one: Callable[[], T]) -> list[T]:
        count = self.i32()
        if not 0 <= count <= len(self._rest):
            raise ValueError(f"an array of {count} in {len(self._rest)} bytes")
        return [one() for _ in range(count)]

    def _take(self, length: int) -> memoryview:
        if not 0 <= length <= len(self._rest):
            raise ValueError(f"{length} bytes are due, {len(self._rest)} are left")
        taken, self._rest = self._rest[:length], self._rest[length:]
        return taken
