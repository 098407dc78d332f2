"""The names of kafka-python 2.x, where 3.x has others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.admin.base import attempt
from brokerless.admin.groups import OPERATIONS, GroupAdmin
from brokerless.admin.partitions import PartitionAdmin
from brokerless.admin.response import Response, error_class
from brokerless.assignors.protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from brokerless.structs import (
    GroupInformation,
    MemberInformation,
    OffsetAndMetadata,
    TopicPartition,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless.errors.base import BrokerResponseError

__all__ = ["OlderNames"]


class OlderNames(GroupAdmin, PartitionAdmin):
    """The same deeds, under their older names and in their older shapes."""

    def list_consumer_groups(
        self, broker_ids: Iterable[int] | None = None
    ) -> list[tuple[str, str]]:
        """List the groups: id and protocol type of each."""
        self._check_brokers(broker_ids)
        return [(group, protocol) for group, protocol, _, _, _ in self._admin.groups()]

    def describe_consumer_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
        include_authorized_operations: bool = False,
    ) -> list[GroupInformation]:
        """Describe groups: state, strategy and members."""
        operations = set(OPERATIONS) if include_authorized_operations else None
        return [self._information(group, operations) for group in group_ids]

    def _information(self, group: str, operations: set[str] | None) -> GroupInformation:
        found = self._admin.describe_group(group)
        if found is None:
            return GroupInformation(0, group, "Dead", "", "", [], None)
        _, protocol, state, strategy, members = found
        all_of_them = [_member(*member) for member in members]
        return GroupInformation(0, group, state, protocol, strategy or "", all_of_them, operations)

    def list_consumer_group_offsets(
        self,
        group_id: str,
        group_coordinator_id: int | None = None,
        partitions: Iterable[TopicPartition] | None = None,
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """Give what a group has committed: all of it, or of the partitions that are named."""
        return self._committed(group_id, partitions)

    def delete_consumer_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: int | None = None,
    ) -> list[tuple[str, type[BrokerResponseError]]]:
        """Delete groups with all they have committed; gives the error class of each."""
        errors = [(group, attempt(self._admin.delete_group, group)) for group in group_ids]
        return [(group, error_class(error)) for group, error in errors]

    def perform_leader_election(
        self,
        election_type: int,
        topic_partitions: Any = None,
        timeout_ms: float | None = None,
    ) -> Response:
        """Say of each partition that it needs no election: its one replica leads it."""
        return self.elect_leaders(election_type, topic_partitions, timeout_ms)


def _member(
    member_id: str,
    instance_id: str | None,  # noqa: ARG001
    client_id: str,
    host: str,
    process_id: int,  # noqa: ARG001
    subscription: bytes,
    assignment: bytes,
) -> MemberInformation:
    return MemberInformation(
        member_id,
        client_id,
        host,
        ConsumerProtocolSubscription.decode(subscription) if subscription else b"",
        ConsumerProtocolAssignment.decode(assignment) if assignment else b"",
    )
