"""A consumer of a group that is watched: what it is told, what it raises, what it owns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

Event = list[Any]
"""When, what, about what."""
Hook = Callable[["Member", str, set[Any]], None]

MESSAGES: set[tuple[str, str, str]] = set()
"""What exceptions said, for whoever reads along."""


class Place:
    """Where a scenario happens: an address, and names nobody else uses."""

    def __init__(self, address: str, prefix: str) -> None:
        self.address = address
        self.prefix = prefix

    def topic(self, name: str) -> str:
        return f"{self.prefix}.{name}"

    def partition(self, text: str) -> TopicPartition:
        """`orders-0` as a partition."""
        name, _, number = text.rpartition("-")
        return TopicPartition(self.topic(name), int(number))

    def plain(self, value: Any) -> Any:
        """A value as it stands in a history."""
        if isinstance(value, TopicPartition):
            return f"{self.plain(value.topic)}-{value.partition}"
        if isinstance(value, OffsetAndMetadata):
            return [value.offset, value.metadata]
        if isinstance(value, dict):
            return {str(self.plain(key)): self.plain(value[key]) for key in sorted(value)}
        if isinstance(value, set | frozenset):
            return sorted(self.plain(one) for one in value)
        if isinstance(value, list | tuple):
            return [self.plain(one) for one in value]
        if isinstance(value, type):
            return value.__name__
        if isinstance(value, str):
            return value.removeprefix(f"{self.prefix}.")
        return value


class Listener(ConsumerRebalanceListener):
    """Writes down what it is told, then does what the script wants."""

    def __init__(self, member: Member, hook: Hook | None) -> None:
        self._member = member
        self._hook = hook

    def on_partitions_revoked(self, revoked: set[Any]) -> None:
        self._told("revoked", revoked)

    def on_partitions_assigned(self, assigned: set[Any]) -> None:
        self._told("assigned", assigned)

    def on_partitions_lost(self, lost: set[Any]) -> None:
        self._told("lost", lost)

    def _told(self, what: str, partitions: set[Any]) -> None:
        self._member.tell(what, self._member.place.plain(set(partitions)))
        if self._hook is not None:
            self._hook(self._member, what, set(partitions))


class Member:
    """A consumer of the group, and what has happened to it since it was last asked."""

    def __init__(
        self,
        place: Place,
        name: str,
        topics: Iterable[str] = (),
        *,
        pattern: str | None = None,
        hook: Hook | None = None,
        listener: Callable[[Member], Any] | None = None,
        **settings: Any,
    ) -> None:
        self.place = place
        self.name = name
        self.events: list[Event] = []
        self.read: list[str] = []
        self.asleep = False
        self.closed = False
        self.listener = listener(self) if listener else Listener(self, hook)
        self.consumer = KafkaConsumer(**usual(place, name, settings))
        if pattern is not None:
            self.consumer.subscribe(pattern=pattern, listener=self.listener)
            self.consumer.topics()
        elif topics:
            self.subscribe(*topics)

    def subscribe(self, *topics: str) -> None:
        self.consumer.subscribe([self.place.topic(one) for one in topics], listener=self.listener)
        self.consumer.topics()  # or kafka-python may join first, see more, and join again

    def tell(self, what: str, about: Any) -> None:
        self.events.append([time.monotonic_ns(), what, about])

    def attempt(self, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Tells what the call gave among the other things that happen to this member."""
        given = outcome(self.place, what, call, *arguments)
        self.tell(what, given)
        return given

    def step(self, timeout_ms: int) -> list[Event]:
        """Polls once. Gives what has happened since the last step."""
        try:
            for partition, records in self.consumer.poll(timeout_ms=timeout_ms).items():
                name = self.place.plain(partition)
                self.read.extend(f"{name}@{record.offset}" for record in records)
        except Exception as raised:  # noqa: BLE001
            said("poll", raised)
            self.tell("raised", causes(raised))
        return self.taken()

    def taken(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def assigned(self) -> list[str]:
        return list(self.place.plain(set(self.consumer.assignment() or ())))

    def membership(self) -> tuple[str, int] | None:
        """The state of the member and its generation."""
        if hasattr(self.consumer, "group_metadata"):
            metadata = self.consumer.group_metadata()
            state = metadata.state
        elif self.consumer.config["group_id"] is not None:  # kafka-python 2
            metadata = self.consumer._coordinator._generation
            state = self.consumer._coordinator.state
        else:
            return None
        return str(getattr(state, "name", state)).strip("<>").lower(), metadata.generation_id

    def positions(self) -> dict[str, Any]:
        return {
            self.place.plain(one): self.consumer.position(one)
            for one in sorted(self.consumer.assignment())
        }

    def close(self, *arguments: Any, **named: Any) -> None:
        self.closed = True
        self.consumer.close(*arguments, **named)


def usual(place: Place, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a member: quick to notice, and nothing by itself."""
    return {
        "bootstrap_servers": place.address,
        "group_id": place.topic("group"),
        "client_id": name,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 100,
        "retry_backoff_ms": 20,
        **settings,
    }


def causes(raised: BaseException) -> str:
    """The names of an exception's class and of its causes'."""
    names = [type(raised).__name__]
    while raised.__cause__ is not None:
        raised = raised.__cause__
        names.append(type(raised).__name__)
    return " from ".join(names)


def said(what: str, raised: BaseException) -> None:
    MESSAGES.add((what, type(raised).__name__, str(raised)[:300]))


def outcome(place: Place, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives: `ok` for nothing, a value, or how it raised."""
    try:
        value = call(*arguments)
    except Exception as raised:  # noqa: BLE001
        said(what, raised)
        return f"raised {causes(raised)}"
    return "ok" if value is None else place.plain(value)
