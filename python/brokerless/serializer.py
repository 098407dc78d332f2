"""Serializers: from the objects of a program to the bytes of a record, and back.

A setting like `value_serializer` takes any callable, called as `f(value)`, or an
instance of one of these classes.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "DefaultSerializer",
    "DeserializeWrapper",
    "Deserializer",
    "JsonSerializer",
    "SerializeWrapper",
    "Serializer",
]

Headers = Sequence[tuple[str, bytes]]


class Serializer(ABC):
    """Turns objects into bytes.

    kafka-python 3.x calls `serialize(topic, headers, data)`, 2.x calls
    `serialize(topic, value)`. Either signature works.
    """

    def __init__(self, **config: Any) -> None:
        """Takes any settings, as in kafka-python 2.x."""

    @abstractmethod
    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        """The bytes of `data`, or None."""

    def close(self) -> None:
        """Called when the producer closes."""


class Deserializer(ABC):
    """Turns bytes into objects.

    kafka-python 3.x calls `deserialize(topic, headers, data)`, 2.x calls
    `deserialize(topic, bytes_)`. Either signature works.
    """

    def __init__(self, **config: Any) -> None:
        """Takes any settings, as in kafka-python 2.x."""

    @abstractmethod
    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """The object that `data` stands for."""

    def close(self) -> None:
        """Called when the consumer closes."""


class DefaultSerializer(Serializer, Deserializer):
    """Strings, in an encoding. Bytes stay what they are."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        if data is None or isinstance(data, (bytes, bytearray, memoryview)):
            return data
        return data.encode(self.encoding)

    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        return None if data is None else data.decode(self.encoding)


class JsonSerializer(DefaultSerializer):
    """JSON, in an encoding. None stays None: a tombstone."""

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        return None if data is None else json.dumps(data).encode(self.encoding)

    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        return None if data is None else json.loads(data.decode(self.encoding))


class SerializeWrapper(Serializer):
    """A plain function as a `Serializer`."""

    def __init__(self, fn: Callable[[Any], Any] | None) -> None:
        self.fn = fn

    def serialize(self, topic: str, headers: Headers, data: Any) -> Any:
        return data if self.fn is None else self.fn(data)


class DeserializeWrapper(Deserializer):
    """A plain function as a `Deserializer`."""

    def __init__(self, fn: Callable[[Any], Any] | None) -> None:
        self.fn = fn

    def deserialize(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        return data if self.fn is None else self.fn(data)
