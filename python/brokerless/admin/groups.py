"""Consumer groups: who is in them, what they have committed, and how to change that."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from brokerless.admin.base import AdminBase, attempt
from brokerless.admin.response import error_class
from brokerless.assignors.protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from brokerless.enums import EnumHelper
from brokerless.errors.groups import GroupIdNotFoundError
from brokerless.isolation import OffsetSpec, OffsetTimestamp
from brokerless.structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokerless.errors.base import BrokerResponseError

__all__ = ["GroupAdmin", "GroupState", "GroupType", "MemberToRemove", "OffsetShift"]

OPERATIONS = ("READ", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS")
"""What may be done to a group: all that can be, for whoever may write to the directory."""


class GroupState(EnumHelper, str, Enum):
    """How far a group is."""

    UNKNOWN = "Unknown"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"
    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"


class GroupType(EnumHelper, str, Enum):
    """The protocols of groups. Those here are classic ones."""

    UNKNOWN = "Unknown"
    CLASSIC = "classic"
    CONSUMER = "consumer"
    SHARE = "share"


class MemberToRemove:
    """A member to take out of a group: by `member_id`, by `group_instance_id`, or by both."""

    __slots__ = ("group_instance_id", "member_id", "reason")

    def __init__(
        self,
        member_id: str | None = None,
        group_instance_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.reason = reason

    def _fields(self) -> tuple[str | None, str | None, str | None]:
        return (self.member_id, self.group_instance_id, self.reason)

    def __repr__(self) -> str:
        member, instance, reason = self._fields()
        return f"<MemberToRemove member_id={member}, group_instance_id={instance}, reason={reason}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemberToRemove):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())


class OffsetShift(int):
    """So many records behind what is committed (or before it), for `reset_group_offsets`.

    This class is brokerless's own.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"OffsetShift({int(self)})"


class GroupAdmin(AdminBase):
    """What the admin client does with groups."""

    def list_groups(
        self,
        broker_ids: Iterable[int] | None = None,
        states_filter: Iterable[GroupState | str] | None = None,
        types_filter: Iterable[GroupType | str] | None = None,
    ) -> list[dict[str, Any]]:
        """List the groups: those with members, and those that have committed offsets."""
        self._check_brokers(broker_ids)
        states = {GroupState.value_for(state) for state in states_filter or ()}
        types = {GroupType.value_for(kind) for kind in types_filter or ()}
        return [
            {"group_id": group, "protocol_type": protocol, "group_state": state, "group_type": kind}
            for group, protocol, state, _, _ in self._admin.groups()
            for kind in [GroupType.CLASSIC.value]
            if (not states or state in states) and (not types or kind in types)
        ]

    def describe_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
        include_authorized_operations: bool = False,
    ) -> dict[str, dict[str, Any]]:
        """Describe groups by id: state, strategy and members.

        Of each member there is its `process_id` beside what kafka-python tells. What it
        subscribes to and is assigned is known once the group is stable.
        """
        return {group: self._describe(group) for group in group_ids}

    def _describe(self, group: str) -> dict[str, Any]:
        found = self._admin.describe_group(group)
        if found is None:
            error = str(GroupIdNotFoundError(f"Group {group} not found."))
            return _description(group, "", "Dead", None, [], operations=None, error=error)
        return _description(*found, operations=list(OPERATIONS), error=None)

    def list_group_offsets(
        self, group_specs: str | Iterable[str] | Mapping[str, Iterable[TopicPartition] | None]
    ) -> dict[str, dict[TopicPartition, OffsetAndMetadata]]:
        """Give what groups have committed: all of it, or of the partitions that are named.

        A named partition for which nothing is committed has the offset -1.
        """
        if isinstance(group_specs, str):
            group_specs = [group_specs]
        if not hasattr(group_specs, "items"):
            group_specs = dict.fromkeys(group_specs)
        if not group_specs:
            raise ValueError("Empty group_specs!")
        return {group: self._committed(group, named) for group, named in group_specs.items()}

    def _committed(
        self, group: str, named: Iterable[TopicPartition] | None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        committed = self._admin.committed(group)
        if named is None:
            return dict(sorted(committed.items()))
        wanted = (TopicPartition(*partition) for partition in named)
        return {partition: committed.get(partition, _NOTHING) for partition in wanted}

    def alter_group_offsets(
        self,
        group_id: str,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group_coordinator_id: int | None = None,
    ) -> dict[TopicPartition, type[BrokerResponseError]]:
        """Commit offsets for a group without members; gives the error class of each partition.

        `NoError` says that it is on stable storage. While the group has members, only they
        may commit: `UnknownMemberIdError`.
        """
        altered = self._admin.alter_offsets(group_id, offsets)
        return {partition: error_class(error) for partition, error in altered}

    def reset_group_offsets(
        self,
        group_id: str,
        offset_specs: Mapping[TopicPartition, OffsetSpec | OffsetTimestamp | OffsetShift | int],
        group_coordinator_id: int | None = None,
        *,
        validate_only: bool = False,
    ) -> dict[TopicPartition, dict[str, Any]]:
        """Set what a group without members has committed, by a rule for each partition.

        An `OffsetSpec` is a place, an `OffsetTimestamp` a time, an `OffsetShift` a number of
        records from what is committed now, a plain number an offset. What is outside of the
        log becomes its nearer end, a time behind all records its end. With `validate_only`
        (which is brokerless's own) nothing is changed. Gives of each partition the `offset`
        and the class of the `error`.
        """
        resets = {partition: _rule(partition, spec) for partition, spec in offset_specs.items()}
        done = self._admin.reset_offsets(group_id, resets, validate_only=validate_only)
        return {
            partition: {"error": error_class(error), "offset": offset}
            for partition, offset, error in done
        }

    def delete_group_offsets(
        self,
        group_id: str,
        partitions: Iterable[TopicPartition],
        group_coordinator_id: int | None = None,
    ) -> dict[TopicPartition, type[BrokerResponseError]]:
        """Take back what a group has committed; gives the error class of each partition.

        Where members subscribe to the topic that is `GroupSubscribedToTopicError`. Raises
        `GroupIdNotFoundError` if there is no such group.
        """
        partitions = list(partitions)
        if not partitions:
            return {}
        deleted = self._admin.delete_offsets(group_id, partitions)
        return {partition: error_class(error) for partition, error in deleted}

    def delete_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
    ) -> dict[str, str]:
        """Delete groups with all they have committed; gives of each `OK` or the error's name."""
        errors = {group: attempt(self._admin.delete_group, group) for group in group_ids}
        return {
            group: "OK" if error is None else type(error).__name__
            for group, error in errors.items()
        }

    def remove_group_members(
        self,
        group_id: str,
        members: Iterable[MemberToRemove],
        group_coordinator_id: int | None = None,
    ) -> dict[str | None, type[BrokerResponseError]]:
        """Take members out of a group; gives the error class of each id.

        A member finds out as one that did not poll in time: it has lost its partitions, and
        joins again if it goes on.
        """
        members = list(members)
        if not members:
            return {}
        fields = [(one.member_id, one.group_instance_id, one.reason) for one in members]
        errors = self._admin.remove_members(group_id, fields)
        return {
            one.member_id or one.group_instance_id: error_class(error)
            for one, error in zip(members, errors, strict=True)
        }


