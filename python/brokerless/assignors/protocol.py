"""What members of a group tell each other, as in `kafka.protocol.consumer.metadata`.

The names of kafka-python 2.x (`kafka.coordinator.protocol`) are here too. The bytes are
those of Kafka's `ConsumerProtocolSubscription` and `ConsumerProtocolAssignment`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from brokerless.assignors.wire import Reader, TopicPartitions, Writer
from brokerless.structs import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

__all__ = [
    "ConsumerProtocol",
    "ConsumerProtocolAssignment",
    "ConsumerProtocolMemberAssignment",
    "ConsumerProtocolMemberAssignment_v0",
    "ConsumerProtocolMemberMetadata",
    "ConsumerProtocolMemberMetadata_v0",
    "ConsumerProtocolSubscription",
    "ConsumerProtocolType",
    "ConsumerProtocol_v0",
    "JoinGroupResponse",
    "StickyAssignorUserData",
    "StickyAssignorUserDataV1",
]

ConsumerProtocolType = "consumer"

_NEWEST = 3


class _Message:
    """Fields with defaults, given by place or name; the version may come first."""

    # Of each field its default, and the first version that has it.
    _fields: ClassVar[dict[str, tuple[Any, int]]]
    # What kafka-python 2.x called them.
    _old_names: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, version: int | None = None, **fields: Any) -> None:
        if args and isinstance(args[0], int) and version is None:
            version, args = args[0], args[1:]
        if version is not None and not 0 <= version <= self.max_version:
            raise ValueError(f"Invalid version: {version} (min=0, max={self.max_version})")
        self.version = version
        names = self._names()
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} has the fields {names}, not {len(args)}")
        given = dict(zip(names, args, strict=False))
        given.update({self._old_names.get(name, name): value for name, value in fields.items()})
        for name, (default, _) in self._fields.items():
            setattr(self, name, given.pop(name, list(default) if default == [] else default))
        if given:
            raise ValueError(f"Unrecognized fields for type {type(self).__name__}: {given}")

    max_version: ClassVar[int] = _NEWEST

    def _names(self) -> list[str]:
        """The fields that its version has."""
        newest = self.max_version if self.version is None else self.version
        return [name for name, (_, first) in self._fields.items() if first <= newest]

    def encode(self, version: int | None = None, header: bool = True) -> bytes:
        """Kafka's bytes. `version` replaces the one it has; `header` puts that in front."""
        if version is None:
            version = self.version
        if version is None:
            raise ValueError("Version required to encode data")
        self.version = version
        writer = Writer()
        if header:
            writer.i16(version)
        self._write(writer, version)
        return bytes(writer.message)

    @classmethod
    def decode(cls, data: bytes, version: int | None = None, header: bool = True) -> Self:
        """From Kafka's bytes; `ValueError` if they are something else."""
        reader = Reader(data)
        if header:
            found = reader.i16()
            if found < (version or 0):
                raise ValueError(f"Version mismatch: found v{found}, expected v{version or 0}")
            version = min(found, cls.max_version)
        if version is None:
            raise ValueError("Version required to decode data")
        return cls(**cls._read(reader, version), version=version)

    def _write(self, writer: Writer, version: int) -> None:
        raise NotImplementedError

    @classmethod
    def _read(cls, reader: Reader, version: int) -> dict[str, Any]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The fields of its version by name."""
        return {name: getattr(self, name) for name in self._names()}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, tuple):
            return tuple(getattr(self, name) for name in self._fields) == other
        if not isinstance(other, _Message) or other._fields is not self._fields:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in self._names()])

    def __getitem__(self, key: Any) -> Any:
        return [getattr(self, name) for name in self._names()][key]

    def __repr__(self) -> str:
        version = [] if self.version is None else [f"version={self.version}"]
        fields = [f"{name}={value!r}" for name, value in self.to_dict().items()]
        return f"{type(self).__name__}({', '.join(version + fields)})"


def _raw(user_data: Any) -> bytes | None:
    """User data as bytes; kafka-python also takes what has an `encode`."""
    if user_data is None or isinstance(user_data, bytes):
        return user_data
    return bytes(user_data.encode() if hasattr(user_data, "encode") else user_data)


class ConsumerProtocolSubscription(_Message):
    """What a member wants and has."""

    TopicPartition = TopicPartitions

    topics: list[str]
    user_data: Any
    owned_partitions: list[TopicPartitions]
    generation_id: int
    rack_id: str | None

    # Not on the wire: kafka-python 2.2 puts it here for the assignors.
    group_instance_id: str | None = None

    _fields: ClassVar[dict[str, tuple[Any, int]]] = {
        "topics": ([], 0),
        "user_data": (None, 0),
        "owned_partitions": ([], 1),
        "generation_id": (-1, 2),
        "rack_id": (None, 3),
    }
    _old_names: ClassVar[dict[str, str]] = {"subscription": "topics"}

    @property
    def subscription(self) -> list[str]:
        """The topics, as kafka-python 2.0 called them."""
        return self.topics

    def _write(self, writer: Writer, version: int) -> None:
        writer.strings(self.topics)
        writer.bytes(_raw(self.user_data))
        if version >= 1:
            writer.partitions(self.owned_partitions)
        if version >= 2:
            writer.i32(self.generation_id)
        if version >= 3:
            writer.string(self.rack_id)

    @classmethod
    def _read(cls, reader: Reader, version: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"topics": reader.strings(), "user_data": reader.nullable_bytes()}
        if version >= 1:
            fields["owned_partitions"] = reader.partitions()
        if version >= 2:
            fields["generation_id"] = reader.i32()
        if version >= 3:
            fields["rack_id"] = reader.nullable_string()
        return fields


class ConsumerProtocolAssignment(_Message):
    """What a member gets: topics with their partitions, `[("t", [0, 1])]`."""

    # Set below: in this class `TopicPartition` is the struct.
    assigned_partitions: list[Any]
    user_data: Any

    _fields: ClassVar[dict[str, tuple[Any, int]]] = {
        "assigned_partitions": ([], 0),
        "user_data": (None, 0),
    }
    _old_names: ClassVar[dict[str, str]] = {"assignment": "assigned_partitions"}

    @property
    def assignment(self) -> list[Any]:
        """The same under its older name."""
        return self.assigned_partitions

    @assignment.setter
    def assignment(self, value: list[Any]) -> None:
        self.assigned_partitions = value

    def partitions(self) -> list[TopicPartition]:
        """One by one."""
        return [
            TopicPartition(topic, partition)
            for topic, partitions in self.assigned_partitions
            for partition in partitions
        ]

    def _write(self, writer: Writer, version: int) -> None:
        writer.partitions(self.assigned_partitions)
        writer.bytes(_raw(self.user_data))

    @classmethod
    def _read(cls, reader: Reader, version: int) -> dict[str, Any]:  # noqa: ARG003
        return {"assigned_partitions": reader.partitions(), "user_data": reader.nullable_bytes()}


ConsumerProtocolAssignment.TopicPartition = TopicPartitions  # type: ignore[attr-defined]


class StickyAssignorUserData(_Message):
    """What a sticky assignor remembers of a member.

    The bytes are those of Kafka's Java clients, which put no version in front;
    kafka-python 3.0 does, and is understood.
    """

    previous_assignment: list[Any]
    generation: int

    max_version: ClassVar[int] = 1
    _fields: ClassVar[dict[str, tuple[Any, int]]] = {
        "previous_assignment": ([], 0),
        "generation": (-1, 1),
    }

    def __init__(self, *args: Any, version: int | None = 1, **fields: Any) -> None:
        super().__init__(*args, version=version, **fields)

    def encode(self, version: int | None = None, header: bool = False) -> bytes:
        """The bytes that go into a subscription."""
        return super().encode(version, header)

    @classmethod
    def decode(cls, data: bytes, version: int | None = None, header: bool = False) -> Self:
        """From these bytes, of whichever version they are; `ValueError` if of none."""
        if version is not None or header:
            return super().decode(data, version, header)
        for version_, header_ in ((1, False), (0, False), (1, True)):
            try:
                return cls._whole(data, version_, header_)
            except ValueError:  # noqa: PERF203
                continue
        raise ValueError("no user data of a sticky assignor")

    @classmethod
    def _whole(cls, data: bytes, version: int, header: bool) -> Self:
        reader = Reader(data)
        if header and reader.i16() != version:
            raise ValueError("another version")
        fields = cls._read(reader, version)
        reader.end()
        return cls(**fields, version=version)

    def _write(self, writer: Writer, version: int) -> None:
        writer.partitions(self.previous_assignment)
        if version >= 1:
            writer.i32(self.generation)

    @classmethod
    def _read(cls, reader: Reader, version: int) -> dict[str, Any]:
        fields: dict[str, Any] = {"previous_assignment": reader.partitions()}
        if version >= 1:
            fields["generation"] = reader.i32()
        return fields


class JoinGroupResponse:
    """Only what the tests of programs with assignors of their own make."""

    class JoinGroupResponseMember:
        """A member as an assignor is given it."""

        def __init__(
            self,
            member_id: str = "",
            group_instance_id: str | None = None,
            metadata: Any = b"",
            **_: Any,
        ) -> None:
            self.member_id = member_id
            self.group_instance_id = group_instance_id
            self.metadata = metadata


ConsumerProtocolMemberMetadata = ConsumerProtocolSubscription
ConsumerProtocolMemberAssignment = ConsumerProtocolAssignment
ConsumerProtocolMemberMetadata_v0 = ConsumerProtocolSubscription
ConsumerProtocolMemberAssignment_v0 = ConsumerProtocolAssignment
StickyAssignorUserDataV1 = StickyAssignorUserData


class ConsumerProtocol_v0:  # noqa: N801
    """The protocol's parts (kafka-python 2.x)."""

    PROTOCOL_TYPE = ConsumerProtocolType
    METADATA = ConsumerProtocolSubscription
    ASSIGNMENT = ConsumerProtocolAssignment


ConsumerProtocol = [ConsumerProtocol_v0]
