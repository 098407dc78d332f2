"""Contests of reading: whole polls, and one record at a time."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import confluent_kafka
import kafka
from contest import OURS, Contest, Goal, Rate
from sending import librdkafka_producer

import brokerless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stage import Stage

POLL = 500

PARTITIONS = 4
"""What the mock cluster gives every topic."""

PARTITION_BYTES = 4 << 20
"""The mock cluster forgets what is older than the last 5 MB of a partition."""


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of reading."""
    goals = {100: (3.5, 30), 1024: (2.8, None), 10240: (2.2, None)}
    for size, (confluent, python) in goals.items():
        topics = fill_mock(stage, size)
        fill_ours(stage, size)
        due = [Goal("confluent-kafka tuned", confluent)]
        if python:
            due.append(Goal("kafka-python", python))
        yield Contest(
            f"poll of {POLL}, .value read, {size} B",
            "records/s",
            {
                OURS: ours_polling(stage, size),
                "confluent-kafka tuned": librdkafka_consuming(stage, topics),
                "kafka-python": kafka_python_polling(stage, size, topics),
            },
            tuple(due),
        )
        if size == 100:
            yield Contest(
                f"for record in consumer, .value read, {size} B",
                "records/s",
                {
                    OURS: ours_iterating(stage, size),
                    "confluent-kafka poll()": librdkafka_polling(stage, topics),
                    "kafka-python": kafka_python_iterating(stage, size, topics),
                },
                (Goal("confluent-kafka poll()", 6), Goal("kafka-python", 40)),
            )


def total_bytes(stage: Stage, size: int) -> int:
    """How much there is to read: more of large records, which are read faster by the byte."""
    return (16 << 20 if size < 10240 else 64 << 20) * (1 if stage.quick else 4)


def fill_ours(stage: Stage, size: int) -> None:
    directory = stage.directory(f"read-{size}")
    with brokerless.KafkaProducer(bootstrap_servers=directory, acks=1) as producer:
        for _ in range(total_bytes(stage, size) // size // POLL):
            producer.send_many("bench", [b"x" * size] * POLL)


def ours_consumer(stage: Stage, size: int, **settings: Any) -> Any:
    directory = stage.directory(f"read-{size}")
    consumer = brokerless.KafkaConsumer(bootstrap_servers=directory, **settings)
    consumer.assign([brokerless.TopicPartition("bench", 0)])
    return stage.enter(consumer)


def ours_polling(stage: Stage, size: int) -> Rate:
    consumer = ours_consumer(stage, size)
    there = total_bytes(stage, size) // size // POLL * POLL

    def run(number: int) -> float:
        consumer.seek_to_beginning()
        got = 0
        started = perf_counter()
        while got < number:
            for records in consumer.poll(1000, max_records=POLL).values():
                for record in records:
                    record.value  # noqa: B018  # reading it is what is measured
                got += len(records)
        return (perf_counter() - started) * number / got

    return Rate(run, there // 10, stage.seconds, there)


def ours_iterating(stage: Stage, size: int) -> Rate:
    consumer = ours_consumer(stage, size)
    there = total_bytes(stage, size) // size // POLL * POLL

    def run(number: int) -> float:
        consumer.seek_to_beginning()
        left = number
        started = perf_counter()
        for record in consumer:
            record.value  # noqa: B018  # reading it is what is measured
            left -= 1
            if left == 0:
                break
        return perf_counter() - started

    return Rate(run, there // 10, stage.seconds, there)


def fill_mock(stage: Stage, size: int) -> list[str]:
    """The names of topics that hold enough together."""
    producer = librdkafka_producer(stage, **{"linger.ms": 20})
    each = PARTITION_BYTES // (size + 30)
    topics = []
    for number in range(max(1, total_bytes(stage, size) // (PARTITIONS * PARTITION_BYTES))):
        topic = f"read-{size}-{number}"
        for one in range(each * PARTITIONS):
            producer.produce(topic, b"x" * size, partition=one % PARTITIONS)
        producer.flush()
        topics.append(topic)
    return topics


def librdkafka_consumer(stage: Stage, topics: list[str]) -> tuple[Any, int]:
    """A consumer of everything, and how many records that is.

    Tuned: by default it pauses for a second whenever its queue is full.
    """
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": stage.mock,
            "log_level": 0,
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
            "fetch.queue.backoff.ms": 0,
            "fetch.message.max.bytes": 8 << 20,
            "queued.min.messages": 10_000_000,
            "queued.max.messages.kbytes": 1_000_000,
        }
    )
    partitions = [
        confluent_kafka.TopicPartition(topic, partition, confluent_kafka.OFFSET_BEGINNING)
        for topic in topics
        for partition in range(PARTITIONS)
    ]
    ends = (consumer.get_watermark_offsets(one) for one in partitions)
    there = sum(high - low for low, high in ends)
    consumer.assign(partitions)
    return consumer, there


def librdkafka_consuming(stage: Stage, topics: list[str]) -> Any:
    def turn() -> float:
        consumer, there = librdkafka_consumer(stage, topics)
        got = first = len(consumer.consume(POLL, timeout=10))
        started = perf_counter()
        while got < there:
            # It waits until it has as many as it was asked for.
            messages = consumer.consume(min(POLL, there - got), timeout=1)
            for message in messages:
                message.value()
            got += len(messages)
        took = perf_counter() - started
        consumer.close()
        return (there - first) / took

    return turn


def librdkafka_polling(stage: Stage, topics: list[str]) -> Any:
    def turn() -> float:
        consumer, there = librdkafka_consumer(stage, topics)
        consumer.poll(10)
        started = perf_counter()
        for _ in range(there - 1):
            consumer.poll(1).value()
        took = perf_counter() - started
        consumer.close()
        return (there - 1) / took

    return turn


def kafka_python_consumer(stage: Stage, topics: list[str]) -> Any:
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=stage.mock,
        api_version=(2, 3),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    consumer.assign(
        [
            kafka.TopicPartition(topic, partition)
            for topic in topics
            for partition in range(PARTITIONS)
        ]
    )
    return stage.enter(consumer)


def kafka_python_polling(stage: Stage, size: int, topics: list[str]) -> Rate:
    consumer = kafka_python_consumer(stage, topics)

    def run(number: int) -> float:
        consumer.seek_to_beginning()
        consumer.poll(5000)
        got = 0
        started = perf_counter()
        while got < number:
            for records in consumer.poll(1000, max_records=POLL).values():
                for record in records:
                    record.value  # noqa: B018  # reading it is what is measured
                got += len(records)
        return (perf_counter() - started) * number / got

    return Rate(run, 2000, stage.seconds, total_bytes(stage, size) // size // 2)


def kafka_python_iterating(stage: Stage, size: int, topics: list[str]) -> Rate:
    consumer = kafka_python_consumer(stage, topics)

    def run(number: int) -> float:
        consumer.seek_to_beginning()
        next(consumer)
        left = number
        started = perf_counter()
        for record in consumer:
            record.value  # noqa: B018  # reading it is what is measured
            left -= 1
            if left == 0:
                break
        return perf_counter() - started

    return Rate(run, 2000, stage.seconds, total_bytes(stage, size) // size // 2)
