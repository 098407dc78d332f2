"""Contests of waiting: one record at a time, acknowledged or seen by another process."""

from __future__ import annotations

import os
import subprocess
import sys
from time import monotonic_ns, perf_counter, sleep
from typing import TYPE_CHECKING, Any

import kafka
from contest import OURS, Contest, Goal, percentile
from sending import librdkafka_producer

import brokerless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stage import Stage

VALUE = b"x" * 100

BATCH_BYTES = 172
"""What one record of 100 bytes takes in a log: a batch of its own."""

PAUSE = 0.001
"""Between two records that another process waits for, in seconds."""

OUR_WAITER = """
import sys, time, brokerless
consumer = brokerless.KafkaConsumer(bootstrap_servers=sys.argv[1])
partition = brokerless.TopicPartition("latency", 0)
consumer.assign([partition])
consumer.seek_to_end(partition)
consumer.position(partition)
print("ready", flush=True)
left = int(sys.argv[2])
while left:
    for records in consumer.poll(1000).values():
        now = time.monotonic_ns()
        for record in records:
            print(now - int(record.value), flush=True)
            left -= 1
"""

LIBRDKAFKA_WAITER = """
import sys, time, confluent_kafka
consumer = confluent_kafka.Consumer({
    "bootstrap.servers": sys.argv[1], "log_level": 0, "group.id": "latency",
    "enable.auto.commit": False, "fetch.wait.max.ms": 0, "fetch.queue.backoff.ms": 0,
})
consumer.assign([confluent_kafka.TopicPartition("latency", 0, confluent_kafka.OFFSET_END)])
consumer.poll(1)
print("ready", flush=True)
left = int(sys.argv[2])
while left:
    message = consumer.poll(1)
    if message is not None and not message.error():
        print(time.monotonic_ns() - int(message.value()), flush=True)
        left -= 1
"""


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of waiting."""
    yield Contest(
        "send().get(), acks=1, p50",
        "us",
        {
            OURS: ours_getting(stage, 1),
            "confluent-kafka": librdkafka_flushing(stage),
            "kafka-python": kafka_python_getting(stage),
        },
        (Goal("confluent-kafka", 1 / 5, less_is_better=True),),
    )
    yield Contest(
        "send().get(), acks=all, p50",
        "us",
        {OURS: ours_getting(stage, "all"), "write + fdatasync": writing_synced(stage)},
        (Goal("write + fdatasync", 1.3, less_is_better=True),),
    )
    yield from across(stage)


def across(stage: Stage) -> Iterator[Contest]:
    """From one process's send to another one's waiting poll."""
    ours = Crossing(stage, OUR_WAITER, stage.directory("across"), our_sender(stage))
    peer = Crossing(stage, LIBRDKAFKA_WAITER, stage.mock, librdkafka_sender(stage))
    half = Goal("confluent-kafka busy fetch", 0.5, less_is_better=True)
    yield Contest(
        "another process's waiting poll has it, p50",
        "us",
        {OURS: ours.p50, "confluent-kafka busy fetch": peer.p50},
        (half, Goal(None, 40, less_is_better=True)),
    )
    yield Contest(
        "another process's waiting poll has it, p99",
        "us",
        {OURS: ours.p99, "confluent-kafka busy fetch": peer.p99},
        (half, Goal(None, 200, less_is_better=True)),
    )


def median_us(stage: Stage, one: Callable[[], object]) -> Callable[[], float]:
    """The median time of a call, in microseconds."""

    def turn() -> float:
        samples = []
        for _ in range(stage.samples):
            started = perf_counter()
            one()
            samples.append((perf_counter() - started) * 1e6)
        return percentile(samples, 0.5)

    return turn


def ours_getting(stage: Stage, acks: int | str) -> Callable[[], float]:
    directory = stage.directory(f"get-{acks}")
    producer = stage.enter(brokerless.KafkaProducer(bootstrap_servers=directory, acks=acks))
    return median_us(stage, lambda: producer.send("bench", VALUE).get())


def librdkafka_flushing(stage: Stage) -> Callable[[], float]:
    producer = librdkafka_producer(stage, **{"linger.ms": 0})

    def one() -> None:
        producer.produce("get", VALUE)
        producer.flush()

    return median_us(stage, one)


def kafka_python_getting(stage: Stage) -> Callable[[], float]:
    producer = stage.enter(
        kafka.KafkaProducer(
            bootstrap_servers=stage.mock, api_version=(2, 3), acks=1, enable_idempotence=False
        )
    )
    return median_us(stage, lambda: producer.send("get", VALUE).get())


def writing_synced(stage: Stage) -> Callable[[], float]:
    path = f"{stage.directory('synced')}/log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    stage.stack.callback(os.close, file)
    data = b"x" * BATCH_BYTES

    def one() -> None:
        os.write(file, data)
        os.fdatasync(file)

    return median_us(stage, one)


def our_sender(stage: Stage) -> Callable[[bytes], object]:
    directory = stage.directory("across")
    producer = stage.enter(brokerless.KafkaProducer(bootstrap_servers=directory, acks=1))
    return lambda value: producer.send("latency", value, partition=0).get()


def librdkafka_sender(stage: Stage) -> Callable[[bytes], object]:
    producer = librdkafka_producer(stage, **{"linger.ms": 0})

    def send(value: bytes) -> None:
        producer.produce("latency", value, partition=0)
        producer.flush()

    return send


class Crossing:
    """Records that carry the time they were sent at, and a process that waits for them."""

    def __init__(
        self, stage: Stage, waiter: str, address: str, send: Callable[[bytes], object]
    ) -> None:
        self._stage = stage
        self._command = [sys.executable, "-c", waiter, address, str(stage.samples)]
        self._send = send
        send(b"0")

    def p50(self) -> float:
        """The median of one turn."""
        return percentile(self._turn(), 0.5)

    def p99(self) -> float:
        """The 99th percentile of one turn."""
        return percentile(self._turn(), 0.99)

    def _turn(self) -> list[float]:
        waiter: Any = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert waiter.stdout.readline() == "ready\n", "the waiting process failed"
        samples = []
        for _ in range(self._stage.samples):
            sleep(PAUSE)
            self._send(b"%d" % monotonic_ns())
            samples.append(int(waiter.stdout.readline()) / 1000)
        waiter.communicate()
        return samples
