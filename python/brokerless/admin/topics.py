"""Topics: create, list, describe and delete them."""

from __future__ import annotations

import base64
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from brokerless.admin.base import AdminBase, attempt, text
from brokerless.admin.configs import ConfigSourceType
from brokerless.admin.response import Answer, Response, reported
from brokerless.errors.base import IllegalArgumentError, KafkaTimeoutError
from brokerless.errors.broker import (
    InvalidReplicationAssignmentError,
    InvalidReplicationFactorError,
    InvalidRequestError,
    UnknownTopicOrPartitionError,
)
from brokerless.errors.cluster import UnknownTopicIdError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokerless.admin.configs import Setting
    from brokerless.errors.base import BrokerResponseError

__all__ = ["NewTopic", "TopicAdmin"]

OPERATIONS = {
    "READ": 3,
    "WRITE": 4,
    "CREATE": 5,
    "DELETE": 6,
    "ALTER": 7,
    "DESCRIBE": 8,
    "DESCRIBE_CONFIGS": 10,
    "ALTER_CONFIGS": 11,
}
"""What may be done to a topic, and Kafka's numbers: all, for whoever may write to the directory."""


class NewTopic:
    """A topic to create; -1 is the default number."""

    def __init__(
        self,
        name: str,
        num_partitions: int = -1,
        replication_factor: int = -1,
        replica_assignments: Mapping[int, list[int]] | None = None,
        topic_configs: Mapping[str, Any] | None = None,
    ) -> None:
        if replica_assignments and num_partitions != -1:
            raise IllegalArgumentError(
                "either num_partitions/replication_factor or replica_assignment must be specified"
            )
        self.name = name
        self.num_partitions = num_partitions
        self.replication_factor = replication_factor
        self.replica_assignments = replica_assignments or {}
        self.topic_configs = topic_configs or {}


class Topic(Answer):
    """A topic as it is described."""

    _older: ClassVar[Mapping[str, str]] = {"topic": "name"}


class Partition(Answer):
    """A partition as it is described: its one replica is this directory."""

    _older: ClassVar[Mapping[str, str]] = {
        "partition": "partition_index",
        "leader": "leader_id",
        "replicas": "replica_nodes",
        "isr": "isr_nodes",
    }


