# The compiled half of brokerless: what `_brokerless` offers to the package's Python files.
#
# Python callables (serializers, deserializers, partitioners, listeners, callbacks) are called
# from here with nothing locked. Whatever waits releases the GIL and looks at Python's signals,
# so Ctrl-C works at once.
#
# Exceptions are looked up by name in `brokerless.errors`, structs in `brokerless.structs`
# (TopicPartition, OffsetAndMetadata, OffsetAndTimestamp), both at their first use.
#
#   errors.py must have               raised for
#   KafkaStorageError                 a refused system call (cause: the OSError), a failed sync,
#                                     files changed from outside, a directory a broker holds,
#                                     a network file system, a write to a read-only directory
#   CorruptRecordError                bytes that are not what was written
#   MessageSizeTooLargeError          a record above max_request_size or max.message.bytes
#   RecordListTooLargeError           a batch above segment.bytes
#   InvalidTopicError                 a topic's name that Kafka refuses, or that collides
#                                     with another's by '.' and '_'
#   UnknownTopicOrPartitionError, TopicAlreadyExistsError, InvalidPartitionsError,
#   OffsetOutOfRangeError, NoOffsetForPartitionError, GroupMaxSizeReachedError,
#   UnsupportedVersionError (a newer format), KafkaConfigurationError, KafkaTimeoutError,
#   IllegalStateError (also: forked)
#   ClosedError                       a call on a closed client: IllegalStateError (3.0) and
#                                     AssertionError (2.x) at once
#   ArgumentTypeError                 TypeError (3.0) and AssertionError (2.x) at once
#   IllegalArgumentError              KafkaError, ValueError (3.0) and AssertionError (2.x) at once
#
# An exception of an engine error has one argument, the sentence that explains it.

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, SupportsIndex, TypeAlias, final, overload

from typing_extensions import Self, disjoint_base

from brokerless.errors.base import BrokerResponseError
from brokerless.structs import OffsetAndMetadata, OffsetAndTimestamp, TopicPartition

__all__ = [
    "Admin",
    "Consumer",
    "ConsumerRecord",
    "FutureRecordMetadata",
    "LogDump",
    "Producer",
    "RecordMetadata",
    "__version__",
    "assign_partitions",
    "check_topic",
    "close_all",
    "compact",
    "dump_index",
    "dump_snapshot",
    "dump_time_index",
    "dump_transactions",
    "flush_all",
    "murmur2",
    "verify",
]

__version__: str

# murmur2 as in Kafka's Java client: 0 to 2**32 - 1; `(murmur2(key) & 0x7fffffff) % partitions`.
def murmur2(data: bytes | bytearray | memoryview, /) -> int: ...

# What an assignor of Kafka's ("range", "roundrobin", "sticky", "cooperative-sticky") answers:
# topics and partitions, in its order, of each member. `partitions` says how many a topic has.
# A member: member id, group instance id, topics, what it owns, in which generation (-1: none).
# With `hold_back`, of cooperative-sticky, without what another member still has.
def assign_partitions(
    strategy: str,
    partitions: Mapping[str, int],
    members: Iterable[tuple[str, str | None, Iterable[str], Iterable[tuple[str, int]], int]],
    hold_back: bool = False,
    /,
) -> dict[str, list[tuple[str, int]]]: ...

# Sends what every producer of this process still holds, also of producers that are gone, and
# waits for it. `brokerless/__init__.py` registers it with `atexit`.
def flush_all() -> None: ...

# Closes every directory, for the end of the process; `atexit` calls it last.
def close_all() -> None: ...

# The check of a directory, and its repair: what `brokerless verify` prints. `progress` is called
# now and then with the folder of a partition, its number, how many there are, and the bytes read.
def verify(
    directory: str,
    *,
    repair: bool = False,
    progress: Callable[[str, int, int, int], object] | None = None,
) -> dict[str, Any]: ...

# Compacts a partition, also what is in its active segment: bytes before and after, and whether
# there was anything to do. False too while somebody else is at it.
def compact(directory: str, topic: str, partition: int) -> tuple[int, int, bool]: ...

# Checks a topic that is to be made in a directory that is to be made: its number of partitions.
def check_topic(
    name: str, partitions: int | None = None, settings: Mapping[str, str] | None = None
) -> int: ...

# A log file, batch by batch, for `brokerless dump`. A dict with "is_valid" is a batch, with
# "records" (dicts) and "error" (why the rest of them cannot be read, or None) unless records are
# not wanted; one without it is damage: position, bytes, at_end, error.
@final
class LogDump:
    def __new__(cls, path: str, *, max_bytes: int | None = None, records: bool = True) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> dict[str, Any]: ...

