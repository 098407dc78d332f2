"""Who of a group gets which partitions: Kafka's four assignors, and the root of your own.

`partition_assignment_strategy` takes the classes here, their names, and classes derived
from them. A class of your own answers in `assign` which member gets what:

    class FirstTakesAll(AbstractPartitionAssignor):
        name = "first-takes-all"

        def assign(self, cluster, members):
            everything = [
                (topic, sorted(cluster.partitions_for_topic(topic)))
                for topic in sorted(cluster.topics())
            ]
            first = min(member.member_id for member in members)
            return {
                member.member_id: ConsumerProtocolAssignment(
                    self.version, everything if member.member_id == first else [], b""
                )
                for member in members
            }

Classes written for kafka-python 2.x, where `members` is a dict, work as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokerless._later import names_of
from brokerless.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from brokerless.assignors.even import RangePartitionAssignor, RoundRobinPartitionAssignor

if TYPE_CHECKING:
    from brokerless.assignors.protocol import (
        ConsumerProtocolAssignment,
        ConsumerProtocolSubscription,
        StickyAssignorUserData,
    )
    from brokerless.assignors.sticky import (
        CooperativeStickyAssignor,
        StickyAssignorMemberMetadataV1,
        StickyPartitionAssignor,
    )

__all__ = [
    "AbstractPartitionAssignor",
    "ConsumerProtocolAssignment",
    "ConsumerProtocolSubscription",
    "CooperativeStickyAssignor",
    "RangePartitionAssignor",
    "RebalanceProtocol",
    "RoundRobinPartitionAssignor",
    "StickyAssignorMemberMetadataV1",
    "StickyAssignorUserData",
    "StickyPartitionAssignor",
]

if not TYPE_CHECKING:  # a name that is none stays an error for who checks types
    __getattr__, __dir__ = names_of(
        globals(),
        {
            "ConsumerProtocolAssignment": "protocol",
            "ConsumerProtocolSubscription": "protocol",
            "CooperativeStickyAssignor": "sticky",
            "StickyAssignorMemberMetadataV1": "sticky",
            "StickyAssignorUserData": "protocol",
            "StickyPartitionAssignor": "sticky",
        },
    )
