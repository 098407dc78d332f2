"""Records: which offsets there are, and how to delete the oldest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.admin.base import AdminBase, attempt
from brokerless.errors.base import BrokerResponseError
from brokerless.isolation import IsolationLevel, OffsetSpec, OffsetTimestamp
from brokerless.structs import OffsetAndTimestamp, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RecordAdmin"]


class RecordAdmin(AdminBase):
    """What the admin client does with records."""

    def list_partition_offsets(
        self,
        topic_partition_specs: Mapping[TopicPartition, OffsetSpec | OffsetTimestamp | int],
        isolation_level: IsolationLevel | int | str = IsolationLevel.READ_UNCOMMITTED,
        timeout_ms: float | None = None,
    ) -> dict[TopicPartition, OffsetAndTimestamp]:
        """Find offsets: an `OffsetSpec` is a place, any other number a time in milliseconds.

        The offset is -1 where there is no such record. A place that is no record has the
        timestamp -1.
        """
        for spec in topic_partition_specs.values():
            if not isinstance(spec, int):
                raise TypeError(f"Unsupported ts type {type(spec)}, expected int or OffsetSpec")
        level = IsolationLevel.build_from(isolation_level)
        found = self._admin.look_up(
            topic_partition_specs, read_committed=level is IsolationLevel.READ_COMMITTED
        )
        return {
            partition: OffsetAndTimestamp(offset, timestamp, epoch if epoch >= 0 else None)
            for partition, (offset, timestamp, epoch) in found
        }

    def delete_records(
        self,
        records_to_delete: Mapping[TopicPartition, int],
        timeout_ms: float | None = None,
        partition_leader_id: int | None = None,
    ) -> dict[TopicPartition, dict[str, Any]]:
        """Delete the records before an offset, or all there are (-1), of each partition.

        Gives the `low_watermark` of each: where its log starts now. It is on stable storage.
        """
        partitions = self._check_partitions(records_to_delete)
        starts: dict[TopicPartition, int] = {}

        def delete(partition: TopicPartition) -> None:
            before = records_to_delete[partition]
            starts[partition] = self._admin.delete_records(*partition, before)

        failed = {one: error for one in partitions if (error := attempt(delete, one)) is not None}
        if len(failed) > 1:
            raise BrokerResponseError(
                "The following errors occured when trying to delete records: "
                + ", ".join(map(_told, failed, failed.values()))
            )
        for error in failed.values():
            raise error
        return {partition: _deleted(partition, start) for partition, start in starts.items()}


def _deleted(partition: TopicPartition, start: int) -> dict[str, Any]:
    return {"partition_index": partition.partition, "low_watermark": start, "error_code": 0}


def _told(partition: TopicPartition, error: BrokerResponseError) -> str:
    return f"{partition.topic}(partition={partition.partition}): {type(error).__name__}"
