"""The producer."""

from __future__ import annotations

import weakref
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from brokerless import _brokerless
from brokerless._brokerless import FutureRecordMetadata, RecordMetadata
from brokerless._children import ends_in_order
from brokerless._log import log_debug
from brokerless.errors.base import SettingError
from brokerless.location import directory_of
from brokerless.partitioner import is_builtin
from brokerless.settings import PRODUCER_DEFAULTS, merge

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["FutureRecordMetadata", "KafkaProducer", "RecordMetadata"]

_numbers = count(1)


class KafkaProducer(_brokerless.Producer):
    """Sends records to topics of a directory. Any number of threads may share one.

    The settings are kafka-python's. `bootstrap_servers` names the directory: a path
    or a `file://` URL is that directory, any `host:port` is the default one.

    Nothing that was sent is lost when the program ends without `flush` or `close`.
    """

    DEFAULT_CONFIG: ClassVar[dict[str, Any]] = PRODUCER_DEFAULTS

    def __init__(self, **configs: Any) -> None:
        self.config = merge(self.DEFAULT_CONFIG, configs)
        _settle(self.config, configs)
        directory = directory_of(self.config["bootstrap_servers"])
        self._open(directory, {**self.config, **self._picking()})
        ends_in_order()

    def bootstrap_connected(self) -> bool:
        """Whether the directory is open."""
        return not self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        client_id = self.config.get("client_id")
        return f"<{type(self).__name__} client_id={client_id} directory={self._directory}>"

    def _picking(self) -> dict[str, Any]:
        partitioner = self.config["partitioner"]
        if is_builtin(partitioner):
            return {"partitioner": None}
        return {"partitioner": partitioner, "cluster": _Cluster(self)}


class _Cluster:
    """What a partitioner of kafka-python 3.x may ask. Does not keep the producer alive."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = weakref.ref(producer)

    def topics(self) -> set[str]:
        producer = self._producer()
        if producer is None:
            return set()
        return {name for name, *_ in _brokerless.Admin(producer._directory).topics()}  # noqa: SLF001

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        producer = self._producer()
        return producer.partitions_for(topic) if producer else None

    available_partitions_for_topic = partitions_for_topic


def _settle(config: dict[str, Any], given: dict[str, Any]) -> None:
    """Fill in what depends on other settings, and refuse what does not go together."""
    if config["client_id"] is None:
        config["client_id"] = f"brokerless-producer-{next(_numbers)}"
    if config["transactional_id"] is not None:
        raise SettingError("transactional_id: transactions are not supported yet")
    conflict = _conflict(config)
    if conflict and given.get("enable_idempotence"):
        raise SettingError(f"enable_idempotence=True does not go with {conflict}")
    if conflict and config["enable_idempotence"]:
        log_debug("idempotence is off because of %s", conflict)
        config["enable_idempotence"] = False


def _conflict(config: dict[str, Any]) -> str:
    """Name the settings with which a producer cannot be idempotent."""
    conflicts = {
        "acks": config["acks"] != -1,
        "retries": config["retries"] == 0,
        "max_in_flight_requests_per_connection": (
            config["max_in_flight_requests_per_connection"] > 5
        ),
    }
    return ", ".join(f"{name}={config[name]!r}" for name, wrong in conflicts.items() if wrong)
