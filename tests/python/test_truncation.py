"""Consumers of a directory whose machine crashed: what they had read may be gone (KIP-320)."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brokerless import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from brokerless.errors import LogTruncationError, OffsetOutOfRangeError

T0 = TopicPartition("t", 0)

Crash = Callable[[int], None]


@pytest.fixture
def crash(directory: Path, tmp_path: Path, topic: str) -> Crash:
    """Fills partition 0 with 20 records, one a batch, and gives a crash that leaves `left`.

    The directory is then what a crash leaves: not closed, of another boot, the log's end gone.
    """
    with KafkaProducer(linger_ms=0) as producer:
        for n in range(20):
            producer.send(topic, b"old %02d" % n, partition=0).get()

        def crash(left: int) -> None:
            live = directory.rename(tmp_path / "before")
            shutil.copytree(live, directory)
            (directory / ".kafka_cleanshutdown").unlink(missing_ok=True)
            (directory / ".brokerless-control").unlink()
            (directory / "recovery-point-offset-checkpoint").unlink(missing_ok=True)
            log = directory / "t-0" / "00000000000000000000.log"
            with log.open("r+b") as file:
                file.truncate(log.stat().st_size // 20 * left)
            with KafkaProducer() as producer:
                for n in range(10):
                    producer.send(topic, b"new %02d" % n, partition=0)

    return crash


def reader(**settings: Any) -> KafkaConsumer:
    consumer = KafkaConsumer(
        auto_offset_reset=settings.pop("auto_offset_reset", "earliest"),
        consumer_timeout_ms=300,
        **settings,
    )
    consumer.assign([T0])
    return consumer


def end_of_log() -> OffsetAndMetadata:
    # In a function of its own: a consumer that is still referred to keeps the directory open.
    with reader() as consumer:
        last = list(consumer)[-1]
    return OffsetAndMetadata(last.offset + 1, "", last.leader_epoch)


def test_a_position_with_its_epoch_goes_back_to_where_its_history_ends(crash: Crash) -> None:
    position = end_of_log()
    crash(12)

    with reader() as consumer:
        consumer.seek(T0, position)

        records = list(consumer)
        assert [r.value for r in records] == [b"new %02d" % n for n in range(10)]
        assert (records[0].offset, records[0].leader_epoch) == (12, position.leader_epoch + 1)


@pytest.mark.parametrize("epoch", [0, -1])
def test_a_committed_offset_behind_the_end_is_not_a_reason_to_read_everything(
    crash: Crash, epoch: int
) -> None:
    crash(12)
    with reader(group_id="g", enable_auto_commit=False) as consumer:
        consumer.commit({T0: OffsetAndMetadata(30, "", epoch)})

    with reader(group_id="g") as consumer:
        # Without an epoch only the end of the log is known: 12 old records and 10 new ones.
        assert consumer.position(T0) == (12 if epoch == 0 else 22)


def test_a_commit_carries_the_epoch_of_the_last_record(crash: Crash) -> None:
    crash(12)
    with reader(group_id="g", enable_auto_commit=False) as consumer:
        list(consumer)
        consumer.commit()

        assert consumer.committed(T0, metadata=True) == OffsetAndMetadata(22, "", 1)


def test_without_a_rule_poll_tells_where_to_go_on(crash: Crash) -> None:
    crash(12)
    with reader(auto_offset_reset="none") as consumer:
        consumer.seek(T0, OffsetAndMetadata(15, "", 0))

        with pytest.raises(LogTruncationError, match="up to offset 15") as raised:
            consumer.poll(300)

        consumer.seek(T0, raised.value.divergent_offsets[T0])
        assert next(consumer).value == b"new 00"


def test_a_bare_offset_is_taken_as_it_is(crash: Crash) -> None:
    crash(12)
    with reader(auto_offset_reset="none") as consumer:
        consumer.seek(T0, 15)
        assert next(consumer).value == b"new 03"
        consumer.seek(T0, 99)
        with pytest.raises(OffsetOutOfRangeError):
            consumer.poll(300)
