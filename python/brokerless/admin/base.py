"""What every part of the admin client stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from brokerless.errors.base import BrokerResponseError, UnknownBrokerIdError
from brokerless.errors.broker import NoError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokerless import _brokerless

__all__ = ["AdminBase", "Answer", "error_class"]


class AdminBase:
    """The directory, and who stands for its broker."""

    config: dict[str, Any]
    _admin: _brokerless.Admin

    def _node(self) -> int:
        """The node id of the directory, which a broker's directory has from its broker."""
        return self._admin.identity()[1]

    def _check_brokers(self, ids: Iterable[Any] | None) -> None:
        """There is one node, and nobody else to ask."""
        for one in ids or ():
            if int(one) != self._node():
                raise UnknownBrokerIdError(one)


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


def error_class(error: BrokerResponseError | None) -> type[BrokerResponseError]:
    """Kafka's class of what went wrong with one of many; `NoError` if nothing did."""
    return NoError if error is None else type(error)
