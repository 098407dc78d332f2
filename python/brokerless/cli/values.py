"""Records as JSON, byte for byte: what is not UTF-8 becomes `{"base64": "..."}`."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from brokerless import ConsumerRecord

__all__ = ["Given", "bytes_of", "line_of", "parse_line", "text_of"]

_decode = json.JSONDecoder().decode

# The records of the oldest brokers have no timestamp.
_TIMESTAMP_TYPES = {None: "null", 0: '"CreateTime"', 1: '"LogAppendTime"'}


def text_of(data: bytes | None) -> str | dict[str, str] | None:
    """Text, if it is UTF-8."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def bytes_of(given: Any, what: str) -> bytes | None:
    """The bytes that `text_of` gave this for."""
    if given is None:
        return None
    if isinstance(given, str):
        try:
            return given.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{what} has half a character: give its bytes as base64") from None
    if isinstance(given, dict) and given.keys() == {"base64"}:
        try:
            return b64decode(given["base64"], validate=True)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what} is no base64: {error}") from None
    raise ValueError(f'{what} must be text, null or {{"base64": "..."}}')


def line_of(record: ConsumerRecord) -> bytes:
    """One record in one line, without its end."""
    # By hand: this is what a large export spends its time with.
    headers = ",".join(f"[{quoted(name.encode())},{quoted(it)}]" for name, it in record.headers)
    return (
        f'{{"topic":"{record.topic}","partition":{record.partition},"offset":{record.offset},'
        f'"timestamp":{_or_null(record.timestamp)},'
        f'"timestamp_type":{_TIMESTAMP_TYPES[record.timestamp_type]},'
        f'"key":{quoted(record.key)},"value":{quoted(record.value)},"headers":[{headers}]}}'
    ).encode()


def _or_null(number: int | None) -> str:
    return "null" if number is None else str(number)


def quoted(data: bytes | None) -> str:
    """What `text_of` gives, as JSON."""
    if data is None:
        return "null"
    try:
        return encode_basestring(data.decode())
    except UnicodeDecodeError:
        return f'{{"base64":"{b64encode(data).decode()}"}}'


class Given(NamedTuple):
    """A record as it was given: what was left out is `None`."""

    topic: str | None
    partition: int | None
    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


_KNOWN = {
    *("topic", "partition", "offset", "timestamp", "timestamp_type", "leader_epoch"),
    *("key", "value", "headers"),
}


def parse_line(line: bytes) -> Given:
    """The record in a line; `ValueError` says what is wrong."""
    return parse_object(load(line))


def load(line: bytes) -> dict[str, Any]:
    """The JSON object in a line."""
    try:
        given = _decode(line.decode())
    except RecursionError:
        raise ValueError("this is no record: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise ValueError("a line must be a JSON object")  # noqa: TRY004
    return given


def parse_object(given: dict[str, Any]) -> Given:
    """The record that an object is."""
    unknown = given.keys() - _KNOWN
    if unknown:
        raise ValueError(f"a record has no {', '.join(sorted(map(repr, unknown)))}")
    topic = given.get("topic")
    if topic is not None and not isinstance(topic, str):
        raise ValueError("topic must be text")
    return Given(
        topic,
        _number(given, "partition"),
        _timestamp(given),
        bytes_of(given.get("key"), "key"),
        bytes_of(given.get("value"), "value"),
        _headers(given.get("headers")),
    )


def _number(given: dict[str, Any], name: str) -> int | None:
    number = given.get(name)
    if number is None or (isinstance(number, int) and not isinstance(number, bool)):
        return number
    raise ValueError(f"{name} must be a whole number")


def _timestamp(given: dict[str, Any]) -> int | None:
    timestamp = _number(given, "timestamp")
    if timestamp is not None and timestamp < -1:
        raise ValueError("timestamp must not be negative; -1 is none")
    return timestamp


def _headers(given: Any) -> list[tuple[str, bytes | None]]:
    if given is None:
        return []
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not isinstance(pairs, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    ):
        raise ValueError("headers must be a list of [name, value]")
    return [(name, bytes_of(value, f"header {name!r}")) for name, value in pairs]
