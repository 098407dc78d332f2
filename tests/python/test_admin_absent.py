"""What a directory does not have, and what a program is told that asks for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from brokerless import KafkaAdminClient, TopicPartition
from brokerless.admin import (
    ACL,
    AbortTransactionSpec,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResourceType,
    ConfigSourceType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from brokerless.errors import (
    IllegalArgumentError,
    IncompatibleBrokerVersion,
    InvalidUpdateVersionError,
    KafkaError,
    SecurityDisabledError,
    TransactionalIdNotFoundError,
    UnknownBrokerIdError,
    UnsupportedVersionError,
)

PATTERN = ResourcePattern(ResourceType.TOPIC, "t")
ALLOWED = ACL("User:me", "*", ACLOperation.READ, ACLPermissionType.ALLOW, PATTERN)
ANY = ACLFilter(
    None,
    None,
    ACLOperation.ANY,
    ACLPermissionType.ANY,
    ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
)
DELETION = UserScramCredentialDeletion("me", "scram-sha-256")
UPSERTION = UserScramCredentialUpsertion("me", ScramMechanism.SCRAM_SHA_512, "secret")


@pytest.fixture
def admin() -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient() as admin:
        admin.create_topics(["t"])
        yield admin


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda admin: admin.describe_acls(ANY), SecurityDisabledError),
        (lambda admin: admin.create_acls([ALLOWED]), SecurityDisabledError),
        (lambda admin: admin.delete_acls([ANY]), SecurityDisabledError),
        (lambda admin: admin.create_acls([ANY]), IllegalArgumentError),
        (lambda admin: admin.delete_acls(["all"]), IllegalArgumentError),
        (lambda admin: admin.describe_user_scram_credentials(), IncompatibleBrokerVersion),
        (
            lambda admin: admin.alter_user_scram_credentials([DELETION, UPSERTION]),
            IncompatibleBrokerVersion,
        ),
        (lambda admin: admin.alter_user_scram_credentials(["me"]), IllegalArgumentError),
        (lambda admin: admin.describe_metadata_quorum(), IncompatibleBrokerVersion),
        (lambda admin: admin.get_broker_version_data(1), UnsupportedVersionError),
        (lambda admin: admin.get_broker_version_data(2), UnknownBrokerIdError),
        (lambda admin: admin.send_request(None), IncompatibleBrokerVersion),
        (lambda admin: admin.send_requests([]), IncompatibleBrokerVersion),
        (lambda admin: admin.update_features({"foo": 1}), InvalidUpdateVersionError),
        (lambda admin: admin.update_features(["foo"]), TypeError),
        (lambda admin: admin.describe_transactions(["x"]), TransactionalIdNotFoundError),
        (
            lambda admin: admin.abort_transaction(
                AbortTransactionSpec(TopicPartition("t", 0), 1, 0)
            ),
            IncompatibleBrokerVersion,
        ),
        (lambda admin: admin.list_transactions([2]), UnknownBrokerIdError),
    ],
)
def test_what_is_not_there_raises_with_a_sentence(
    admin: KafkaAdminClient, call: Callable[[Any], Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        call(admin)

    if issubclass(error, KafkaError) and error is not UnknownBrokerIdError:
        assert " " in str(raised.value.args[0])


def test_what_there_is_none_of_is_an_empty_answer(admin: KafkaAdminClient) -> None:
    one = TopicPartition("t", 0)

    assert admin.list_transactions() == {1: []}
    assert admin.find_hanging_transactions() == []
    assert admin.describe_transactions([]) == {}
    assert admin.describe_producers([one])[one].active_producers == []
    assert admin.describe_features() == admin.api_versions() == admin.update_features({}) == {}


def test_acls_are_equal_by_what_they_say_and_filters_may_say_less() -> None:
    same = ACL("User:me", "*", ACLOperation.READ, ACLPermissionType.ALLOW, PATTERN)

    assert ALLOWED == same
    assert len({ALLOWED, same, ANY}) == 2
    assert "principal=User:me" in repr(ALLOWED)
    assert repr(PATTERN) == "<ResourcePattern type=TOPIC, name=t, pattern=LITERAL>"
    for build in (
        lambda: ResourcePattern(ResourceType.ANY, "t"),
        lambda: ResourcePattern(ResourceType.TOPIC, "t", ACLResourcePatternType.MATCH),
        lambda: ResourcePatternFilter("topic", "t", ACLResourcePatternType.LITERAL),  # type: ignore[arg-type]
        lambda: ACL("User:me", "*", ACLOperation.ANY, ACLPermissionType.ALLOW, PATTERN),
        lambda: ACL("User:me", "*", ACLOperation.READ, ACLPermissionType.ANY, PATTERN),
        lambda: ACLFilter(None, None, 3, ACLPermissionType.ANY, PATTERN),  # type: ignore[arg-type]
    ):
        with pytest.raises(IllegalArgumentError):
            build()


def test_passwords_are_salted_as_by_kafka_python() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")  # of RFC 7677's example
    made = UserScramCredentialUpsertion("me", "SCRAM-SHA-256", "pencil", 4096, salt)

    assert made.salted_password.hex().startswith("c4a49510323ab4f952cac1fa99441939")
    assert len(UPSERTION.salt) == 24
    assert "pencil" not in repr(made)
    with pytest.raises(IllegalArgumentError):
        UserScramCredentialUpsertion("me", 0, "pencil")


def test_sources_of_settings_are_known_by_their_resource() -> None:
    topic = ConfigSourceType.dynamic_for_resource_type(ConfigResourceType.TOPIC)

    assert topic is ConfigSourceType.DYNAMIC_TOPIC_CONFIG
    assert topic.is_modified()
    assert not ConfigSourceType.DEFAULT_CONFIG.is_modified()
