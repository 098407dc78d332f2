"""Contests of groups: how long a killed member's partitions are nobody's, and first records.

Nobody else is there to be measured: the targets are our own.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import count
from queue import SimpleQueue
from threading import Thread
from time import monotonic_ns, perf_counter, sleep
from typing import TYPE_CHECKING

from contest import OURS, Contest, Goal, percentile

import brokerless
import brokerless.admin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stage import Stage

MEMBERS = 6
PARTITIONS = 24

MEMBER = """
import sys, time, brokerless
def say(what, at, partitions):
    print(what, at, *(partition.partition for partition in partitions), flush=True)
class Listener(brokerless.ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        say("+", time.monotonic_ns(), assigned)
    def on_partitions_revoked(self, revoked):
        say("-", 0, revoked)
consumer = brokerless.KafkaConsumer(bootstrap_servers=sys.argv[1], group_id="takeover")
consumer.subscribe(["takeover"], listener=Listener())
while True:
    consumer.poll(1000)
"""


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of groups."""
    directory = stage.directory("takeover")
    with brokerless.KafkaAdminClient(bootstrap_servers=directory) as admin:
        admin.create_topics([brokerless.NewTopic("takeover", PARTITIONS)])
    group = Group(directory)
    stage.stack.callback(group.end)
    kills = stage.samples // 20
    for share, target in ((0.5, 10), (0.99, 50)):
        yield Contest(
            f"a member of {MEMBERS} killed, all its partitions taken over, p{share * 100:.0f}",
            "ms",
            {OURS: percentile_of(group, kills, share)},
            (Goal(None, target, less_is_better=True),),
        )
    group.end()
    yield Contest(
        "a new group's first member polls, and has its first record",
        "ms",
        {OURS: first_record(stage)},
        (Goal(None, 100, less_is_better=True),),
    )


def percentile_of(group: Group, kills: int, share: float) -> Callable[[], float]:
    return lambda: percentile([group.takeover() for _ in range(kills)], share)


def first_record(stage: Stage) -> Callable[[], float]:
    directory = stage.directory("first")
    with brokerless.KafkaProducer(bootstrap_servers=directory) as producer:
        producer.send("first", b"x").get()
    names = count()

    def turn() -> float:
        consumer = brokerless.KafkaConsumer(
            "first",
            bootstrap_servers=directory,
            group_id=f"first-{next(names)}",
            auto_offset_reset="earliest",
        )
        started = perf_counter()
        next(consumer)
        took = (perf_counter() - started) * 1e3
        consumer.close()
        return took

    return turn


class Group:
    """Member processes, and what they say they own."""

    def __init__(self, directory: str) -> None:
        self._command = [sys.executable, "-c", MEMBER, directory]
        self._numbers = count()
        self._members: dict[int, subprocess.Popen[str]] = {}
        self._said: SimpleQueue[tuple[int, str]] = SimpleQueue()
        self._owned: dict[int, dict[int, int]] = {}
        """By member: its partitions, and since when each is its own, in nanoseconds."""

    def takeover(self) -> float:
        """Kills a member. Gives the milliseconds until nothing of it was an orphan."""
        while len(self._members) < MEMBERS:
            self._start()
        self._hear(self._is_even)
        # At any moment between two heartbeats.
        sleep(random.uniform(0.02, 0.12))
        victim = random.choice(list(self._members))
        orphans = list(self._owned[victim])
        member = self._members.pop(victim)
        killed = monotonic_ns()
        member.kill()
        self._hear(lambda: all(self._taken(one, killed) for one in orphans))
        member.wait()
        del self._owned[victim]
        return (max(self._taken(one, killed) for one in orphans) - killed) / 1e6

    def _taken(self, partition: int, after: int) -> int:
        """Since when a partition is somebody's again; 0 if it is nobody's."""
        owned = (self._owned[member].get(partition, 0) for member in self._members)
        return min((since for since in owned if since > after), default=0)

    def end(self) -> None:
        """Kills all members."""
        for member in self._members.values():
            member.kill()
            member.wait()
        self._members.clear()
        self._owned.clear()

    def _start(self) -> None:
        number = next(self._numbers)
        member = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._members[number] = member
        self._owned[number] = {}
        Thread(target=self._listen, args=(number, member), daemon=True).start()

    def _listen(self, number: int, member: subprocess.Popen[str]) -> None:
        assert member.stdout is not None
        for line in member.stdout:
            self._said.put((number, line))

    def _hear(self, done: Callable[[], bool]) -> None:
        while not done():
            number, line = self._said.get(timeout=30)
            what, at, *partitions = line.split()
            owned = self._owned.setdefault(number, {})
            for partition in map(int, partitions):
                if what == "+":
                    owned[partition] = int(at)
                else:
                    owned.pop(partition, None)

    def _is_even(self) -> bool:
        shares = [self._owned[member] for member in self._members]
        even = all(len(share) == PARTITIONS // MEMBERS for share in shares)
        return even and len({one for share in shares for one in share}) == PARTITIONS