class TopicAdmin(AdminBase):
    """What the admin client does with topics."""

    def create_topics(
        self,
        new_topics: Iterable[NewTopic | str] | Mapping[str, Mapping[str, Any]],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
        wait_for_metadata: bool = False,
    ) -> Response:
        """Create topics, given as names, as `NewTopic`s or as a dict of options.

        The options are `num_partitions`, `replication_factor`, `assignments` and
        `configs`. Topics are created one by one; the first error is raised at the end.
        With `validate_only` they are only checked.
        """
        if validate_only and wait_for_metadata:
            raise ValueError("validate_only and wait_for_metadata are mutually exclusive")
        wanted = [_Wanted.of(topic) for topic in cast("list[NewTopic]", new_topics)]
        if not wanted:
            raise IllegalArgumentError(f"No valid topics found in new_topics: {new_topics!r}")
        counts = Counter(topic.name for topic in wanted)
        wanted = list({topic.name: topic for topic in wanted}.values())
        settings: dict[str, list[Setting]] = {}

        def create(topic: _Wanted) -> None:
            if counts[topic.name] > 1:
                raise InvalidRequestError("Duplicate topic name.")
            settings[topic.name] = self._create(topic, validate_only)

        errors = [attempt(create, topic) for topic in wanted]
        _raise_first(errors, raise_errors)
        found = {} if validate_only else {name: one for name, one, *_ in self._admin.topics()}
        return Response(
            topics=[
                _created(topic.name, settings[topic.name], found.get(topic.name), count)
                if error is None
                else _failed(topic.name, error)
                for topic, error in zip(wanted, errors, strict=True)
                for count in [self._count(topic)]
            ]
        )

    def _count(self, topic: _Wanted) -> int:
        """How many partitions a topic would have."""
        if topic.partitions is not None:
            return topic.partitions
        settings = {name: value for name, value, *_ in self._admin.directory_configs()}
        return int(settings["num.partitions"] or 1)

    def _create(self, topic: _Wanted, validate_only: bool) -> list[Setting]:
        """Create a topic, or only check it; gives its settings."""
        if topic.replication_factor == 0 or topic.replication_factor < -1:
            raise InvalidReplicationFactorError("Replication factor must be larger than 0.")
        # As many as there are numbers: no number is left out.
        if topic.numbers and topic.numbers != set(range(len(topic.numbers))):
            raise InvalidReplicationAssignmentError(
                "partitions should be a consecutive 0-based integer sequence"
            )
        create = self._admin.check_topic if validate_only else self._admin.create_topic
        return create(topic.name, topic.partitions, topic.settings)

    def wait_for_topics(self, topic_names: Iterable[str], timeout_ms: float = 10000) -> None:
        """Wait until these topics are there, also if another process is to create them."""
        deadline = time.monotonic() + timeout_ms / 1000
        while missing := sorted(set(topic_names) - set(self.list_topics())):
            if time.monotonic() >= deadline:
                raise KafkaTimeoutError(f"Topics not ready after {timeout_ms}ms: {missing}")
            time.sleep(0.01)

    def delete_topics(
        self,
        topics: Iterable[str | uuid.UUID],
        timeout_ms: float | None = None,
        raise_errors: bool = True,
    ) -> Response:
        """Delete topics with all their records, by name or by id."""
        texts = {name: topic_id for name, topic_id, *_ in self._admin.topics()}
        known = {name: _uuid(topic_id) for name, topic_id in texts.items()}
        named = {topic_id: name for name, topic_id in known.items()}
        wanted = [topics] if isinstance(topics, (str, uuid.UUID)) else list(topics)
        ids = {
            one: one if isinstance(one, uuid.UUID) else known.get(one)
            for one in dict.fromkeys(wanted)
        }
        names = {one: named.get(one) if isinstance(one, uuid.UUID) else one for one in ids}
        counts = Counter(names[one] or one for one in wanted)

        def delete(one: str | uuid.UUID) -> None:
            name = names[one]
            if counts[name or one] > 1:
                raise InvalidRequestError("Duplicate topic name.")
            if isinstance(one, str):
                self._admin.delete_topic(one)
                return
            # Another may have the name by now.
            gone = UnknownTopicIdError(f"there is no topic with the id {one}")
            if name is None:
                raise gone
            try:
                self._admin.delete_topic(name, texts[name])
            except UnknownTopicOrPartitionError:
                raise gone from None

        errors = {one: attempt(delete, one) for one in ids}
        _raise_first(errors.values(), raise_errors)
        return Response(
            topics=[
                {"name": names[one], "topic_id": _text(ids[one]), **reported(error)}
                for one, error in errors.items()
            ]
        )

    def list_topics(self) -> list[str]:
        """List the names of all topics."""
        return [name for name, *_ in self._admin.topics()]

    def describe_topics(self, topics: Iterable[str | uuid.UUID] | None = None) -> list[Topic]:
        """Describe topics by name or id, or all: a dict each, with its partitions.

        One that is not there has the `error_code` that a broker gives.
        """
        node = self._node()
        found = {one[0]: _topic(node, *one) for one in self._admin.describe_topics()}
        if topics is None:
            return list(found.values())
        by_id = {uuid.UUID(topic["topic_id"]): topic for topic in found.values()}
        return [
            by_id.get(one) or _missing(UnknownTopicIdError, topic_id=one)
            if isinstance(one, uuid.UUID)
            else found.get(one) or _missing(UnknownTopicOrPartitionError, one)
            for one in topics
        ]

    def describe_topic_partitions(
        self,
        topics: Iterable[str],
        response_partition_limit: int = 2000,
        cursor: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Describe topics page by page: `response_partition_limit` partitions at a time.

        `next_cursor` of the answer is the `cursor` of the next call; None at the end.
        """
        first, index = _cursor(cursor)
        names = sorted(name for name in set(topics) if name >= first)
        room = response_partition_limit
        pages: list[dict[str, Any]] = []
        for topic in self.describe_topics(names):
            skip = index if topic["name"] == first else 0
            left = topic["partitions"][skip:]
            if left and room <= 0:
                return {"topics": pages, "next_cursor": _next(topic, skip)}
            pages.append(_page(topic, left[:room]))
            if len(left) > room:
                return {"topics": pages, "next_cursor": _next(topic, skip + room)}
            room -= len(left)
        return {"topics": pages, "next_cursor": None}


class _Wanted(NamedTuple):
    """A topic as somebody wants it; `partitions` None is the default number."""

    name: str
    partitions: int | None = None
    replication_factor: int = -1
    settings: dict[str, str] = {}  # noqa: RUF012  # never changed
    numbers: frozenset[int] = frozenset()
    """Of the partitions that replicas were assigned to."""

    @classmethod
    def of(cls, topic: NewTopic) -> _Wanted:
        partitions = len(topic.replica_assignments) or topic.num_partitions
        settings = {name: text(value) for name, value in topic.topic_configs.items()}
        return cls(
            topic.name,
            None if partitions == -1 else partitions,
            topic.replication_factor,
            settings,
            frozenset(topic.replica_assignments),
        )


def _raise_first(errors: Iterable[BrokerResponseError | None], raise_errors: bool) -> None:
    first = next((error for error in errors if error is not None), None)
    if first is not None and raise_errors:
        raise first


def _created(
    name: str, settings: list[Setting], topic_id: str | None, partitions: int
) -> dict[str, Any]:
    return {
        "name": name,
        "topic_id": None if topic_id is None else str(_uuid(topic_id)),
        **reported(None),
        "topic_config_error_code": 0,
        "num_partitions": partitions,
        "replication_factor": 1,
        "configs": {one[0]: _setting(one) for one in settings},
    }


def _setting(setting: Setting) -> dict[str, Any]:
    _, value, source, _, _, _, read_only, sensitive = setting
    return {
        "value": value,
        "read_only": read_only,
        "config_source": ConfigSourceType(source).name,
        "is_sensitive": sensitive,
    }


def _failed(name: str, error: BrokerResponseError) -> dict[str, Any]:
    return {
        "name": name,
        "topic_id": None,
        **reported(error),
        "topic_config_error_code": 0,
        "num_partitions": -1,
        "replication_factor": -1,
    }


def _uuid(topic_id: str) -> uuid.UUID:
    """Kafka's text of an id is its 16 bytes in base64."""
    return uuid.UUID(bytes=base64.urlsafe_b64decode(topic_id + "=="))


def _text(topic_id: uuid.UUID | None) -> str | None:
    return None if topic_id is None else str(topic_id)


def _topic(node: int, name: str, topic_id: str, internal: bool, epochs: list[int]) -> Topic:
    return Topic(
        error_code=0,
        name=name,
        topic_id=_text(_uuid(topic_id)),
        is_internal=internal,
        partitions=[_partition(node, number, epoch) for number, epoch in enumerate(epochs)],
        authorized_operations=list(OPERATIONS),
    )


def _partition(node: int, number: int, epoch: int) -> Partition:
    return Partition(
        error_code=0,
        partition_index=number,
        leader_id=node,
        leader_epoch=epoch,
        replica_nodes=[node],
        isr_nodes=[node],
        offline_replicas=[],
    )


def _missing(
    error: type[BrokerResponseError], name: str | None = None, topic_id: uuid.UUID | None = None
) -> Topic:
    return Topic(
        error_code=error.errno,
        name=name,
        topic_id=_text(topic_id),
        is_internal=False,
        partitions=[],
        authorized_operations=None if name is None else list(OPERATIONS),
    )


def _cursor(cursor: Mapping[str, Any] | None) -> tuple[str, int]:
    return ("", 0) if cursor is None else (cursor["topic_name"], cursor["partition_index"])


def _next(topic: Topic, partition: int) -> dict[str, Any]:
    return {"topic_name": topic["name"], "partition_index": partition}


def _page(topic: Topic, partitions: list[Partition]) -> dict[str, Any]:
    topic_id = topic["topic_id"]
    replicas = {"eligible_leader_replicas": None, "last_known_elr": None}
    return {
        "error_code": topic["error_code"],
        "name": topic["name"],
        "topic_id": topic_id and uuid.UUID(topic_id),
        "is_internal": topic["is_internal"],
        "partitions": [{**partition, **replicas} for partition in partitions],
        "topic_authorized_operations": sum(1 << number for number in OPERATIONS.values()),
    }