# Offset, position, and the last offset of the batch there, of each entry.
def dump_index(path: str) -> list[tuple[int, int, int | None]]: ...

# Timestamp, offset, and of the batch there the last offset and the youngest timestamp.
def dump_time_index(path: str) -> list[tuple[int, int, tuple[int, int] | None]]: ...

# Producer id, first, last and last stable offset of each aborted transaction; bytes left over.
def dump_transactions(path: str) -> tuple[list[tuple[int, int, int, int]], int]: ...

# The producers of a snapshot; None if it is damaged.
def dump_snapshot(path: str) -> list[dict[str, Any]] | None: ...

# Behaves like kafka-python's namedtuple of that name (but is no tuple): positional and keyword
# construction, len, index, slice, unpack, compare, hash, repr, pickle, copy, match.
# A value of more than some KiB becomes `bytes` when it is first touched.
@final
class ConsumerRecord:
    _fields: ClassVar[tuple[str, ...]]
    _field_defaults: ClassVar[dict[str, Any]]
    __match_args__ = (
        "topic",
        "partition",
        "leader_epoch",
        "offset",
        "timestamp",
        "timestamp_type",
        "key",
        "value",
        "headers",
        "checksum",
        "serialized_key_size",
        "serialized_value_size",
        "serialized_header_size",
    )
    def __new__(
        cls,
        topic: str,
        partition: int,
        leader_epoch: int | None = -1,
        offset: int = -1,
        timestamp: int | None = -1,
        timestamp_type: int | None = 0,
        key: Any = None,
        value: Any = None,
        headers: Any = None,  # becomes []
        checksum: int | None = None,
        serialized_key_size: int | None = -1,
        serialized_value_size: int | None = -1,
        serialized_header_size: int | None = -1,
    ) -> Self: ...
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def leader_epoch(self) -> int: ...
    @property
    def offset(self) -> int: ...
    # Milliseconds since the epoch, or -1; None in message format 0, which has none.
    @property
    def timestamp(self) -> int | None: ...
    # 0 is CreateTime, 1 is LogAppendTime; None as with the timestamp.
    @property
    def timestamp_type(self) -> int | None: ...
    @property
    def key(self) -> Any: ...
    @property
    def value(self) -> Any: ...
    @property
    def headers(self) -> list[tuple[str, bytes | None]]: ...
    @property
    def checksum(self) -> int | None: ...
    @property
    def serialized_key_size(self) -> int: ...
    @property
    def serialized_value_size(self) -> int: ...
    @property
    def serialized_header_size(self) -> int: ...
    @classmethod
    def _make(cls, iterable: Iterable[Any], /) -> Self: ...
    def _asdict(self) -> dict[str, Any]: ...
    def _replace(self, **kwargs: Any) -> Self: ...
    def count(self, value: Any, /) -> int: ...
    def index(self, value: Any, start: int = 0, stop: int = ..., /) -> int: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __reversed__(self) -> Iterator[Any]: ...
    def __add__(self, other: Any, /) -> tuple[Any, ...]: ...
    def __radd__(self, other: Any, /) -> tuple[Any, ...]: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __lt__(self, value: object, /) -> bool: ...
    def __le__(self, value: object, /) -> bool: ...
    def __gt__(self, value: object, /) -> bool: ...
    def __ge__(self, value: object, /) -> bool: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...

# What a producer's future gives; behaves like kafka-python's namedtuple, as ConsumerRecord does.
@final
class RecordMetadata:
    _fields: ClassVar[tuple[str, ...]]
    _field_defaults: ClassVar[dict[str, Any]]
    __match_args__ = (
        "topic",
        "partition",
        "topic_partition",
        "offset",
        "timestamp",
        "checksum",
        "serialized_key_size",
        "serialized_value_size",
        "serialized_header_size",
    )
    def __new__(
        cls,
        topic: str,
        partition: int,
        topic_partition: TopicPartition | None = None,  # made of the two before
        offset: int = -1,
        timestamp: int | None = -1,
        checksum: int | None = None,
        serialized_key_size: int | None = -1,
        serialized_value_size: int | None = -1,
        serialized_header_size: int | None = -1,
    ) -> Self: ...
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def topic_partition(self) -> TopicPartition: ...
    # -1 with acks=0.
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def checksum(self) -> int | None: ...
    @property
    def serialized_key_size(self) -> int: ...
    @property
    def serialized_value_size(self) -> int: ...
    @property
    def serialized_header_size(self) -> int: ...
    @classmethod
    def _make(cls, iterable: Iterable[Any], /) -> Self: ...
    def _asdict(self) -> dict[str, Any]: ...
    def _replace(self, **kwargs: Any) -> Self: ...
    def count(self, value: Any, /) -> int: ...
    def index(self, value: Any, start: int = 0, stop: int = ..., /) -> int: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __reversed__(self) -> Iterator[Any]: ...
    def __add__(self, other: Any, /) -> tuple[Any, ...]: ...
    def __radd__(self, other: Any, /) -> tuple[Any, ...]: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __lt__(self, value: object, /) -> bool: ...
    def __le__(self, value: object, /) -> bool: ...
    def __gt__(self, value: object, /) -> bool: ...
    def __ge__(self, value: object, /) -> bool: ...
    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]: ...

