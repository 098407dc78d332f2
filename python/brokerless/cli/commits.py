"""What a member of a group has printed, and where it begins: who comes next goes on there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokerless import KafkaConsumer, TopicPartition
    from brokerless.cli.jumps import Jumps
    from brokerless.cli.polling import Found, Polling

__all__ = ["Commits"]


class Commits:
    """Commits where each partition begins, and then what was printed."""

    def __init__(self, client: KafkaConsumer, polling: Polling) -> None:
        self._client = client
        self._polling = polling
        self._known: set[TopicPartition] = set()

    def expect(self, jumps: Jumps) -> None:
        """Say what should be read next of gained partitions: what the group has committed."""
        gained = self._polling.working() - self._known
        for partition in self._polling.positions(gained):
            committed = self._client.committed(partition)
            if committed is not None:
                jumps.expect(partition, committed)

    def begin(self, polled: Found) -> None:
        """Commit where gained partitions begin; without that nothing may be printed."""
        working = self._polling.working()
        gained = working - self._known
        if gained:
            places = self._polling.positions(gained)
            places |= {it: found[0].offset for it, found in polled.items() if it in gained}
            if not self._commit(places):
                self._take_back(polled)
                return
        self._known = working

    def printed(self) -> None:
        """Commit what was read."""
        if not self._polling.has_failed():
            self._commit(None)
        else:
            self._commit(self._polling.positions(self._polling.working()))

    def _commit(self, places: Mapping[TopicPartition, int] | None) -> bool:
        """Whether it could: another member may have the partitions by now, and print all again."""
        from brokerless import OffsetAndMetadata
        from brokerless.errors import CommitFailedError, RebalanceInProgressError

        try:
            if places is None:
                self._client.commit()
            else:
                offsets = {it: OffsetAndMetadata(at, "", -1) for it, at in places.items()}
                self._client.commit(offsets)
        except (CommitFailedError, RebalanceInProgressError):
            return False
        return True

    def _take_back(self, polled: Found) -> None:
        for partition in polled.keys() & self._client.assignment():
            self._client.seek(partition, polled[partition][0].offset)
        polled.clear()
