"""Arguments of the admin client: what is wrong with one is said with its name.

A parameter means the same in every method that has one of that name.
"""

from __future__ import annotations

import functools
import inspect
import operator
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from brokerless.admin.configs import ConfigResource, ConfigResourceType
from brokerless.admin.groups import MemberToRemove
from brokerless.admin.partitions import NewPartitions
from brokerless.admin.topics import NewTopic
from brokerless.errors.base import ArgumentTypeError, IllegalArgumentError
from brokerless.structs import TopicPartition, TopicPartitionReplica

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["checked", "no", "whole"]

Client = TypeVar("Client")


def checked(client: type[Client]) -> type[Client]:
    """Have every public method of a class look at its arguments first."""
    for name, method in inspect.getmembers(client, inspect.isfunction):
        signature = inspect.signature(method)
        checks = {it: CHECKS[it] for it in signature.parameters if it in CHECKS}
        checks |= SPECIAL.get(name, {})
        if checks and not name.startswith("_"):
            setattr(client, name, _checking(method, signature, checks))
    return client


def _checking(
    method: Callable[..., Any],
    signature: inspect.Signature,
    checks: Mapping[str, Callable[[Any, str], Any]],
) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        for name, value in given.arguments.items():
            if name in checks:
                given.arguments[name] = checks[name](value, name)
        return method(*given.args, **given.kwargs)

    return call


def no(what: str, name: str, value: Any) -> ArgumentTypeError:
    """Give the error of a value that is not what it must be."""
    return ArgumentTypeError(f"{name} must be {what}, not {value!r}")


def whole(value: Any, name: str) -> int:
    """Give a whole number, also one of numpy's."""
    if isinstance(value, bool):
        raise no("an int", name, value)
    try:
        return operator.index(value)
    except TypeError:
        raise no("an int", name, value) from None


def _count(value: Any, name: str) -> int:
    """Give a number of partitions, or one's number."""
    number = whole(value, name)
    if abs(number) >= 1 << 31:
        raise IllegalArgumentError(f"{name} is too large: {number}")
    return number


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise no("a str", name, value)
    return value


def _truth(value: Any, _: str) -> bool:
    return bool(value)


def _list_of(kinds: type | tuple[type, ...], what: str) -> Callable[[Any, str], Any]:
    """A list; one alone is a list of one, also a str, which has letters."""

    def check(value: Any, name: str) -> list[Any]:
        if isinstance(value, kinds):
            return [value]
        if isinstance(value, (bytes, str)) or not isinstance(value, Iterable):
            raise no(f"a list of {what}", name, value)
        listed = list(value)
        for one in listed:
            if not isinstance(one, kinds):
                raise no(f"a list of {what}", name, value)
        return listed

    return check