# The result of one `send`. Callbacks run in the thread that completes the record (or at once, if
# it is complete); what they raise is logged by the logger `brokerless` and goes no further.
@final
class FutureRecordMetadata:
    @property
    def is_done(self) -> bool: ...
    # The RecordMetadata, or None while pending and after a failure.
    @property
    def value(self) -> RecordMetadata | None: ...
    # The exception, or None while pending and after success.
    @property
    def exception(self) -> BaseException | None: ...
    def succeeded(self) -> bool: ...
    def failed(self) -> bool: ...
    def retriable(self) -> bool: ...
    # Waits `timeout` seconds (None: for as long as it takes); raises KafkaTimeoutError after
    # that, or what the send failed with.
    def get(self, timeout: float | None = None) -> RecordMetadata: ...
    # Each calls f(*args, result, **kwargs), as functools.partial does, and gives the future back.
    def add_callback(self, f: Callable[..., object], /, *args: Any, **kwargs: Any) -> Self: ...
    def add_errback(self, f: Callable[..., object], /, *args: Any, **kwargs: Any) -> Self: ...
    def add_both(self, f: Callable[..., object], /, *args: Any, **kwargs: Any) -> Self: ...
    # Calls future.success(metadata) or future.failure(exception).
    def chain(self, future: Any, /) -> Self: ...
    def __await__(self) -> Generator[Any, None, RecordMetadata]: ...

