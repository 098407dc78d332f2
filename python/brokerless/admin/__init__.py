"""The admin client: topics, groups, settings and records, looked after from outside."""

from brokerless.admin.client import KafkaAdminClient
from brokerless.admin.configs import ConfigResource, ConfigResourceType
from brokerless.admin.groups import GroupState, GroupType, MemberToRemove, OffsetShift
from brokerless.admin.topics import NewPartitions, NewTopic, Response
from brokerless.isolation import OffsetSpec, OffsetTimestamp

__all__ = [
    "ConfigResource",
    "ConfigResourceType",
    "GroupState",
    "GroupType",
    "KafkaAdminClient",
    "MemberToRemove",
    "NewPartitions",
    "NewTopic",
    "OffsetShift",
    "OffsetSpec",
    "OffsetTimestamp",
    "Response",
]
