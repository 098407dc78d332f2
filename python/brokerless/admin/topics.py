"""Topics: create, list, enlarge and delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from brokerless.admin.base import AdminBase
from brokerless.errors.base import (
    BrokerResponseError,
    IllegalArgumentError,
    KafkaConfigurationError,
)
from brokerless.errors.broker import (
    InvalidConfigurationError,
    InvalidReplicationFactorError,
    UnsupportedVersionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["NewPartitions", "NewTopic", "Response", "TopicAdmin"]


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


class NewPartitions:
    """The number of partitions that a topic shall have."""

    def __init__(self, total_count: int, new_assignments: list[list[int]] | None = None) -> None:
        self.total_count = total_count
        self.new_assignments = new_assignments


class Response(dict[str, Any]):
    """What was done: a dict as in kafka-python 3.x, with the attributes of 2.x."""

    @property
    def topic_errors(self) -> list[tuple[str, int, str | None]]:
        """Name, error code and error message of each topic."""
        return [(t["name"], t["error_code"], t["error_message"]) for t in self["topics"]]

    topic_error_codes = topic_errors


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
        """
        _refuse(validate_only)
        wanted = [_Wanted.of(topic) for topic in _listed(new_topics)]
        if not wanted:
            raise IllegalArgumentError(f"No valid topics found in new_topics: {new_topics!r}")
        return _each(wanted, self._create, raise_errors)

    def create_partitions(
        self,
        topic_partitions: Mapping[str, NewPartitions | int | Mapping[str, Any]],
        timeout_ms: float | None = None,
        validate_only: bool = False,
        raise_errors: bool = True,
    ) -> Response:
        """Give topics more partitions: total numbers by topic."""
        _refuse(validate_only)
        wanted = [_Wanted(name, _total(count)) for name, count in topic_partitions.items()]
        return _each(wanted, self._enlarge, raise_errors)

    def delete_topics(
        self,
        topics: Iterable[str],
        timeout_ms: float | None = None,
        raise_errors: bool = True,
    ) -> Response:
        """Delete topics with all their records."""
        names = [topics] if isinstance(topics, str) else topics
        return _each([_Wanted(name) for name in names], self._delete, raise_errors)

    def list_topics(self) -> list[str]:
        """List the names of all topics."""
        return [name for name, *_ in self._admin.topics()]

    def _create(self, topic: _Wanted) -> None:
        if topic.replication_factor == 0 or topic.replication_factor < -1:
            raise InvalidReplicationFactorError("Replication factor must be larger than 0.")
        try:
            self._admin.create_topic(topic.name, topic.partitions, topic.settings)
        except KafkaConfigurationError as error:
            raise InvalidConfigurationError(*error.args) from None

    def _enlarge(self, topic: _Wanted) -> None:
        self._admin.create_partitions(topic.name, topic.partitions or 0)

    def _delete(self, topic: _Wanted) -> None:
        self._admin.delete_topic(topic.name)


class _Wanted(NamedTuple):
    """A topic as somebody wants it; `partitions` None is the default number."""

    name: str
    partitions: int | None = None
    replication_factor: int = -1
    settings: dict[str, str] = {}  # noqa: RUF012  # never changed

    @classmethod
    def of(cls, topic: NewTopic | str) -> _Wanted:
        if isinstance(topic, str):
            return cls(topic)
        partitions = len(topic.replica_assignments) or topic.num_partitions
        settings = {name: _setting(value) for name, value in topic.topic_configs.items()}
        return cls(
            topic.name, None if partitions == -1 else partitions, topic.replication_factor, settings
        )


def _listed(topics: Any) -> Iterable[NewTopic | str]:
    if isinstance(topics, (str, NewTopic)):
        return [topics]
    if not hasattr(topics, "items"):
        return list(topics)
    return [
        NewTopic(
            name,
            options.get("num_partitions", -1),
            options.get("replication_factor", -1),
            options.get("assignments"),
            options.get("configs"),
        )
        for name, options in topics.items()
    ]


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _total(count: Any) -> int:
    if isinstance(count, int):
        return count
    return int(count["count"] if hasattr(count, "keys") else count.total_count)


def _refuse(validate_only: bool) -> None:
    if validate_only:
        raise UnsupportedVersionError("validate_only is not supported yet")


def _each(topics: list[_Wanted], act: Callable[[_Wanted], None], raise_errors: bool) -> Response:
    """Do it to every topic, then raise the first error or report them all."""
    errors: dict[str, BrokerResponseError] = {}
    for topic in topics:
        try:
            act(topic)
        except BrokerResponseError as error:  # noqa: PERF203
            errors[topic.name] = error
    if errors and raise_errors:
        raise next(iter(errors.values()))
    return Response(topics=[_report(topic, errors.get(topic.name)) for topic in topics])


def _report(topic: _Wanted, error: BrokerResponseError | None) -> dict[str, Any]:
    return {
        "name": topic.name,
        "error_code": 0 if error is None else error.errno,
        "error_message": None if error is None else str(error.args[0] if error.args else error),
    }
