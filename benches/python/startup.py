"""Contests of starting: imports, the first record, many partitions, and doing nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from contest import OURS, Contest, Goal

import brokerless
import brokerless.admin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stage import Stage

TOPICS = 10
PARTITIONS = 100

IMPORT = """
from time import perf_counter
started = perf_counter()
from {0} import KafkaConsumer, KafkaProducer
print((perf_counter() - started) * 1e3)
"""

FIRST_RECORD = """
import sys
from time import perf_counter
started = perf_counter()
from brokerless import KafkaConsumer
consumer = KafkaConsumer("bench", bootstrap_servers=sys.argv[1], auto_offset_reset="earliest")
record = next(consumer)
print((perf_counter() - started) * 1e3)
"""

OPEN = """
import sys
from time import perf_counter
from brokerless import KafkaConsumer, TopicPartition
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
topics, partitions = int(sys.argv[2]), int(sys.argv[3])
wanted = [TopicPartition(f"t{t}", p) for t in range(topics) for p in range(partitions)]
before = resident()
started = perf_counter()
consumer = KafkaConsumer(bootstrap_servers=sys.argv[1])
ends = consumer.end_offsets(wanted)
took = (perf_counter() - started) * 1e3
assert len(ends) == topics * partitions and set(ends.values()) == {1}
print({"ms": took, "MB": resident() - before}[sys.argv[4]])
"""

APPEND_AND_DIE = """
import os, signal, sys
from brokerless import KafkaProducer
producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks=1)
for topic in range(int(sys.argv[2])):
    for partition in range(int(sys.argv[3])):
        producer.send(f"t{topic}", b"x", partition=partition)
producer.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""

WAIT = """
import resource, sys
from time import perf_counter
from brokerless import KafkaConsumer
consumer = KafkaConsumer("t0", bootstrap_servers=sys.argv[1], auto_offset_reset="latest")
consumer.poll(100)
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, started = used(), perf_counter()
assert not consumer.poll(3000)
print((used() - before) / (perf_counter() - started) * 100)
"""


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of starting."""
    yield Contest(
        "import of producer and consumer",
        "ms",
        {OURS: child(IMPORT.format("brokerless")), "kafka-python": child(IMPORT.format("kafka"))},
        (Goal("kafka-python", 1 / 3, less_is_better=True),),
    )
    yield Contest(
        "first record of a fresh process",
        "ms",
        {OURS: child(FIRST_RECORD, one_topic(stage))},
        (Goal(None, 50, less_is_better=True),),
    )
    directory = many_partitions(stage)
    for what, unit, due in (("opened", "ms", 50), ("opened: memory", "MB", 30)):
        run = child(OPEN, directory, str(TOPICS), str(PARTITIONS), unit)
        name = f"{TOPICS * PARTITIONS:,} partitions {what}"
        yield Contest(name, unit, {OURS: run}, (Goal(None, due, less_is_better=True),))
    for what, forgotten in (("all processes died", False), ("the machine crashed", True)):
        run = opened_unclean(stage, forgotten)
        yield Contest(f"{TOPICS * PARTITIONS:,} partitions after {what}", "ms", {OURS: run}, ())
    yield Contest(
        "a waiting consumer, share of a core",
        "%",
        {OURS: child(WAIT, directory)},
        (Goal(None, 0.2, less_is_better=True),),
    )


def one_topic(stage: Stage) -> str:
    """A directory with some records, closed cleanly."""
    directory = stage.directory("first")
    with brokerless.KafkaProducer(bootstrap_servers=directory, acks=1) as producer:
        producer.send_many("bench", [b"x" * 100] * 1000)
    return directory


def many_partitions(stage: Stage) -> str:
    """A directory of many partitions, one record in each, closed cleanly."""
    directory = stage.directory("partitions")
    with brokerless.admin.KafkaAdminClient(bootstrap_servers=directory) as admin:
        names = [f"t{number}" for number in range(TOPICS)]
        admin.create_topics([brokerless.admin.NewTopic(name, PARTITIONS, 1) for name in names])
    with brokerless.KafkaProducer(bootstrap_servers=directory, acks=1) as producer:
        for name in names:
            for partition in range(PARTITIONS):
                producer.send(name, b"x", partition=partition)
    return directory


def left_behind(stage: Stage) -> str:
    """A directory of many partitions, one record in each, whose process was killed."""
    directory = stage.directory("killed")
    with brokerless.admin.KafkaAdminClient(bootstrap_servers=directory) as admin:
        names = [f"t{number}" for number in range(TOPICS)]
        admin.create_topics([brokerless.admin.NewTopic(name, PARTITIONS, 1) for name in names])
    arguments = [directory, str(TOPICS), str(PARTITIONS)]
    subprocess.run([sys.executable, "-c", APPEND_AND_DIE, *arguments], check=False)
    return directory


def opened_unclean(stage: Stage, forgotten: bool) -> Callable[[], float]:
    """How long it takes until all partitions were recovered: the first to open them does it."""

    def turn() -> float:
        # Each time a new one: a copy is trusted as little as what a crash of the machine leaves.
        directory = left_behind(stage)
        if forgotten:
            # It says in which boot of the machine it was written.
            Path(directory, ".brokerless-control").unlink()
        os.sync()
        took = child(OPEN, directory, str(TOPICS), str(PARTITIONS), "ms")()
        shutil.rmtree(directory)
        return took

    return turn


def child(script: str, *arguments: str) -> Callable[[], float]:
    """What a fresh process measures and prints."""

    def turn() -> float:
        command = [sys.executable, "-c", script, *arguments]
        return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    return turn