_NOTHING = OffsetAndMetadata(-1, "", -1)


def _description(
    group: str,
    protocol: str,
    state: str,
    strategy: str | None,
    members: list[Any],
    *,
    operations: list[str] | None,
    error: str | None,
) -> dict[str, Any]:
    return {
        "group_id": group,
        "group_state": state,
        "protocol_type": protocol,
        "protocol_data": strategy or "",
        "members": [_member(*member) for member in members],
        "authorized_operations": operations,
        "error": error,
    }


def _member(
    member_id: str,
    instance_id: str | None,
    client_id: str,
    host: str,
    process_id: int,
    subscription: bytes,
    assignment: bytes,
) -> dict[str, Any]:
    return {
        "member_id": member_id,
        "group_instance_id": instance_id,
        "client_id": client_id,
        "client_host": host,
        "process_id": process_id,
        "member_metadata": _decoded(ConsumerProtocolSubscription, subscription),
        "member_assignment": _decoded(ConsumerProtocolAssignment, assignment),
    }


def _decoded(kind: type[Any], data: bytes) -> Any:
    """What the first version of the protocol has, as kafka-python's consumers send it."""
    if not data:
        return ""
    message = kind.decode(data)
    user_data = (message.user_data or b"").decode(errors="backslashreplace")
    if kind is ConsumerProtocolSubscription:
        return {"topics": message.topics, "user_data": user_data}
    assigned = [{"topic": topic, "partitions": list(numbers)} for topic, numbers in message[0]]
    return {"assigned_partitions": assigned, "user_data": user_data}


def _rule(partition: TopicPartition, spec: Any) -> tuple[str, int]:
    if isinstance(spec, (OffsetSpec, OffsetTimestamp)):
        return ("at", int(spec))
    if isinstance(spec, int):
        return ("shift" if isinstance(spec, OffsetShift) else "offset", int(spec))
    raise TypeError(
        f"Unsupported reset target for {partition}: {spec!r} "
        "(expected OffsetSpec, OffsetTimestamp, OffsetShift, or int offset)"
    )