# Base of KafkaProducer. `__new__` takes anything; `_open` must follow before any other call
# (which raises IllegalStateError else).
@disjoint_base
class Producer:
    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    # Keys read from `settings`, all optional, others are ignored (self.config may be given whole):
    #   acks (0, 1, -1, "all"), linger_ms, batch_size, compression_type, compression_level,
    #   max_request_size, buffer_memory, max_block_ms, delivery_timeout_ms, client_id,
    #   allow_network_fs,
    #   key_serializer, value_serializer: callables f(data), or objects with
    #     serialize(topic, data) (2.x) or serialize(topic, headers, data) (3.0);
    #     called for None too, as kafka-python does,
    #   partitioner: None is the built-in one (murmur2 of the key, sticky without); a callable
    #     f(key_bytes, all_partitions, available_partitions); or an object with 3.0's
    #     partition(topic, key, serialized_key, value, serialized_value, cluster),
    #   cluster: what such an object is given last.
    # Times are milliseconds, int or float. Raises KafkaConfigurationError for a wrong value.
    def _open(self, directory: str, settings: Mapping[str, Any]) -> None: ...
    @property
    def _closed(self) -> bool: ...
    # The path that was opened.
    @property
    def _directory(self) -> str: ...
    def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        headers: Sequence[tuple[str, bytes | None]] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> FutureRecordMetadata: ...
    # Sends each of `values` in one call (with `keys`, if given, one for each) and gives one future
    # for all: it is done when every record is, has the last record's metadata, and fails as the
    # first record that fails. Serializers apply. After an exception of send_many itself, the
    # values before the one it is about have been sent. Empty `values` raise. Both exceptions have
    # as `_sent` how many values stand before that one, or before the first of its batch.
    def send_many(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None = None,
        headers: Sequence[tuple[str, bytes | None]] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> FutureRecordMetadata: ...
    # Seconds; KafkaTimeoutError when it takes longer.
    def flush(self, timeout: float | None = None) -> None: ...
    # Sends what is left, for at most `timeout` seconds, and closes the serializers that have a
    # `close`. A second call does nothing. From a callback it does not wait.
    def close(self, timeout: float | None = None, null_logger: bool = False) -> None: ...
    def partitions_for(self, topic: str) -> set[int]: ...
    # {"producer-metrics": {"record-send-total": 1.0, ...}}
    def metrics(self, raw: bool = False) -> dict[str, dict[str, float]]: ...

# Base of KafkaConsumer. `__new__` takes anything; `_open` must follow.
# One thread uses it at a time, except for `close`, which ends a poll or iteration elsewhere.
@disjoint_base
class Consumer:
    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    # Keys read from `settings`, all optional, others are ignored:
    #   group_id, group_instance_id, session_timeout_ms, heartbeat_interval_ms,
    #   max_poll_interval_ms, default_api_timeout_ms, client_id,
    #   auto_offset_reset (earliest, latest, none, smallest, largest,
    #   by_duration:PnDTnHnMn.nS), enable_auto_commit, auto_commit_interval_ms, max_poll_records,
    #   fetch_min_bytes, fetch_max_bytes, fetch_max_wait_ms, max_partition_fetch_bytes,
    #   max_decompressed_bytes, check_crcs,
    #   isolation_level ("read_uncommitted", "read_committed", 0, 1),
    #   exclude_internal_topics, allow_auto_create_topics, consumer_timeout_ms (inf: none),
    #   read_only, allow_network_fs,
    #   key_deserializer, value_deserializer: callables f(data), or objects with
    #     deserialize(topic, data) or deserialize(topic, headers, data); called for None too.
    # `strategies` has `offered`, of each way to share partitions its name, whether it is
    # cooperative, and whether it is the user's own; for those, methods `describe(topics)`,
    # `share_out(name, partitions, members)` and `assigned(name, partitions, generation,
    # user_data)`.
    def _open(
        self, directory: str, settings: Mapping[str, Any], strategies: Any | None = None
    ) -> None: ...
    @property
    def _closed(self) -> bool: ...
    @property
    def _directory(self) -> str | None: ...
    # Generation, member id, and whether it has all that it should; None if it is no member.
    def _standing(self) -> tuple[int, str, bool] | None: ...
    # `topics` may be one string; `pattern` a str or a compiled pattern (matched at the start, as
    # re.match does). `listener` has on_partitions_revoked(set), on_partitions_assigned(set)
    # and perhaps on_partitions_lost(set), called in the thread that polls. What they raise, that
    # poll raises as the cause of a KafkaError once the rebalance is complete.
    def subscribe(
        self,
        topics: Iterable[str] | str = (),
        pattern: Any = None,
        listener: Any = None,
    ) -> None: ...
    def unsubscribe(self) -> None: ...
    def subscription(self) -> set[str] | None: ...
    # An empty list unsubscribes.
    def assign(self, partitions: Iterable[TopicPartition]) -> None: ...
    def assignment(self) -> set[TopicPartition]: ...
    # ValueError: timeout_ms < 0 or max_records <= 0; IllegalStateError: closed.
    def poll(
        self,
        timeout_ms: float = 0,
        max_records: int | None = None,
        update_offsets: bool = True,
    ) -> dict[TopicPartition, list[ConsumerRecord]]: ...
    def __iter__(self) -> Self: ...
    # Ends after consumer_timeout_ms without a record, and after close. It can be used again.
    def __next__(self) -> ConsumerRecord: ...
    # All partitions without arguments; ValueError when one is not assigned.
    def seek(self, partition: TopicPartition, offset: int | OffsetAndMetadata) -> None: ...
    def seek_to_beginning(self, *partitions: TopicPartition) -> None: ...
    def seek_to_end(self, *partitions: TopicPartition) -> None: ...
    def position(
        self, partition: TopicPartition, timeout_ms: float | None = None
    ) -> int | None: ...
    def highwater(self, partition: TopicPartition) -> int | None: ...
    @overload
    def committed(
        self,
        partition: TopicPartition,
        metadata: Literal[False] = False,
        timeout_ms: float | None = None,
    ) -> int | None: ...
    @overload
    def committed(
        self,
        partition: TopicPartition,
        metadata: Literal[True],
        timeout_ms: float | None = None,
    ) -> OffsetAndMetadata | None: ...
    # Values: OffsetAndMetadata of either arity (any metadata becomes a str), or plain ints.
    def commit(
        self,
        offsets: Mapping[TopicPartition, Any] | None = None,
        timeout_ms: float | None = None,
    ) -> None: ...
    # What commit() without offsets would commit: the consumed positions.
    def _consumed(self) -> dict[TopicPartition, OffsetAndMetadata]: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    def paused(self) -> set[TopicPartition]: ...
    def topics(self, timeout_ms: float | None = None) -> set[str]: ...
    # Empty for a topic that does not exist.
    def partitions_for_topic(self, topic: str, timeout_ms: float | None = None) -> set[int]: ...
    def beginning_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]: ...
    def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]: ...
    def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int], timeout_ms: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]: ...
    # {"consumer-metrics": {"records-consumed-total": 1.0, ...}}
    def metrics(self, raw: bool = False) -> dict[str, dict[str, float]]: ...
    # Commits the consumed positions first if auto-commit is on. A second call does nothing.
    def close(self, autocommit: bool = True, timeout_ms: float | None = None) -> None: ...