def _or_none(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, name: None if value is None else check(value, name)


def _partition(value: Any, name: str) -> TopicPartition:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return TopicPartition(value[0], _count(value[1], f"the number of a partition in {name}"))
    raise no("a TopicPartition", f"a partition in {name}", value)


def _partitions(value: Any, name: str) -> list[TopicPartition]:
    if isinstance(value, (bytes, str, TopicPartition)) or not isinstance(value, Iterable):
        raise no("a list of TopicPartitions", name, value)
    return [_partition(one, name) for one in value]


def _by_partition(value: Any, name: str) -> dict[TopicPartition, Any]:
    if not isinstance(value, Mapping):
        raise no("a dict by TopicPartition", name, value)
    return {_partition(one, name): it for one, it in value.items()}


def _offsets(value: Any, name: str) -> dict[TopicPartition, int]:
    return {one: _offset(it, name) for one, it in _by_partition(value, name).items()}


def _offset(value: Any, name: str) -> int:
    offset = whole(value, name)
    if abs(offset) >= 1 << 63:
        raise IllegalArgumentError(f"{name}: there is no offset {offset}")
    return offset


def _resources(value: Any, name: str) -> list[ConfigResource]:
    listed: list[ConfigResource] = _list_of(ConfigResource, "ConfigResources")(value, name)
    for one in listed:
        of_node = one.resource_type is ConfigResourceType.BROKER and not isinstance(one.name, str)
        (whole if of_node else _text)(one.name, f"the name of a ConfigResource in {name}")
        if isinstance(one.configs, (bytes, str)) or not isinstance(one.configs or (), Iterable):
            raise no("a dict of settings, or a list of names", f"configs of {one}", one.configs)
    return listed


def _replicas(value: Any, name: str) -> dict[TopicPartition, list[Any] | None]:
    replicas = _or_none(_iterable)
    return {one: replicas(it, name) for one, it in _by_partition(value, name).items()}


def _folders(value: Any, name: str) -> dict[TopicPartitionReplica, str]:
    """Paths by replica."""
    found = {}
    for one, path in _mapping(value, name).items():
        match one:
            case (str(), int(), int()) if isinstance(one, tuple) and isinstance(path, str):
                found[TopicPartitionReplica(*one)] = path
            case _:
                raise no("a dict of paths by TopicPartitionReplica", name, value)
    return found


def _totals(value: Any, name: str) -> dict[str, NewPartitions]:
    """Numbers by topic, each as such, as `NewPartitions`, or as the `count` in a dict."""
    return {topic: _total(it, topic) for topic, it in _by_name(value, name).items()}


def _total(value: Any, topic: str) -> NewPartitions:
    assignments = None
    if isinstance(value, NewPartitions):
        value, assignments = value.total_count, value.new_assignments
    elif isinstance(value, Mapping):
        value, assignments = value.get("count"), value.get("assignments")
    return NewPartitions(
        _count(value, f"the number of partitions of topic {topic!r}"),
        _or_none(_iterable)(assignments, f"the assignments of topic {topic!r}"),
    )


def _by_name(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise no("a dict by names", name, value)
    return {_text(one, f"a name in {name}"): it for one, it in value.items()}


def _numbers_by_topic(value: Any, name: str) -> Any:
    """All of the topics in a list, or numbers by topic, or partitions."""
    if isinstance(value, Mapping):
        return {one: _numbers(it, name) for one, it in _by_name(value, name).items()}
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes) or not isinstance(value, Iterable):
        raise no("a dict of partitions by topic, or a list of topics", name, value)
    listed = list(value)
    if all(isinstance(one, str) for one in listed):
        return listed
    found: dict[str, list[int]] = {}
    for topic, number in _partitions(listed, name):
        found.setdefault(topic, []).append(number)
    return found


def _numbers(value: Any, name: str) -> list[int]:
    if isinstance(value, (bytes, str)) or not isinstance(value, Iterable):
        raise no("lists of numbers by topic", name, value)
    return [_count(one, f"a number in {name}") for one in value]


def _ids(value: Any, name: str) -> list[int]:
    if isinstance(value, (bytes, str)) or not isinstance(value, Iterable):
        raise no("a list of node ids", name, value)
    return [_id(one, f"a node id in {name}") for one in value]


def _id(value: Any, name: str) -> int:
    """A node id, as a number or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return whole(value, name)


def _groups(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        found = _by_name(value, name)
        return {group: _or_none(_partitions)(it, name) for group, it in found.items()}
    return _list_of(str, "group ids")(value, name)


def _iterable(value: Any, name: str) -> list[Any]:
    if isinstance(value, (bytes, str)) or not isinstance(value, Iterable):
        raise no("a list", name, value)
    return list(value)


def _mapping(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise no("a dict", name, value)
    return value


def _kinds(value: Any, name: str) -> list[Any]:
    """What an enumeration has; a str alone is one of them."""
    return [value] if isinstance(value, str) else _iterable(value, name)


def _cursor(value: Any, name: str) -> Mapping[str, Any]:
    match value:
        case {"topic_name": str(), "partition_index": int()}:
            return dict(value)
    raise no("the next_cursor of an answer", name, value)


def _milliseconds(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise no("a number of milliseconds", name, value)
    return value


_OPTIONS = ("num_partitions", "replication_factor", "assignments", "configs")


def _new_topics(value: Any, name: str) -> list[NewTopic]:
    """Names, `NewTopic`s, or options by name."""
    if isinstance(value, Mapping):
        return [_optioned(one, it) for one, it in _by_name(value, name).items()]
    listed = _list_of((str, NewTopic), "names or NewTopics")(value, name)
    return [_new_topic(NewTopic(one) if isinstance(one, str) else one) for one in listed]


def _optioned(name: str, given: Any) -> NewTopic:
    """The topic of that name with options in a dict, or none."""
    options = {} if given is None else dict(_mapping(given, f"the options of topic {name!r}"))
    unknown = sorted(map(str, options.keys() - set(_OPTIONS)))
    if unknown:
        known = ", ".join(_OPTIONS)
        raise IllegalArgumentError(f"topic {name!r}: there is no {unknown[0]!r}; there are {known}")
    return _new_topic(
        NewTopic(
            name,
            options.get("num_partitions", -1),
            options.get("replication_factor", -1),
            options.get("assignments"),
            options.get("configs"),
        )
    )


def _new_topic(topic: NewTopic) -> NewTopic:
    name = _text(topic.name, "the name of a topic")
    _count(topic.num_partitions, f"num_partitions of topic {name!r}")
    whole(topic.replication_factor, f"replication_factor of topic {name!r}")
    _mapping(topic.replica_assignments, f"assignments of topic {name!r}")
    _mapping(topic.topic_configs, f"configs of topic {name!r}")
    return topic


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "acl_filters": _iterable,
    "acls": _iterable,
    "alterations": _iterable,
    "broker_id": _or_none(_id),
    "broker_ids": _or_none(_ids),
    "brokers": _or_none(_ids),
    "config_resources": _resources,
    "cursor": _or_none(_cursor),
    "group_id": _text,
    "group_ids": _list_of(str, "group ids"),
    "group_specs": _groups,
    "members": _list_of(MemberToRemove, "MemberToRemoves"),
    "new_topics": _new_topics,
    "offset_specs": _by_partition,
    "offsets": _by_partition,
    "partitions": _or_none(_partitions),
    "raise_errors": _truth,
    "raise_on_unknown": _truth,
    "reassignments": _replicas,
    "records_to_delete": _offsets,
    "replica_assignments": _folders,
    "resource_types": _or_none(_kinds),
    "response_partition_limit": whole,
    "states_filter": _or_none(_kinds),
    "timeout_ms": _or_none(_milliseconds),
    "topic_names": _list_of(str, "names"),
    "topic_partition_specs": _by_partition,
    "topic_partitions": _or_none(_numbers_by_topic),
    "topics": _list_of((str, uuid.UUID), "names"),
    "transactional_ids": _list_of(str, "transactional ids"),
    "types_filter": _or_none(_kinds),
    "validate_only": _truth,
}
"""What looks at a parameter, and gives what the method gets."""

SPECIAL: dict[str, dict[str, Callable[[Any, str], Any]]] = {
    "create_partitions": {"topic_partitions": _totals},
    "delete_group_offsets": {"partitions": _partitions},
    "describe_producers": {"partitions": _partitions},
    "describe_topics": {"topics": _or_none(_list_of((str, uuid.UUID), "names"))},
    "get_broker_version_data": {"broker_id": _id},
    "wait_for_topics": {"timeout_ms": _milliseconds},
}
"""The same, of single methods."""
