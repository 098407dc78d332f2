"""Settings by the admin client, in the shapes of kafka-python 2.x and 3.x."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brokerless import KafkaAdminClient, KafkaProducer
from brokerless.admin import AlterConfigOp, ConfigResource, ConfigResourceType, ConfigSourceType
from brokerless.errors import InvalidRequestError, MessageSizeTooLargeError, UnknownBrokerIdError


@pytest.fixture
def admin() -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient() as admin:
        admin.create_topics({"t": {"configs": {"retention.ms": "1000"}}})
        yield admin


def topic(configs: Any = None) -> list[ConfigResource]:
    return [ConfigResource("topic", "t", configs)]


def broker(configs: Any = None) -> list[ConfigResource]:
    return [ConfigResource(ConfigResourceType.BROKER, "1", configs)]


def values(admin: KafkaAdminClient, resources: list[ConfigResource], **named: Any) -> Any:
    found = admin.describe_configs(resources, **named)
    ((_, described),) = found.items()
    ((_, settings),) = described.items()
    return {name: setting["value"] for name, setting in settings.items()}


def test_only_what_was_set_is_described_unless_all_is_wanted(admin: KafkaAdminClient) -> None:
    assert values(admin, topic()) == {"retention.ms": "1000"}

    everything = values(admin, topic(), config_filter="all")
    assert (
        everything.items()
        >= {
            "cleanup.policy": "delete",
            "retention.ms": "1000",
            "segment.bytes": "1073741824",
        }.items()
    )
    assert "retention.ms" not in values(admin, topic(), config_filter="default")
    assert values(admin, topic(["segment.bytes"]), config_filter="all") == {
        "segment.bytes": "1073741824"
    }
    assert values(admin, topic({"segment.bytes": None}), config_filter="static") == {}


def test_a_setting_has_its_source_type_synonyms_and_documentation(admin: KafkaAdminClient) -> None:
    found = admin.describe_configs(topic(["retention.ms"]), include_synonyms=True)

    setting = found["topic"]["t"]["retention.ms"]
    assert setting.pop("documentation")
    own = {"name": "retention.ms", "value": "1000", "source": "DYNAMIC_TOPIC_CONFIG"}
    assert setting.pop("synonyms")[0] == own
    assert setting == {
        "value": "1000",
        "read_only": False,
        "config_source": "DYNAMIC_TOPIC_CONFIG",
        "is_sensitive": False,
        "config_type": "LONG",
    }
    without = admin.describe_configs(topic())["topic"]["t"]["retention.ms"]
    assert without["synonyms"] == []


def test_the_list_of_version_2_is_found_too(admin: KafkaAdminClient) -> None:
    found = admin.describe_configs([*topic(["retention.ms"]), ConfigResource("topic", "none")])

    source = ConfigSourceType.DYNAMIC_TOPIC_CONFIG.value
    rows = [("retention.ms", "1000", False, source, False, [])]
    t, none = found[0].resources
    assert t == (0, None, 2, "t", rows)
    assert (none[0], none[2:]) == (3, (2, "none", []))
    assert [response.resources for response in found] == [[t, none]]
    with pytest.raises(KeyError):
        found[1]


def test_settings_are_altered_alone(admin: KafkaAdminClient) -> None:
    changes = {
        "max.message.bytes": 2000,
        "preallocate": True,
        "cleanup.policy": (AlterConfigOp.APPEND, "compact"),
    }

    assert admin.alter_configs(topic(changes), validate_only=True) == {"topic": {"t": "OK"}}
    assert values(admin, topic()) == {"retention.ms": "1000"}
    altered = admin.alter_configs(topic(changes))

    assert altered == {"topic": {"t": "OK"}}
    assert altered.resources == [(0, None, 2, "t")]
    assert values(admin, topic()) == {
        "cleanup.policy": "delete,compact",
        "max.message.bytes": "2000",
        "preallocate": "true",
        "retention.ms": "1000",
    }
    undone = {"cleanup.policy": ("subtract", "delete"), "retention.ms": ("DELETE", "ignored")}
    admin.alter_configs(topic({**undone, "preallocate": ("delete", None)}))
    assert values(admin, topic()) == {"cleanup.policy": "compact", "max.message.bytes": "2000"}


def test_an_altered_setting_holds_at_once(admin: KafkaAdminClient) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"x" * 1000).get(10)
        admin.alter_configs(topic({"max.message.bytes": "500"}))
        with pytest.raises(MessageSizeTooLargeError):
            producer.send("t", b"x" * 1000).get(10)


def test_what_cannot_be_altered_is_told_and_nothing_changes(admin: KafkaAdminClient) -> None:
    wrong = {"retention.ms": "soon", "segment.bytes": "2000000"}

    told = admin.alter_configs(topic(wrong))

    assert "InvalidConfigurationError" in told["topic"]["t"]
    assert values(admin, topic()) == {"retention.ms": "1000"}
    with pytest.raises(ValueError, match="Unrecognized configs"):
        admin.alter_configs(topic({"no.such": "1"}))
    told = admin.alter_configs(topic({"no.such": "1"}), raise_on_unknown=False)
    assert told.resources[0][0] == 40
    none = [ConfigResource("topic", "none", {"retention.ms": "1"})]
    told = admin.alter_configs(none, raise_on_unknown=False)
    assert "UnknownTopicOrPartitionError" in told["topic"]["none"]


def test_a_resource_that_is_given_twice_is_not_altered(admin: KafkaAdminClient) -> None:
    admin.create_topics(["u"])
    other = ConfigResource("topic", "u", {"retention.ms": "4"})

    told = admin.alter_configs([*topic({"flush.ms": "5"}), other, *topic({"flush.ms": "6"})])

    twice = (InvalidRequestError.errno, "Each resource must appear at most once.", 2, "t")
    assert told.resources == [twice, (0, None, 2, "u"), twice]
    assert values(admin, topic()) == {"retention.ms": "1000"}
    assert values(admin, [other]) == {"retention.ms": "4"}


@pytest.mark.parametrize("operation", ["set", "append", "subtract"])
def test_nothing_is_no_value(admin: KafkaAdminClient, operation: str) -> None:
    nothing = {"cleanup.policy": (operation, None), "retention.ms": "7"}

    for resources in (topic(nothing), topic({"retention.ms": None})):
        told = admin.alter_configs(resources).resources
        assert [one[0] for one in told] == [InvalidRequestError.errno]

    assert values(admin, topic()) == {"retention.ms": "1000"}


@pytest.mark.parametrize("value", ["-2", "0", "soon", ""])
def test_a_wrong_value_for_the_directory_is_a_brokers_error(
    admin: KafkaAdminClient, value: str
) -> None:
    for validate_only in (True, False):
        told = admin.alter_configs(broker({"log.retention.ms": value}), validate_only)
        assert InvalidRequestError.__name__ in told["broker"]["1"]
    assert values(admin, broker()) == {}


@pytest.mark.parametrize("configs", [["retention.ms"], 7])
def test_changes_are_a_dict(admin: KafkaAdminClient, configs: Any) -> None:
    with pytest.raises(TypeError):
        admin.alter_configs(topic(configs))


def test_the_older_request_can_only_set(admin: KafkaAdminClient) -> None:
    with pytest.raises(ValueError, match="SET only"):
        admin.alter_configs(topic({"retention.ms": ("delete", None)}), incremental=False)
    admin.alter_configs(topic({"flush.ms": "5"}), incremental=False)

    assert values(admin, topic()) == {"flush.ms": "5", "retention.ms": "1000"}


@pytest.mark.parametrize("configs", [None, [], ["retention.ms", "flush.ms"], {"retention.ms": 1}])
def test_settings_are_reset(admin: KafkaAdminClient, configs: Any) -> None:
    assert admin.reset_configs(topic(configs), validate_only=True) == {"topic": {"t": "OK"}}
    assert values(admin, topic()) == {"retention.ms": "1000"}

    assert admin.reset_configs(topic(configs)) == {"topic": {"t": "OK"}}

    assert values(admin, topic()) == {}


def test_the_directorys_settings_are_those_of_its_broker(
    admin: KafkaAdminClient, directory: Path
) -> None:
    path = directory / "brokerless.properties"
    path.write_text("# mine\nnum.partitions=2\n")

    admin.alter_configs(broker({"log.segment.bytes": "5000000"}))

    assert path.read_text().startswith("# mine\nnum.partitions=2\n")
    assert values(admin, broker()) == {"log.segment.bytes": "5000000", "num.partitions": "2"}
    admin.create_topics(["u"])
    assert len(admin.describe_topics(["u"])[0]["partitions"]) == 2
    found = admin.describe_configs(topic(["segment.bytes"]), True, "all")["topic"]["t"]
    assert found["segment.bytes"]["value"] == "5000000"
    assert found["segment.bytes"]["synonyms"][0]["name"] == "log.segment.bytes"


def test_there_is_one_broker_and_other_resources_have_no_settings(admin: KafkaAdminClient) -> None:
    with pytest.raises(UnknownBrokerIdError):
        admin.describe_configs([ConfigResource("broker", "7")])
    with pytest.raises(ValueError, match="must be an integer"):
        admin.describe_configs([ConfigResource("broker", "me")])
    logger = ConfigResource("broker_logger", "1", {"root": "INFO"})
    assert admin.describe_configs([logger], config_filter="all") == {"broker_logger": {"1": {}}}
    told = admin.alter_configs([logger], raise_on_unknown=False)
    assert InvalidRequestError.__name__ in told["broker_logger"]["1"]


def test_a_groups_settings_are_kafkas_and_cannot_be_altered(admin: KafkaAdminClient) -> None:
    group = ConfigResource("group", "g", {"consumer.session.timeout.ms": "1"})

    assert values(admin, [group], config_filter="all") == {"consumer.session.timeout.ms": "45000"}
    assert values(admin, [ConfigResource("group", "g")], config_filter="dynamic") == {}
    with pytest.raises(ValueError, match="Unrecognized"):
        admin.alter_configs([group])
    told = admin.alter_configs([group], raise_on_unknown=False)
    assert "InvalidRequestError" in told["group"]["g"]


def test_what_has_settings_is_listed(admin: KafkaAdminClient) -> None:
    assert admin.list_config_resources() == {"topic": ["t"], "broker": ["1"]}
    assert admin.list_config_resources(["TOPIC"]) == {"topic": ["t"]}
    assert admin.list_config_resources([ConfigResourceType.GROUP]) == {}


def test_several_resources_of_several_kinds_are_described_at_once(admin: KafkaAdminClient) -> None:
    found = admin.describe_configs([*topic(), *broker(), ConfigResource("topic", "none")])

    assert {kind: list(names) for kind, names in found.items()} == {
        "topic": ["t", "none"],
        "broker": ["1"],
    }