# Name, value, source, type, synonyms (name, value, source), documentation, read-only, sensitive.
_Setting: TypeAlias = tuple[str, str | None, int, int, list[tuple[str, str, int]], str, bool, bool]
# Member id, instance id, client id, host, process id, subscription, assignment.
_Member: TypeAlias = tuple[str, str | None, str, str, int, bytes, bytes]
_Group: TypeAlias = tuple[str, str, str, str | None, list[_Member]]

# The administration of one directory.
@final
class Admin:
    def __new__(
        cls, directory: str, *, read_only: bool = False, allow_network_fs: bool = False
    ) -> Self: ...
    # `partitions` None is the default number; settings have Kafka's names, and texts as values.
    # The settings that it has.
    def create_topic(
        self,
        name: str,
        partitions: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[_Setting]: ...
    def check_topic(
        self,
        name: str,
        partitions: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> list[_Setting]: ...
    def create_partitions(self, name: str, total: int) -> None: ...
    def check_partitions(self, name: str, total: int) -> None: ...
    # With an id only that topic: UnknownTopicOrPartitionError if another has the name by now.
    def delete_topic(self, name: str, topic_id: str | None = None) -> None: ...
    # (name, id, number of partitions, internal), sorted by name.
    def topics(self) -> list[tuple[str, str, int, bool]]: ...
    # Name, id, internal, and the leader epoch of each partition.
    def describe_topics(self) -> list[tuple[str, str, bool, list[int]]]: ...
    # Places are Kafka's numbers or timestamps; gives offset, timestamp and leader epoch.
    def look_up(
        self, places: Mapping[TopicPartition, int], *, read_committed: bool = False
    ) -> list[tuple[TopicPartition, tuple[int, int, int]]]: ...
    # Gives where the log starts now.
    def delete_records(self, topic: str, partition: int, before: int) -> int: ...
    # Bytes of a partition's log.
    def log_size(self, topic: str, partition: int) -> int: ...
    def topic_configs(self, name: str) -> list[_Setting]: ...
    def directory_configs(self) -> list[_Setting]: ...
    def group_configs(self) -> list[_Setting]: ...
    # A change is a name, 0 (set), 1 (delete), 2 (append) or 3 (subtract), and a value.
    def alter_topic(
        self,
        name: str,
        changes: Sequence[tuple[str, int, str | None]],
        *,
        validate_only: bool = False,
    ) -> None: ...
    def alter_directory(
        self, changes: Sequence[tuple[str, int, str | None]], *, validate_only: bool = False
    ) -> None: ...
    # The cluster id and the node id.
    def identity(self) -> tuple[str, int]: ...
    # Id, protocol type, state, strategy, members.
    def groups(self) -> list[_Group]: ...
    def describe_group(self, group: str) -> _Group | None: ...
    def committed(self, group: str) -> dict[TopicPartition, OffsetAndMetadata]: ...
    # What went wrong with each partition, if anything did.
    def alter_offsets(
        self, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> list[tuple[TopicPartition, BrokerResponseError | None]]: ...
    # A reset is "at" (a place, as below), "offset" or "shift", and a number.
    def reset_offsets(
        self,
        group: str,
        resets: Mapping[TopicPartition, tuple[str, int]],
        *,
        validate_only: bool = False,
    ) -> list[tuple[TopicPartition, int, BrokerResponseError | None]]: ...
    def delete_offsets(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> list[tuple[TopicPartition, BrokerResponseError | None]]: ...
    # Members are given by member id, group instance id and reason.
    def remove_members(
        self, group: str, members: Sequence[tuple[str | None, str | None, str | None]]
    ) -> list[BrokerResponseError | None]: ...
    def delete_group(self, group: str) -> None: ...
    def close(self) -> None: ...
