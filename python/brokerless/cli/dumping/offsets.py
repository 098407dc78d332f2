"""Records of `__consumer_offsets` as JSON, with the names that Kafka gives their fields."""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Any, NamedTuple

__all__ = ["DELETE", "decode_record"]

DELETE = "<DELETE>"


class Field(NamedTuple):
    """One field of a message: its type is a name, a list of one type, or a tuple of fields."""

    name: str
    kind: Any
    since: int = 0
    until: int = 99
    # One that may be left out, and whether it is shown as null then.
    tag: int | None = None
    null: bool = False


class Message(NamedTuple):
    """A message, and the version from which on its lengths are varints and fields have tags."""

    name: str
    fields: tuple[Field, ...]
    versions: range
    flexible: int = 99


MEMBER = (
    Field("memberId", "string"),
    Field("groupInstanceId", "nullable", 3),
    Field("clientId", "string"),
    Field("clientHost", "string"),
    Field("rebalanceTimeout", "int32", 1),
    Field("sessionTimeout", "int32"),
    Field("subscription", "bytes"),
    Field("assignment", "bytes"),
)
TOPIC_PARTITIONS = (Field("topicId", "uuid"), Field("partitions", ["int32"]))
ASSIGNED = (*TOPIC_PARTITIONS, Field("assignmentEpochs", ["int32"], tag=0))
CLASSIC = (
    Field("sessionTimeoutMs", "int32"),
    Field("supportedProtocols", [(Field("name", "string"), Field("metadata", "bytes"))]),
)
NAMED_PARTITIONS = (Field("topic", "string"), Field("partitions", ["int32"]))

SUBSCRIPTION = Message(
    "ConsumerProtocolSubscription",
    (
        Field("topics", ["string"]),
        Field("userData", "nullable bytes"),
        Field("ownedPartitions", [NAMED_PARTITIONS], 1),
        Field("generationId", "int32", 2),
        Field("rackId", "nullable", 3),
    ),
    range(4),
)
ASSIGNMENT = Message(
    "ConsumerProtocolAssignment",
    (Field("assignedPartitions", [NAMED_PARTITIONS]), Field("userData", "nullable bytes")),
    range(4),
)


def _key(version: int, *names: str) -> Message:
    return Message("key", tuple(Field(name, "string") for name in names), range(version, 99))


_COMMIT = Message(
    "OffsetCommitKey",
    (Field("group", "string"), Field("topic", "string"), Field("partition", "int32")),
    range(2),
)

KEYS = {
    0: _COMMIT,
    1: _COMMIT,
    2: _key(2, "group"),
    3: _key(3, "groupId"),
    4: _key(4, "groupId"),
    5: _key(5, "groupId", "memberId"),
    6: _key(6, "groupId"),
    7: _key(7, "groupId", "memberId"),
    8: _key(8, "groupId", "memberId"),
}

_COMMIT_VALUE = Message(
    "OffsetCommitValue",
    (
        Field("offset", "int64"),
        Field("leaderEpoch", "int32", 3),
        Field("metadata", "string"),
        Field("commitTimestamp", "int64"),
        Field("expireTimestamp", "int64", 1, 1),
        Field("topicId", "uuid", 4, tag=0),
    ),
    range(5),
    4,
)

VALUES = {
    0: _COMMIT_VALUE,
    1: _COMMIT_VALUE,
    2: Message(
        "GroupMetadataValue",
        (
            Field("protocolType", "string"),
            Field("generation", "int32"),
            Field("protocol", "nullable"),
            Field("leader", "nullable"),
            Field("currentStateTimestamp", "int64", 2),
            Field("members", [MEMBER]),
        ),
        range(5),
        4,
    ),
    3: Message(
        "ConsumerGroupMetadataValue",
        (Field("epoch", "int32"), Field("metadataHash", "int64", tag=0)),
        range(1),
        0,
    ),
    4: Message(
        "ConsumerGroupPartitionMetadataValue",
        (
            Field(
                "topics",
                [
                    (
                        Field("topicId", "uuid"),
                        Field("topicName", "string"),
                        Field("numPartitions", "int32"),
                        Field(
                            "partitionMetadata",
                            [(Field("partition", "int32"), Field("racks", ["string"]))],
                        ),
                    )
                ],
            ),
        ),
        range(1),
        0,
    ),
    5: Message(
        "ConsumerGroupMemberMetadataValue",
        (
            Field("instanceId", "nullable"),
            Field("rackId", "nullable"),
            Field("clientId", "string"),
            Field("clientHost", "string"),
            Field("subscribedTopicNames", ["string"]),
            Field("subscribedTopicRegex", "nullable"),
            Field("rebalanceTimeoutMs", "int32"),
            Field("serverAssignor", "nullable"),
            Field("classicMemberMetadata", CLASSIC, tag=0, null=True),
        ),
        range(1),
        0,
    ),
    6: Message(
        "ConsumerGroupTargetAssignmentMetadataValue",
        (
            Field("assignmentEpoch", "int32"),
            Field("assignmentTimestamp", "int64", tag=0),
        ),
        range(1),
        0,
    ),
    7: Message(
        "ConsumerGroupTargetAssignmentMemberValue",
        (Field("topicPartitions", [TOPIC_PARTITIONS]),),
        range(1),
        0,
    ),
    8: Message(
        "ConsumerGroupCurrentMemberAssignmentValue",
        (
            Field("memberEpoch", "int32"),
            Field("previousMemberEpoch", "int32"),
            Field("state", "int8"),
            Field("assignedPartitions", [ASSIGNED]),
            Field("partitionsPendingRevocation", [ASSIGNED]),
        ),
        range(1),
        0,
    ),
}


