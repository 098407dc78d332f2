"""Contests of sending: loops, callbacks, batches."""

from __future__ import annotations

import os
import sqlite3
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

import confluent_kafka
import kafka
import lmdb
from contest import OURS, Contest, Goal, Rate

import brokerless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stage import Stage

BATCH = 500

MOST_BYTES = 100 << 20
"""No turn sends more than this: the mock cluster and its client keep it in memory."""


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of sending."""
    goals = {100: (3.5, 100), 1024: (2.5, None), 10240: (1.5, None)}
    for size, (confluent, python) in goals.items():
        name = f"send loop + flush, acks=1, {size} B"
        due = [Goal("confluent-kafka", confluent)]
        runs = {OURS: ours(stage, size), "confluent-kafka": librdkafka(stage, size)}
        runs["kafka-python"] = kafka_python(stage, size)
        if python:
            due.append(Goal("kafka-python", python))
        yield Contest(name, "records/s", runs, tuple(due))
    yield Contest(
        "send with a callback per record, acks=1, 100 B",
        "records/s",
        {OURS: ours_calling(stage, 100), "confluent-kafka": librdkafka_calling(stage, 100)},
        (Goal("confluent-kafka", 3),),
    )
    for size, due in ((100, (Goal("lmdb", 4),)), (1024, ())):
        yield Contest(
            f"send_many of {BATCH}, not synced, {size} B",
            "records/s",
            {
                OURS: ours_many(stage, size),
                "lmdb": lmdb_batches(stage, size, sync=False),
                "sqlite WAL NORMAL": sqlite_batches(stage, size, "NORMAL"),
                "plain file": file_batches(stage, size, sync=False),
            },
            due,
        )
    yield Contest(
        "send loop + flush, acks=all, 100 B",
        "records/s",
        {
            OURS: ours(stage, 100, acks="all"),
            "sqlite WAL FULL": sqlite_batches(stage, 100, "FULL"),
            "lmdb": lmdb_batches(stage, 100, sync=True),
            "plain file": file_batches(stage, 100, sync=True),
        },
        (Goal("sqlite WAL FULL", 4), Goal("lmdb", 1)),
    )


def timed(stage: Stage, size: int, run: Callable[[int], float], start: int = 2000) -> Rate:
    """A rate that never sends too much at once."""
    return Rate(run, start, stage.seconds, MOST_BYTES // size)


def ours(stage: Stage, size: int, acks: int | str = 1) -> Rate:
    directory = stage.directory(f"send-{acks}-{size}")
    producer = stage.enter(brokerless.KafkaProducer(bootstrap_servers=directory, acks=acks))
    value = b"x" * size

    def run(number: int) -> float:
        started = perf_counter()
        for _ in range(number):
            producer.send("bench", value)
        producer.flush()
        return perf_counter() - started

    return timed(stage, size, run)


def ours_calling(stage: Stage, size: int) -> Rate:
    directory = stage.directory("send-calling")
    producer = stage.enter(brokerless.KafkaProducer(bootstrap_servers=directory, acks=1))
    value = b"x" * size

    def run(number: int) -> float:
        done = 0

        def called(_metadata: Any) -> None:
            nonlocal done
            done += 1

        started = perf_counter()
        for _ in range(number):
            producer.send("bench", value).add_callback(called)
        producer.flush()
        took = perf_counter() - started
        assert done == number
        return took

    return timed(stage, size, run)


def ours_many(stage: Stage, size: int) -> Rate:
    directory = stage.directory(f"send-many-{size}")
    producer = stage.enter(brokerless.KafkaProducer(bootstrap_servers=directory, acks=1))
    values = [b"x" * size] * BATCH

    def run(number: int) -> float:
        started = perf_counter()
        for _ in range(number // BATCH):
            producer.send_many("bench", values)
        producer.flush()
        return (perf_counter() - started) * number / (number // BATCH * BATCH)

    return timed(stage, size, run)


def librdkafka_producer(stage: Stage, **settings: Any) -> Any:
    return confluent_kafka.Producer(
        {
            "bootstrap.servers": stage.mock,
            "log_level": 0,
            "acks": 1,
            "queue.buffering.max.messages": 10_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            **settings,
        }
    )


def librdkafka(stage: Stage, size: int) -> Rate:
    producer = librdkafka_producer(stage)
    value = b"x" * size

    def run(number: int) -> float:
        started = perf_counter()
        for _ in range(number):
            producer.produce("send", value)
        producer.flush()
        return perf_counter() - started

    return timed(stage, size, run)


def librdkafka_calling(stage: Stage, size: int) -> Rate:
    producer = librdkafka_producer(stage)
    value = b"x" * size

    def run(number: int) -> float:
        done = 0

        def called(_error: Any, _message: Any) -> None:
            nonlocal done
            done += 1

        started = perf_counter()
        for one in range(number):
            producer.produce("send", value, on_delivery=called)
            if one % BATCH == 0:
                producer.poll(0)
        producer.flush()
        took = perf_counter() - started
        assert done == number
        return took

    return timed(stage, size, run)


def kafka_python(stage: Stage, size: int) -> Rate:
    producer = stage.enter(
        kafka.KafkaProducer(
            bootstrap_servers=stage.mock,
            api_version=(2, 3),
            acks=1,
            enable_idempotence=False,
        )
    )
    value = b"x" * size

    def run(number: int) -> float:
        started = perf_counter()
        for _ in range(number):
            producer.send("send", value)
        producer.flush()
        return perf_counter() - started

    return timed(stage, size, run, start=500)


def lmdb_batches(stage: Stage, size: int, sync: bool) -> Rate:
    """Appended in order of ever larger keys: LMDB's fastest way."""
    folder = stage.directory(f"lmdb-{size}-{sync}")
    world = stage.enter(lmdb.open(folder, map_size=8 << 30, sync=sync))
    numbers = count()
    value = b"x" * size

    def run(number: int) -> float:
        batches = max(1, number // BATCH)
        started = perf_counter()
        for _ in range(batches):
            with world.begin(write=True) as transaction:
                items = [(next(numbers).to_bytes(8, "big"), value) for _ in range(BATCH)]
                transaction.cursor().putmulti(items, append=True)
        return (perf_counter() - started) * number / (batches * BATCH)

    return timed(stage, size, run)


def sqlite_batches(stage: Stage, size: int, synchronous: str) -> Rate:
    path = f"{stage.directory(f'sqlite-{size}-{synchronous}')}/log.db"
    connection = sqlite3.connect(path, isolation_level=None)
    stage.stack.callback(connection.close)
    connection.execute("pragma journal_mode=wal")
    connection.execute(f"pragma synchronous={synchronous}")
    connection.execute("create table log (offset integer primary key, value blob)")
    rows = [(b"x" * size,)] * BATCH

    def run(number: int) -> float:
        batches = max(1, number // BATCH)
        started = perf_counter()
        for _ in range(batches):
            connection.execute("begin")
            connection.executemany("insert into log (value) values (?)", rows)
            connection.execute("commit")
        return (perf_counter() - started) * number / (batches * BATCH)

    return timed(stage, size, run)


def file_batches(stage: Stage, size: int, sync: bool) -> Rate:
    """Lengths and values, joined and written: the least a log in Python can do."""
    path = f"{stage.directory(f'file-{size}-{sync}')}/log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    stage.stack.callback(os.close, file)
    values = [b"x" * size] * BATCH

    def run(number: int) -> float:
        batches = max(1, number // BATCH)
        started = perf_counter()
        for _ in range(batches):
            parts = []
            for value in values:
                parts.append(len(value).to_bytes(4, "big"))
                parts.append(value)
            os.write(file, b"".join(parts))
            if sync:
                os.fdatasync(file)
        return (perf_counter() - started) * number / (batches * BATCH)

    return timed(stage, size, run)
