"""The consumer."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from brokerless import _brokerless
from brokerless._brokerless import ConsumerRecord
from brokerless._children import ends_in_order
from brokerless.errors.base import IllegalStateError, KafkaError
from brokerless.listener import AsyncConsumerRebalanceListener, ConsumerRebalanceListener
from brokerless.location import directory_of
from brokerless.settings import CONSUMER_DEFAULTS, check_together, merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from brokerless._strategies import Strategies
    from brokerless.future import Future
    from brokerless.structs import ConsumerGroupMetadata, TopicPartition

__all__ = ["ConsumerRecord", "KafkaConsumer"]


class KafkaConsumer(_brokerless.Consumer):
    """Reads records from topics of a directory. One thread uses it at a time.

    The settings are kafka-python's. `bootstrap_servers` names the directory: a path
    or a `file://` URL is that directory, any `host:port` is the default one.

    `close` may be called from another thread: it ends a `poll` or an iteration.
    """

    DEFAULT_CONFIG: ClassVar[dict[str, Any]] = CONSUMER_DEFAULTS

    def __init__(self, *topics: str, **configs: Any) -> None:
        self.config = merge(self.DEFAULT_CONFIG, configs)
        check_together(self.config)
        strategies = _strategies(self.config)
        self._open(directory_of(self.config["bootstrap_servers"]), self.config, strategies)
        ends_in_order()
        if topics:
            self.subscribe(topics)

    def subscribe(
        self,
        topics: Iterable[str] | str = (),
        pattern: Any = None,
        listener: ConsumerRebalanceListener | AsyncConsumerRebalanceListener | None = None,
    ) -> None:
        """Read these topics, or all whose names match `pattern`, from now on.

        `listener` is told, inside `poll`, when partitions come and go. What it raises,
        that `poll` raises as the cause of a `KafkaError` once the rebalance is complete
        (kafka-python 2.x only logged it).
        """
        super().subscribe(topics, pattern, _listener(listener))

    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None:
        """Let go of the partitions, the group and the directory. A second call does nothing.

        What was read is committed, if `enable_auto_commit` and `autocommit` are on. Then
        the listener is told that its partitions are revoked.
        """
        super().close(autocommit, timeout_ms)

    def commit_async(
        self,
        offsets: Mapping[TopicPartition, Any] | None = None,
        callback: Callable[[Any, Any], object] | None = None,
    ) -> Future:
        """Commit, and hand the outcome to `callback(offsets, outcome)` and a future.

        A commit here takes no longer than a write to the disk, so it is done when
        this returns; errors do not raise but are the outcome.
        """
        from brokerless.future import Future

        if self.config["group_id"] is None:
            raise IllegalStateError("Requires group_id")
        wanted = dict(self._consumed() if offsets is None else offsets)
        callback = callback or self.config["default_offset_commit_callback"]
        future = Future()
        if callback is not None:
            future.add_both(callback, wanted)
        try:
            self.commit(wanted)
        except KafkaError as error:
            return future.failure(error)
        return future.success(True)

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Tell where this consumer stands with its group."""
        from brokerless.structs import ConsumerGroupMetadata, MemberState

        group, instance = self.config["group_id"], self.config["group_instance_id"]
        standing = self._standing()
        if standing is None:
            return ConsumerGroupMetadata(group, group_instance_id=instance)
        generation, member_id, is_stable = standing
        state = MemberState.STABLE if is_stable else MemberState.REBALANCING
        return ConsumerGroupMetadata(group, generation, member_id, instance, state)

    def bootstrap_connected(self) -> bool:
        """Whether the directory is open."""
        return not self._closed

    def bootstrap(self, timeout_ms: float | None = None, refresh: bool = False) -> None:
        """Do nothing: the directory is open from the start."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What was polled but perhaps not handled must come again.
        self.close(autocommit=exc_type is None)

    def __repr__(self) -> str:
        group = self.config.get("group_id")
        return f"<{type(self).__name__} group_id={group} directory={self._directory}>"


def _strategies(config: Mapping[str, Any]) -> Strategies | None:
    if config["group_id"] is None:
        return None
    from brokerless._strategies import Strategies

    return Strategies(config["partition_assignment_strategy"])


def _listener(given: Any) -> ConsumerRebalanceListener | None:
    if given is None:
        return None
    if isinstance(given, (ConsumerRebalanceListener, AsyncConsumerRebalanceListener)):
        return _Awaiting(given)
    raise TypeError(f"listener must be a ConsumerRebalanceListener, not {type(given).__name__}")


class _Awaiting(ConsumerRebalanceListener):
    """A listener whose methods may be coroutines, each run to its end."""

    def __init__(
        self, listener: ConsumerRebalanceListener | AsyncConsumerRebalanceListener
    ) -> None:
        self._listener = listener

    def on_partitions_revoked(self, revoked: Any) -> None:
        _finish(self._listener.on_partitions_revoked(revoked))

    def on_partitions_assigned(self, assigned: Any) -> None:
        _finish(self._listener.on_partitions_assigned(assigned))

    def on_partitions_lost(self, lost: Any) -> None:
        _finish(self._listener.on_partitions_lost(lost))


def _finish(answer: object) -> None:
    """Run what a coroutine method gave to its end, also below a loop that runs in this thread."""
    if not isinstance(answer, Coroutine):
        return
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, answer).result()