class _Reader:
    """Reads the fields of a message one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._version = self.number(">h")
        self._flexible = False

    @property
    def version(self) -> int:
        return self._version

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        (number,) = struct.unpack(form, self._take(size))
        return int(number)

    def message(self, message: Message, *, newest: bool = False) -> dict[str, Any]:
        """The message; with `newest` a later version is read as the newest known one."""
        version = min(self._version, message.versions[-1]) if newest else self._version
        if version not in message.versions:
            raise ValueError(f"unknown version {version} of {message.name}")
        self._version = version
        self._flexible = version >= message.flexible
        return self._fields(message.fields)

    def _fields(self, fields: tuple[Field, ...]) -> dict[str, Any]:
        fields = tuple(it for it in fields if it.since <= self._version <= it.until)
        found = {it.name: self._value(it.kind) for it in fields if it.tag is None}
        if not self._flexible:
            return found
        tagged = {it.tag: it for it in fields if it.tag is not None}
        found |= {it.name: None for it in tagged.values() if it.null}
        for _ in range(self._varint()):
            field, size = tagged.get(self._varint()), self._varint()
            begin = self._at
            if field is not None:
                found[field.name] = self._tagged(field.kind)
            self._at = begin
            self._take(size)
        return found

    def _tagged(self, kind: Any) -> Any:
        # A structure says first whether it is there.
        if isinstance(kind, tuple) and self.number(">b") <= 0:
            return None
        return self._value(kind)

    def _value(self, kind: Any) -> Any:
        if isinstance(kind, list):
            count = self._length(">i")
            return None if count < 0 else [self._value(kind[0]) for _ in range(count)]
        if isinstance(kind, tuple):
            return self._fields(kind)
        if kind == "uuid":
            return urlsafe_b64encode(self._take(16)).rstrip(b"=").decode()
        if kind in ("string", "nullable"):
            return self._text()
        if kind.endswith("bytes"):
            size = self._length(">i")
            return None if size < 0 else b64encode(self._take(size)).decode()
        return self.number({"int8": ">b", "int32": ">i", "int64": ">q"}[kind])

    def _text(self) -> str | None:
        size = self._length(">h")
        return None if size < 0 else self._take(size).decode()

    def _length(self, form: str) -> int:
        """-1 for null."""
        size = self._varint() - 1 if self._flexible else self.number(form)
        if size > len(self._data):
            raise ValueError("a length is larger than the message")
        return size

    def _varint(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self._take(1)
            number |= (byte & 0x7F) << shift
            if byte < 0x80 or shift > 28:
                return number
            shift += 7

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if size < 0 or len(taken) < size:
            raise ValueError(f"{size} bytes are due and {len(taken)} are there")
        self._at += size
        return taken


def decode_record(offset: int, key: bytes | None, value: bytes | None) -> tuple[str, str | None]:
    """Key and payload as Kafka's `--offsets-decoder` prints them."""
    if key is None:
        return f"Error at offset {offset}, skipping. the key is missing", None
    try:
        return _decode(offset, key, value)
    except (ValueError, struct.error) as error:
        return f"Error at offset {offset}, skipping. {error}", None


def _decode(offset: int, key: bytes, value: bytes | None) -> tuple[str, str | None]:
    reader = _Reader(key)
    kind = reader.version
    if kind not in KEYS:
        return f"Unknown record type {kind} at offset {offset}, skipping.", None
    shown = _json({"type": str(kind), "data": reader.message(KEYS[kind])})
    if value is None:
        return shown, DELETE
    reader = _Reader(value)
    data = reader.message(VALUES[kind])
    if data.get("protocolType") == "consumer":
        for member in data["members"]:
            member["subscription"] = _protocol(member["subscription"], SUBSCRIPTION)
            member["assignment"] = _protocol(member["assignment"], ASSIGNMENT)
    return shown, _json({"version": str(reader.version), "data": data})


def _protocol(encoded: str, message: Message) -> Any:
    """What members told each other; as it is, if it cannot be read."""
    try:
        return _Reader(b64decode(encoded)).message(message, newest=True)
    except (ValueError, struct.error):
        return encoded


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
