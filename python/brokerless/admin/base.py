"""What every part of the admin client stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.errors.base import (
    BrokerResponseError,
    KafkaConfigurationError,
    KafkaTimeoutError,
    UnknownBrokerIdError,
)
from brokerless.errors.broker import (
    InvalidConfigurationError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from brokerless import _brokerless

__all__ = ["AdminBase", "attempt", "text"]


class AdminBase:
    """The directory, and who stands for its broker."""

    config: dict[str, Any]
    _admin: _brokerless.Admin
    _directory: str

    def _node(self) -> int:
        """The node id of the directory, which a broker's directory has from its broker."""
        return self._admin.identity()[1]

    def _check_brokers(self, ids: Iterable[Any] | None) -> None:
        """There is one node, and nobody else to ask."""
        for one in ids or ():
            if int(one) != self._node():
                raise UnknownBrokerIdError(one)

    def _counts(self) -> dict[str, int]:
        """How many partitions each topic has."""
        return {name: count for name, _, count, _ in self._admin.topics()}

    def _check_partitions(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """All of these must exist."""
        counts = self._counts()
        wanted = [TopicPartition(*partition) for partition in partitions]
        unknown = [one for one in wanted if not 0 <= one.partition < counts.get(one.topic, 0)]
        if unknown:
            names = ", ".join(map(str, unknown))
            raise UnknownTopicOrPartitionError(f"The following partitions are not known: {names}")
        return wanted


def text(value: Any) -> str:
    """A setting's value as Kafka writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def attempt(call: Callable[..., None], *arguments: Any) -> BrokerResponseError | None:
    """Do one of many deeds; gives what a broker says is wrong with it."""
    try:
        call(*arguments)
    except KafkaConfigurationError as error:
        return InvalidConfigurationError(*error.args)
    except KafkaTimeoutError as error:
        return RequestTimedOutError(*error.args)
    except BrokerResponseError as error:
        return error
    return None
