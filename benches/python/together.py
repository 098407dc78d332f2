"""Contests of many processes at once: group commit, and one partition for all."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from contest import OURS, Contest, Goal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stage import Stage

PROCESSES = 8

START = """
import sys
from time import monotonic, sleep
address, number, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
def go(one):
    one()
    print("ready", flush=True)
    sys.stdin.readline()
    count, end = 0, monotonic() + seconds
    while monotonic() < end:
        one()
        count += 1
    print(count, flush=True)
"""

OURS_DURABLE = (
    START
    + """
import brokerless
producer = brokerless.KafkaProducer(bootstrap_servers=address)
go(lambda: producer.send("together", b"x" * 100, partition=0).get())
"""
)

OWN_FDATASYNC = (
    START
    + """
import os
file = os.open(address + "/own-" + number, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def one():
    os.write(file, b"x" * 172)
    os.fdatasync(file)
go(one)
"""
)

OURS_APPENDING = (
    START
    + """
import brokerless
producer = brokerless.KafkaProducer(bootstrap_servers=address, acks=1)
go(lambda: producer.send("together", b"x" * 16384, partition=0).get())
"""
)


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of many processes."""
    folder = stage.directory("together")
    yield Contest(
        f"{PROCESSES} processes, one durable record at a time each",
        "records/s",
        {
            OURS: all_at_once(stage, OURS_DURABLE, folder, PROCESSES),
            "own fdatasync each": all_at_once(stage, OWN_FDATASYNC, folder, PROCESSES),
        },
        (Goal("own fdatasync each", 1),),
    )
    appending = stage.directory("appending")
    yield Contest(
        f"{PROCESSES} processes on one partition, 16 KiB",
        "records/s",
        {
            OURS: all_at_once(stage, OURS_APPENDING, appending, PROCESSES),
            "one process": all_at_once(stage, OURS_APPENDING, appending, 1),
        },
        (Goal("one process", 0.9),),
    )


def all_at_once(stage: Stage, script: str, address: str, processes: int) -> Callable[[], float]:
    """What all of them do in a second."""
    seconds = stage.seconds * 2

    def turn() -> float:
        command = [sys.executable, "-c", script, address]
        running = [
            subprocess.Popen(
                [*command, str(number), str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            for number in range(processes)
        ]
        for one in running:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return sum(int(one.communicate()[0]) for one in running) / seconds

    return turn
