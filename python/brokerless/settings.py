"""The settings of producers and consumers: kafka-python's names and defaults.

Both dialects are taken, 2.x and 3.x. What only makes sense with a broker (security,
sockets, retries) is accepted and has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from brokerless._log import log, log_debug
from brokerless.assignors import RangePartitionAssignor, RoundRobinPartitionAssignor
from brokerless.errors.base import SettingError

__all__ = [
    "ADMIN_DEFAULTS",
    "CONSUMER_DEFAULTS",
    "PRODUCER_DEFAULTS",
    "check",
    "check_together",
    "merge",
]

Config = dict[str, Any]
Check = Callable[[str, Any], Any]

_INF = float("inf")

# Accepted everywhere, without effect: nothing is connected to, and nothing is retried.
_CONNECTION: Config = {
    "api_version": None,
    "api_version_auto_timeout_ms": 2000,
    "bootstrap_timeout_ms": 30000,
    "client_dns_lookup": "use_all_dns_ips",
    "connections_max_idle_ms": 540000,
    "kafka_client": None,
    "max_in_flight_requests_per_connection": 5,
    "metadata_max_age_ms": 300000,
    "metric_reporters": [],
    "metrics_enabled": True,
    "metrics_num_samples": 2,
    "metrics_sample_window_ms": 30000,
    "proxy_url": None,
    "receive_buffer_bytes": None,
    "receive_message_max_bytes": 100_000_000,
    "reconnect_backoff_max_ms": 30000,
    "reconnect_backoff_ms": 50,
    "request_timeout_ms": 30000,
    "retry_backoff_ms": 100,
    "sasl_kerberos_domain_name": None,
    "sasl_kerberos_name": None,
    "sasl_kerberos_service_name": "kafka",
    "sasl_mechanism": None,
    "sasl_oauth_token_provider": None,
    "sasl_plain_password": None,
    "sasl_plain_username": None,
    "security_protocol": "PLAINTEXT",
    "selector": None,
    "send_buffer_bytes": None,
    "sock_chunk_buffer_count": 1000,
    "sock_chunk_bytes": 4096,
    "socket_options": [(6, 1, 1)],
    "socks5_proxy": None,
    "ssl_cafile": None,
    "ssl_certfile": None,
    "ssl_check_hostname": True,
    "ssl_ciphers": None,
    "ssl_context": None,
    "ssl_crlfile": None,
    "ssl_keyfile": None,
    "ssl_password": None,
}

_PRODUCER: Config = {
    "acks": -1,
    "allow_network_fs": False,
    "batch_size": 16384,
    "bootstrap_servers": "localhost",
    "buffer_memory": 33554432,
    "client_id": None,
    "compression_level": None,
    "compression_type": None,
    "delivery_timeout_ms": 120000,
    "enable_idempotence": True,
    "key_serializer": None,
    "linger_ms": 0,
    "max_block_ms": 60000,
    "max_request_size": 1048576,
    "partitioner": None,
    "transactional_id": None,
    "value_serializer": None,
}

_CONSUMER: Config = {
    "allow_auto_create_topics": True,
    "allow_network_fs": False,
    "auto_commit_interval_ms": 5000,
    "auto_offset_reset": "latest",
    "bootstrap_servers": "localhost",
    "check_crcs": True,
    "client_id": "brokerless",
    "consumer_timeout_ms": _INF,
    "default_api_timeout_ms": 60000,
    "default_offset_commit_callback": None,
    "enable_auto_commit": True,
    "exclude_internal_topics": True,
    "fetch_max_bytes": 52428800,
    "fetch_max_wait_ms": 500,
    "fetch_min_bytes": 1,
    "group_id": None,
    "group_instance_id": None,
    "heartbeat_interval_ms": 3000,
    "isolation_level": "read_uncommitted",
    "key_deserializer": None,
    "max_decompressed_bytes": 134217728,
    "max_partition_fetch_bytes": 1048576,
    "max_poll_interval_ms": 300000,
    "max_poll_records": 500,
    "partition_assignment_strategy": (RangePartitionAssignor, RoundRobinPartitionAssignor),
    "read_only": False,
    "session_timeout_ms": 45000,
    "value_deserializer": None,
}

PRODUCER_DEFAULTS: Config = {
    **_CONNECTION,
    "allow_auto_create_topics": True,
    "bootstrap_topics_filter": set(),
    "retries": _INF,
    "transaction_timeout_ms": 60000,
    **_PRODUCER,
}
CONSUMER_DEFAULTS: Config = {
    **_CONNECTION,
    "client_rack": "",
    "enable_incremental_fetch_sessions": True,
    "legacy_iterator": False,
    "metric_group_prefix": "consumer",
    **_CONSUMER,
}
ADMIN_DEFAULTS: Config = {
    **_CONNECTION,
    "allow_network_fs": False,
    "bootstrap_servers": "localhost",
    "client_id": "brokerless",
    "read_only": False,
}

_EFFECTIVE = _PRODUCER.keys() | _CONSUMER.keys()


def merge(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Config:
    """The defaults with what was given, checked. Unknown names raise `SettingError`."""
    for name in given:
        if name not in defaults:
            raise SettingError(_unknown(name, defaults))
    _mention_ineffective(given)
    return {**defaults, **{name: check(name, value) for name, value in given.items()}}


def check_together(config: Mapping[str, Any]) -> None:
    """Refuse a consumer's values that contradict each other, as kafka-python does."""
    idle, request = config["connections_max_idle_ms"], config["request_timeout_ms"]
    wait, whole = config["fetch_max_wait_ms"], config["default_api_timeout_ms"]
    if not wait < request < idle:
        raise SettingError(
            f"connections_max_idle_ms ({idle}) must be larger than request_timeout_ms ({request})"
            f" which must be larger than fetch_max_wait_ms ({wait})."
        )
    if whole < request:
        raise SettingError(
            f"default_api_timeout_ms ({whole}) must be >= request_timeout_ms ({request})."
        )
    if config["group_id"] is not None:
        _check_heartbeat(config["heartbeat_interval_ms"], config["session_timeout_ms"])
    elif config["group_instance_id"] is not None:
        raise SettingError("group_instance_id requires group_id")


