"""Wrong arguments of the admin client: each is refused in words, and nothing is done."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from brokerless import KafkaAdminClient, TopicPartition
from brokerless.admin import ConfigResource, MemberToRemove
from brokerless.errors import (
    ArgumentTypeError,
    GroupIdNotFoundError,
    IllegalArgumentError,
    KafkaError,
)

T0 = TopicPartition("t", 0)

# An argument of each parameter that has no default.
RIGHT: dict[str, Any] = {
    "acl_filter": None,
    "acl_filters": [],
    "acls": [],
    "alterations": [],
    "broker_id": 0,
    "config_resources": [ConfigResource("topic", "t")],
    "election_type": 0,
    "feature_updates": {},
    "group_id": "g",
    "group_ids": ["g"],
    "group_specs": ["g"],
    "members": [MemberToRemove("m")],
    "new_topics": ["new"],
    "offset_specs": {T0: 0},
    "offsets": {},
    "partitions": [T0],
    "reassignments": {},
    "records_to_delete": {T0: 0},
    "replica_assignments": {},
    "request": None,
    "requests_and_node_ids": [],
    "spec": None,
    "topic_names": ["t"],
    "topic_partition_specs": {T0: -1},
    "topic_partitions": {"t": 1},
    "topics": ["t"],
    "transactional_ids": [],
}

ODD: list[Any] = [
    *(None, 7, -1, 2.5, True, "orders", b"x", object(), ConfigResource("topic", "t"), T0),
    *([1], [None], [[]], ["a"], [b"x"], [("t",)], [("t", "x")], [T0]),
    *({1: 2}, {None: None}, {"a": 1}, {"a": None}, {"a": {}}, {"a": {"b": 1}}, {"a": [1]}),
    *({("t", "x"): 1}, {("t", 0, 1): 0}, {T0: "x"}, {T0: None}, {T0: {}}, {T0: [1]}),
    *({T0: 2**70}, {T0: object()}, {("t", 0, 0): None}, {("t", 2**40): 0}, [("t", 2**40)], 2**70),
    *({"t": 2**40}, {"new": {"num_partitions": 2**40}}, {"t": [2**40]}),
]

METHODS = [
    name
    for name, _ in inspect.getmembers(KafkaAdminClient, inspect.isfunction)
    if not name.startswith("_")
]


def is_said(error: Exception) -> bool:
    """Whether somebody meant to raise it, in Python or below."""
    if isinstance(error, (KafkaError, ArgumentTypeError)):
        return True
    last = traceback.extract_tb(error.__traceback__)[-1].line or ""
    return isinstance(error, (TypeError, ValueError)) and ("raise " in last or "_admin." in last)


def refusal(call: Callable[..., Any], arguments: dict[str, Any]) -> Exception | None:
    try:
        call(**arguments)
    except Exception as error:  # noqa: BLE001 - which ones there are is the question
        return error
    return None


@pytest.mark.parametrize("method", METHODS)
def test_whatever_is_given_what_is_wrong_is_said(topic: str, method: str) -> None:
    with KafkaAdminClient() as admin:
        call = getattr(admin, method)
        parameters = inspect.signature(call).parameters
        due = {
            name: RIGHT[name]
            for name, one in parameters.items()
            if one.default is inspect.Parameter.empty
        }
        if method == "wait_for_topics":
            due["timeout_ms"] = 1

        for name in parameters:
            for odd in ODD if method != "close" else ():
                error = refusal(call, {**due, name: odd})
                assert error is None or is_said(error), (name, odd, error)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("describe_topics", []),
        ("describe_topic_partitions", []),
        ("wait_for_topics", [1]),
        ("delete_topics", []),
    ],
)
def test_a_text_is_one_topic(method: str, arguments: list[Any]) -> None:
    with KafkaAdminClient() as admin:
        admin.create_topics("orders")

        done = getattr(admin, method)("orders", *arguments)

    found = done if isinstance(done, list) or done is None else done["topics"]
    assert found is None or [one["name"] for one in found] == ["orders"]


def test_a_text_is_one_group(topic: str) -> None:
    with KafkaAdminClient() as admin:
        admin.reset_group_offsets("billing", {T0: 0})

        assert list(admin.describe_groups("billing")) == ["billing"]
        assert [one.group for one in admin.describe_consumer_groups("billing")] == ["billing"]
        assert admin.delete_groups("billing") == {"billing": "OK"}
        assert admin.delete_consumer_groups("billing") == [("billing", GroupIdNotFoundError)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"orders": {"partitions": 3}}, "there is no 'partitions'"),
        ({"orders": 3}, "the options of topic 'orders' must be a dict, not 3"),
        ({"orders": {"num_partitions": "3"}}, "num_partitions of topic 'orders' must be an int"),
        ({"orders": {"configs": "x"}}, "configs of topic 'orders' must be a dict"),
        (["other", 3], "new_topics must be a list of names or NewTopics"),
    ],
)
def test_a_topic_with_an_option_that_cannot_be_is_not_made(given: Any, said: str) -> None:
    with KafkaAdminClient() as admin:
        with pytest.raises((IllegalArgumentError, ArgumentTypeError), match=said):
            admin.create_topics(given)

        assert admin.list_topics() == []


@pytest.mark.parametrize("method", ["describe_configs", "alter_configs", "reset_configs"])
@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (ConfigResource("topic", 5), "the name of a ConfigResource in .* must be a str, not 5"),  # type: ignore[arg-type]
        (ConfigResource("group", None), "the name of a ConfigResource in .* must be a str"),  # type: ignore[arg-type]
        (ConfigResource("broker", 1.5), "the name of a ConfigResource in .* must be an int"),  # type: ignore[arg-type]
        (ConfigResource("topic", "t", 7), "configs of .* must be a dict of settings, or a list"),
        (ConfigResource("topic", "t", "flush.ms"), "configs of .* must be a dict of settings"),
    ],
)
def test_a_resource_that_cannot_be_is_named(method: str, resource: Any, said: str) -> None:
    with KafkaAdminClient() as admin, pytest.raises(ArgumentTypeError, match=said):
        getattr(admin, method)([resource])


def test_a_broker_may_be_named_by_its_number() -> None:
    with KafkaAdminClient() as admin:
        by_number = admin.describe_configs([ConfigResource("broker", 1)])  # type: ignore[arg-type]

    assert list(by_number["broker"]) == [1]


def test_a_type_of_resources_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="Unrecognized ConfigResourceType: topik"):
        ConfigResource("topik", "t")


def test_flags_need_not_be_bool() -> None:
    with KafkaAdminClient() as admin:
        admin.create_topics(["t"], validate_only=1)  # type: ignore[arg-type]
        admin.alter_configs([ConfigResource("topic", "t", {"retention.ms": 1})], 1, 0)  # type: ignore[arg-type]

        assert admin.list_topics() == []


def test_the_settings_of_a_topic_that_is_not_there_are_none_and_its_code_says_so() -> None:
    with KafkaAdminClient() as admin:
        found = admin.describe_configs([ConfigResource("topic", "nowhere")])

    assert found == {"topic": {"nowhere": {}}}
    code, message, *_ = found[0].resources[0]
    assert (code, message) == (3, 'topic "nowhere" does not exist')
