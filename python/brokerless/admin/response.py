"""What calls give: the shapes of kafka-python 3.x, in which those of 2.x are found too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from brokerless.errors.broker import NoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokerless.errors.base import BrokerResponseError

__all__ = ["Answer", "Response", "error_class", "reported"]


class Answer(dict[str, Any]):
    """A dict with the keys of kafka-python 3.x; those of 2.x lead to the same values."""

    _older: ClassVar[Mapping[str, str]] = {}

    def __missing__(self, key: str) -> Any:
        if key not in self._older:
            raise KeyError(key)
        return self[self._older[key]]

    def get(self, key: str, default: Any = None) -> Any:
        """Give the value, or `default` where there is no such key."""
        return super().get(self._older.get(key, key), default)


class Response(dict[str, Any]):
    """What was done: a dict, and an object with the same fields."""

    throttle_time_ms = 0

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}") from None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {"throttle_time_ms": self.throttle_time_ms, **self}

    @property
    def replication_election_results(self) -> Any:
        """What was said of each partition, under the name of kafka-python 2.x."""
        return self.replica_election_results

    @property
    def topic_errors(self) -> list[tuple[str, int, str | None]]:
        """Name, error code and error message of each topic, as in kafka-python 2.x."""
        return [
            (one["name"], one["error_code"], one["error_message"])
            for one in self.get("topics") or self.get("results") or ()
        ]

    @property
    def topic_error_codes(self) -> list[tuple[str, int]]:
        """Name and error code of each topic, as in kafka-python 2.x."""
        return [(name, code) for name, code, _ in self.topic_errors]


def error_class(error: BrokerResponseError | None) -> type[BrokerResponseError]:
    """Kafka's class of what went wrong with one of many; `NoError` if nothing did."""
    return NoError if error is None else type(error)


def reported(error: BrokerResponseError | None) -> dict[str, Any]:
    """The code and the message of what went wrong with one of many."""
    if error is None:
        return {"error_code": 0, "error_message": None}
    return {"error_code": error.errno, "error_message": str(error.args[0] if error.args else error)}