def _check_heartbeat(heartbeat: float, session: float) -> None:
    if heartbeat >= session:
        raise SettingError(
            f"Heartbeat interval must be lower than the session timeout ({heartbeat} v {session})"
        )
    if heartbeat > session / 3:
        log().warning(
            "heartbeat_interval_ms is high relative to session_timeout_ms (%s v %s)."
            " It is taken as 1/3rd of that.",
            heartbeat,
            session,
        )


def check(name: str, value: Any) -> Any:
    """`value` in the form in which the rest of the package wants it."""
    checked = _CHECKS.get(name)
    return checked(name, value) if checked else value


def _unknown(name: str, defaults: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    like = get_close_matches(name.replace(".", "_").lower(), defaults, n=1)
    hint = f": did you mean {like[0]}?" if like else ""
    return f"Unrecognized configs: {name}{hint}"


def _mention_ineffective(given: Mapping[str, Any]) -> None:
    names = sorted(given.keys() - _EFFECTIVE)
    if names:
        log_debug("accepted, without effect here: %s", ", ".join(names))


def _wrong(name: str, value: Any, wanted: str) -> SettingError:
    return SettingError(f"{name} must be {wanted}, not {value!r}")


def _number(least: float, wanted: str, *, whole: bool = True) -> Check:
    def number(name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(name, value, wanted)
        if not value >= least:
            raise _wrong(name, value, wanted)
        return int(value) if whole and value != _INF else value

    return number


def _switch(name: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, (bool, int)):
        return bool(value)
    raise _wrong(name, value, "True or False")


def _acks(name: str, value: Any) -> int:
    known = {0: 0, 1: 1, -1: -1, "0": 0, "1": 1, "-1": -1, "all": -1}
    if isinstance(value, (int, str)) and value in known:
        return known[value]
    raise _wrong(name, value, "0, 1 or 'all'")


def _one_of(*allowed: Any, none: Any = None) -> Check:
    """One of `allowed`, in lower case; None stays None where `none` is given."""

    def one_of(name: str, value: Any) -> Any:
        word = value.lower() if isinstance(value, str) else value
        if word in allowed:
            return None if word == none else word
        raise _wrong(name, value, "one of " + ", ".join(map(repr, allowed)))

    return one_of


def _reset(name: str, value: Any) -> str:
    old = {"smallest": "earliest", "largest": "latest"}
    word = "none" if value is None else value.lower() if isinstance(value, str) else ""
    if word in old:
        log().warning("use %s=%r: %r is deprecated", name, old[word], value)
        return old[word]
    if word in ("earliest", "latest", "none"):
        return word
    if word.startswith("by_duration:"):
        return "by_duration:" + str(value).partition(":")[2].upper()
    raise _wrong(name, value, "'earliest', 'latest' or 'none'")


def _isolation(name: str, value: Any) -> str:
    levels = ("read_uncommitted", "read_committed")
    if isinstance(value, int) and value in (0, 1):
        return levels[value]
    if isinstance(value, str) and value.lower() in levels:
        return value.lower()
    raise _wrong(name, value, "'read_uncommitted' or 'read_committed'")


def _text(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, str) and value):
        return value
    raise _wrong(name, value, "a string that is not empty")


def _codec_or_object(method: str) -> Check:
    def usable(name: str, value: Any) -> Any:
        if value is None or callable(value) or hasattr(value, method):
            return value
        raise _wrong(name, value, f"a function, or an object with a method {method}")

    return usable


def _timeout(name: str, value: Any) -> Any:
    """A negative time means none, as in kafka-python 1.x."""
    if isinstance(value, (int, float)) and value < 0:
        return _INF
    return _duration(name, value)


_positive = _number(1, "a positive number")
_natural = _number(0, "a number that is not negative")
_duration = _number(0, "a number of milliseconds", whole=False)

_CHECKS: dict[str, Check] = {
    "acks": _acks,
    "allow_network_fs": _switch,
    "auto_commit_interval_ms": _duration,
    "auto_offset_reset": _reset,
    "batch_size": _natural,
    "buffer_memory": _positive,
    "check_crcs": _switch,
    "compression_type": _one_of(None, "none", "gzip", "snappy", "lz4", "zstd", none="none"),
    "connections_max_idle_ms": _duration,
    "consumer_timeout_ms": _timeout,
    "default_api_timeout_ms": _duration,
    "delivery_timeout_ms": _duration,
    "enable_auto_commit": _switch,
    "enable_idempotence": _switch,
    "exclude_internal_topics": _switch,
    "fetch_max_bytes": _natural,
    "fetch_max_wait_ms": _duration,
    "fetch_min_bytes": _natural,
    "group_id": _text,
    "group_instance_id": _text,
    "heartbeat_interval_ms": _positive,
    "isolation_level": _isolation,
    "key_deserializer": _codec_or_object("deserialize"),
    "key_serializer": _codec_or_object("serialize"),
    "linger_ms": _duration,
    "max_block_ms": _duration,
    "max_decompressed_bytes": _positive,
    "max_partition_fetch_bytes": _natural,
    "max_poll_interval_ms": _positive,
    "max_poll_records": _positive,
    "max_request_size": _positive,
    "partitioner": _codec_or_object("partition"),
    "read_only": _switch,
    "request_timeout_ms": _duration,
    "session_timeout_ms": _positive,
    "transactional_id": _text,
    "value_deserializer": _codec_or_object("deserialize"),
    "value_serializer": _codec_or_object("serialize"),
}
