"""The cluster: this directory, which is its one broker and has one log directory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from brokerless.admin.absent import absent
from brokerless.admin.partitions import PartitionAdmin
from brokerless.admin.response import Answer
from brokerless.enums import EnumHelper
from brokerless.errors.broker import (
    NoError,
    UnknownTopicOrPartitionError,
)
from brokerless.errors.cluster import InvalidUpdateVersionError, LogDirNotFoundError
from brokerless.structs import TopicPartitionReplica

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless.errors.base import BrokerResponseError

__all__ = ["ClusterAdmin", "UpdateFeatureType"]

OPERATIONS = (
    "CREATE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
)
"""What may be done to a cluster: all that can be, for whoever may write to the directory."""

NO_PORT = -1
"""Nobody listens: programs open the directory."""


class UpdateFeatureType(EnumHelper, IntEnum):
    """Which way a feature's version may go."""

    UNKNOWN = 0
    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class Broker(Answer):
    """The directory, as a broker is described."""

    _older: ClassVar[Mapping[str, str]] = {"node_id": "broker_id"}


class LogDirs(list[dict[str, Any]]):
    """What each broker has in its log directories: here, one has one."""

    error_code = 0
    throttle_time_ms = 0

    @property
    def log_dirs(self) -> list[tuple[int, str, list[Any]]]:
        """Error code, path and topics of each directory, as in kafka-python 2.x."""
        return [
            (folder["error_code"], folder["log_dir"], [_older(one) for one in folder["topics"]])
            for broker in self
            for folder in broker["log_dirs"]
        ]


class ClusterAdmin(PartitionAdmin):
    """What the admin client says of the cluster."""

    def describe_cluster(self) -> dict[str, Any]:
        """Describe the directory as a cluster of one broker, on which nobody listens."""
        cluster, node = self._admin.identity()
        broker = Broker(broker_id=node, host="localhost", port=NO_PORT, rack=None, is_fenced=False)
        return {
            "cluster_id": cluster,
            "controller_id": node,
            "brokers": [broker],
            "authorized_operations": list(OPERATIONS),
        }

    def describe_log_dirs(
        self, topic_partitions: Any = None, brokers: Iterable[int] | None = None
    ) -> LogDirs:
        """Give the bytes of each partition's log, and the room on the file system.

        The partitions are given as a dict by topic, or all of the topics in a list, or all.
        """
        self._check_brokers(brokers)
        named = self._named(topic_partitions)
        counts = self._counts()
        topics = [
            {
                "name": topic,
                "partitions": self._sizes(
                    topic, [number for number in numbers if 0 <= number < counts[topic]]
                ),
            }
            for topic, numbers in named.items()
            if topic in counts
        ]
        room = shutil.disk_usage(self._directory)
        folder = {
            "error_code": 0,
            "log_dir": str(Path(self._directory).absolute()),
            "topics": topics,
            "total_bytes": room.total,
            "usable_bytes": room.free,
            "is_cordoned": False,
        }
        return LogDirs([{"broker": self._node(), "log_dirs": [folder]}])

    def _sizes(self, topic: str, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """The bytes of each log, without those that somebody deletes meanwhile."""
        found = []
        for number in numbers:
            with suppress(UnknownTopicOrPartitionError):
                found.append(_size(number, self._admin.log_size(topic, number)))
        return found

    def alter_replica_log_dirs(
        self, replica_assignments: Mapping[Any, str]
    ) -> dict[TopicPartitionReplica, type[BrokerResponseError]]:
        """Move nothing: `NoError` for what is to be where it is, an error class else."""
        counts, here = self._counts(), Path(self._directory).absolute()
        moved: dict[TopicPartitionReplica, type[BrokerResponseError]] = {}
        for one, log_dir in replica_assignments.items():
            replica = TopicPartitionReplica(*one)
            self._check_brokers([replica.broker_id])
            if Path(log_dir) != here:
                moved[replica] = LogDirNotFoundError
            elif not 0 <= replica.partition < counts.get(replica.topic, 0):
                moved[replica] = UnknownTopicOrPartitionError
            else:
                moved[replica] = NoError
        return moved

    def describe_features(self, send_request_to_controller: bool = False) -> dict[str, Any]:
        """Give the features whose versions a cluster agrees on: there are none."""
        return {}

    def update_features(
        self, feature_updates: Any, validate_only: bool = False, timeout_ms: float = 60000
    ) -> dict[str, str]:
        """Raise `InvalidUpdateVersionError`, as for a feature that no broker has."""
        if not isinstance(feature_updates, Mapping):
            raise TypeError("feature_updates must be a dict by the names of features")
        for feature in feature_updates:
            raise InvalidUpdateVersionError(
                f"Invalid update version for feature {feature}: without a cluster there are none."
            )
        return {}

    def describe_metadata_quorum(self) -> dict[str, Any]:
        """Raise `IncompatibleBrokerVersion`, as with a broker without a quorum."""
        raise absent("describe_metadata_quorum", "a directory has no quorum of controllers")

    def api_versions(self) -> dict[Any, tuple[int, int]]:
        """Give the requests that can be sent: there are none, as nobody listens."""
        return {}

    def get_broker_version_data(self, broker_id: int) -> Any:
        """Raise `IncompatibleBrokerVersion`: there is no broker that has a version."""
        self._check_brokers([broker_id])
        raise absent("get_broker_version_data", "no requests are sent to a directory")

    def send_request(self, request: Any, node_id: int | None = None) -> Any:
        """Raise `IncompatibleBrokerVersion`: there is nobody to send a request to."""
        raise absent("send_request", "no requests are sent to a directory")

    def send_requests(self, requests_and_node_ids: Any, response_fn: Any = None) -> Any:
        """Raise `IncompatibleBrokerVersion`: there is nobody to send requests to."""
        raise absent("send_requests", "no requests are sent to a directory")


def _size(number: int, size: int) -> dict[str, Any]:
    return {
        "partition_index": number,
        "partition_size": size,
        "offset_lag": 0,
        "is_future_key": False,
    }


def _older(topic: dict[str, Any]) -> tuple[str, list[tuple[int, int, int, bool]]]:
    return (topic["name"], [tuple(one.values()) for one in topic["partitions"]])
