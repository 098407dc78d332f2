import logging

import pytest

from brokerless.errors import KafkaConfigurationError
from brokerless.settings import ADMIN_DEFAULTS, CONSUMER_DEFAULTS, PRODUCER_DEFAULTS, merge


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bootstrap_server", "bootstrap_servers"),
        ("bootstrap.servers", "bootstrap_servers"),
        ("value_serialiser", "value_serializer"),
        ("linger", "linger_ms"),
        ("Acks", "acks"),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(KafkaConfigurationError) as raised:
        merge(PRODUCER_DEFAULTS, {name: 1})

    assert f"{name}: did you mean {hint}?" in str(raised.value)
    assert isinstance(raised.value, ValueError)  # 3.x
    assert isinstance(raised.value, AssertionError)  # 2.x


def test_an_unknown_name_like_no_other_is_refused_without_a_hint() -> None:
    with pytest.raises(KafkaConfigurationError, match=r"Unrecognized configs: zzzzz$"):
        merge(CONSUMER_DEFAULTS, {"zzzzz": 1})


@pytest.mark.parametrize(
    ("given", "acks"),
    [(0, 0), (1, 1), (-1, -1), ("all", -1), ("0", 0), ("1", 1), ("-1", -1)],
)
def test_acks_is_0_1_or_all(given: object, acks: int) -> None:
    assert merge(PRODUCER_DEFAULTS, {"acks": given})["acks"] == acks


@pytest.mark.parametrize("given", [2, "some", None, 1.5, [1]])
def test_other_acks_are_refused(given: object) -> None:
    with pytest.raises(KafkaConfigurationError, match="acks must be 0, 1 or 'all'"):
        merge(PRODUCER_DEFAULTS, {"acks": given})


@pytest.mark.parametrize(
    ("given", "reset"),
    [
        ("earliest", "earliest"),
        ("Latest", "latest"),
        ("none", "none"),
        (None, "none"),
        ("smallest", "earliest"),
        ("largest", "latest"),
        ("by_duration:PT1H", "by_duration:PT1H"),
        ("by_duration:pt1h", "by_duration:PT1H"),
    ],
)
def test_auto_offset_reset_takes_new_and_old_words(given: object, reset: str) -> None:
    merged = merge(CONSUMER_DEFAULTS, {"auto_offset_reset": given})

    assert merged["auto_offset_reset"] == reset


def test_old_words_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    merge(CONSUMER_DEFAULTS, {"auto_offset_reset": "smallest"})

    assert "use auto_offset_reset='earliest'" in caplog.text


@pytest.mark.parametrize(
    ("defaults", "name", "value"),
    [
        (PRODUCER_DEFAULTS, "batch_size", -1),
        (PRODUCER_DEFAULTS, "batch_size", "16384"),
        (PRODUCER_DEFAULTS, "linger_ms", -0.5),
        (PRODUCER_DEFAULTS, "linger_ms", None),
        (PRODUCER_DEFAULTS, "linger_ms", float("nan")),
        (PRODUCER_DEFAULTS, "buffer_memory", 0),
        (PRODUCER_DEFAULTS, "max_request_size", True),
        (PRODUCER_DEFAULTS, "compression_type", "brotli"),
        (PRODUCER_DEFAULTS, "value_serializer", "json"),
        (PRODUCER_DEFAULTS, "partitioner", 3),
        (CONSUMER_DEFAULTS, "auto_offset_reset", "newest"),
        (CONSUMER_DEFAULTS, "enable_auto_commit", "yes"),
        (CONSUMER_DEFAULTS, "isolation_level", "serializable"),
        (CONSUMER_DEFAULTS, "max_poll_records", 0),
        (CONSUMER_DEFAULTS, "group_id", 5),
        (CONSUMER_DEFAULTS, "group_id", ""),
        (CONSUMER_DEFAULTS, "key_deserializer", b""),
    ],
)
def test_a_value_that_makes_no_sense_is_named(
    defaults: dict[str, object], name: str, value: object
) -> None:
    with pytest.raises(KafkaConfigurationError, match=f"{name} must be "):
        merge(defaults, {name: value})


@pytest.mark.parametrize(
    ("name", "value", "merged"),
    [
        ("linger_ms", 0.5, 0.5),
        ("max_block_ms", float("inf"), float("inf")),
        ("batch_size", 1e5, 100_000),
        ("compression_type", "GZIP", "gzip"),
        ("compression_type", "none", None),
        ("compression_type", None, None),
    ],
)
def test_values_are_brought_into_one_form(name: str, value: object, merged: object) -> None:
    assert merge(PRODUCER_DEFAULTS, {name: value})[name] == merged


@pytest.mark.parametrize(("value", "merged"), [("False", False), ("true", True), (1, True)])
def test_a_switch_takes_words(value: object, merged: bool) -> None:
    config = merge(CONSUMER_DEFAULTS, {"enable_auto_commit": value})

    assert config["enable_auto_commit"] is merged


@pytest.mark.parametrize(("value", "merged"), [(1, "read_committed"), (0, "read_uncommitted")])
def test_isolation_levels_may_be_numbers(value: object, merged: str) -> None:
    assert merge(CONSUMER_DEFAULTS, {"isolation_level": value})["isolation_level"] == merged


def test_a_negative_consumer_timeout_means_none() -> None:
    config = merge(CONSUMER_DEFAULTS, {"consumer_timeout_ms": -1})

    assert config["consumer_timeout_ms"] == float("inf")


# Settings that public programs give, of both dialects (2.x only: marked).
ACCEPTED = {
    "api_version": (0, 10, 1),
    "api_version_auto_timeout_ms": 1000,  # 2.x
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_plain_username": "user",
    "sasl_plain_password": "secret",
    "ssl_cafile": "ca.pem",
    "ssl_check_hostname": False,
    "request_timeout_ms": 1000,
    "retry_backoff_ms": 10,
    "connections_max_idle_ms": 60000,
    "metadata_max_age_ms": 1000,
    "sock_chunk_bytes": 1,  # 2.x
}


@pytest.mark.parametrize("defaults", [PRODUCER_DEFAULTS, CONSUMER_DEFAULTS, ADMIN_DEFAULTS])
def test_settings_for_brokers_are_accepted_with_one_line(
    defaults: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="brokerless")

    merged = merge(defaults, ACCEPTED)

    assert {name: merged[name] for name in ACCEPTED} == ACCEPTED
    assert len(caplog.records) == 1
    assert "sasl_plain_password" in caplog.text
    assert "secret" not in caplog.text


def test_settings_of_old_producers_are_accepted() -> None:
    merge(PRODUCER_DEFAULTS, {"buffer_memory": 1000, "retries": 5})


def test_the_defaults_are_not_changed() -> None:
    before = dict(PRODUCER_DEFAULTS)

    merge(PRODUCER_DEFAULTS, {"acks": 1})["linger_ms"] = 99

    assert before == PRODUCER_DEFAULTS
