"""Groups: members that share partitions, in one process and in several."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from brokerless import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    NewTopic,
    OffsetAndMetadata,
    TopicPartition,
)
from brokerless.admin import NewPartitions
from brokerless.assignors import (
    AbstractPartitionAssignor,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    CooperativeStickyAssignor,
    RangePartitionAssignor,
)
from brokerless.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalStateError,
    InconsistentGroupProtocolError,
    KafkaConfigurationError,
    KafkaError,
    KafkaTimeoutError,
)

from .conftest import Run

Write = Callable[..., Path]

T0, T1, T2 = (TopicPartition("t", number) for number in range(3))


class Noting(ConsumerRebalanceListener):
    """Notes what it is told, and with what offsets committed."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[int]]] = []

    def note(self, word: str, partitions: Iterable[TopicPartition]) -> None:
        self.told.append((word, sorted(each.partition for each in partitions)))

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.note("revoked", revoked)

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.note("assigned", assigned)

    def on_partitions_lost(self, lost: Any) -> None:
        self.note("lost", lost)

    def heard(self) -> list[tuple[str, list[int]]]:
        told, self.told = self.told, []
        return told


def member(*topics: str, **settings: Any) -> KafkaConsumer:
    return KafkaConsumer(*topics, **{"group_id": "g", "auto_offset_reset": "earliest", **settings})


def listening(listener: ConsumerRebalanceListener, **settings: Any) -> KafkaConsumer:
    consumer = member(**settings)
    consumer.subscribe(["t"], listener=listener)
    return consumer


def until(done: Callable[[], bool], *consumers: KafkaConsumer) -> None:
    """Let all of them poll in turn until it is done."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, [each.assignment() for each in consumers]
        for consumer in consumers:
            consumer.poll(5)


def settle(*consumers: KafkaConsumer) -> None:
    until(lambda: all(each.group_metadata().state == "<stable>" for each in consumers), *consumers)


def test_members_share_the_partitions_of_a_topic(topic: str) -> None:
    with member(topic) as one, member(topic) as two:
        settle(one, two)

        assert sorted(one.assignment() | two.assignment()) == [T0, T1, T2]
        assert not one.assignment() & two.assignment()
        first, second = one.group_metadata(), two.group_metadata()
        assert first.generation_id == second.generation_id > 0
        assert first.member_id != second.member_id


def test_an_eager_listener_hears_of_everything_each_time(topic: str) -> None:
    first, second = Noting(), Noting()
    with listening(first) as one:
        settle(one)
        assert first.heard() == [("revoked", []), ("assigned", [0, 1, 2])]

        with listening(second) as two:
            settle(one, two)
            assert first.heard() == [("revoked", [0, 1, 2]), ("assigned", [0, 1])]
            assert second.heard() == [("revoked", []), ("assigned", [2])]
        assert second.heard() == [("revoked", [2])]
    # It closes before it has followed.
    assert first.heard() == [("revoked", [0, 1])]


def test_a_cooperative_listener_hears_of_what_moves(topic: str) -> None:
    first, second = Noting(), Noting()
    strategy = {"partition_assignment_strategy": [CooperativeStickyAssignor]}
    with listening(first, **strategy) as one:
        settle(one)
        assert first.heard() == [("assigned", [0, 1, 2])]

        with listening(second, **strategy) as two:
            settle(one, two)
            (moved,) = two.assignment()
            assert first.heard() == [("revoked", [moved.partition])]
            assert second.heard() == [("assigned", [moved.partition])]


def test_what_was_read_may_be_committed_when_it_is_revoked(topic: str) -> None:
    class Committing(Noting):
        def on_partitions_revoked(self, revoked: Any) -> None:
            if revoked:
                one.commit({each: OffsetAndMetadata(one.position(each), "") for each in revoked})

    with KafkaProducer() as producer:
        for number in range(3):
            producer.send(topic, b"x", partition=number)
    with listening(Committing(), enable_auto_commit=False) as one:
        read: list[Any] = []
        while len(read) < 3:
            read += one.poll(100)

        with member(topic) as two:
            settle(one, two)
            assert [two.committed(each) for each in (T0, T1, T2)] == [1, 1, 1]
            assert [two.position(each) for each in two.assignment()] == [1]


def test_closing_commits_then_tells_and_then_leaves(topic: str) -> None:
    class Looking(Noting):
        def on_partitions_revoked(self, revoked: Any) -> None:
            self.note("revoked", revoked)
            seen.append((consumer.committed(T0), consumer.assignment() == set(revoked)))

    seen: list[Any] = []
    with KafkaProducer() as producer:
        producer.send(topic, b"x", partition=0)
    consumer = listening(Looking())
    assert next(consumer).value == b"x"
    seen.clear()

    consumer.close()

    assert seen == [(1, True)]


def test_unsubscribing_leaves_the_group(topic: str) -> None:
    listener = Noting()
    with listening(listener) as one, member(topic) as two:
        settle(one, two)
        listener.heard()

        one.unsubscribe()

        assert listener.heard() == [("revoked", [0, 1])]
        assert one.group_metadata().state == "<unjoined>"
        until(lambda: len(two.assignment()) == 3, two)


def test_a_listener_that_raises_does_not_stop_the_rebalance(topic: str) -> None:
    class Raising(Noting):
        def on_partitions_revoked(self, revoked: Any) -> None:
            super().on_partitions_revoked(revoked)
            raise LookupError("mine")

    listener = Raising()
    one = listening(listener)
    with pytest.raises(KafkaError, match="rebalance callback") as raised:
        settle(one)
    assert isinstance(raised.value.__cause__, LookupError)
    assert listener.heard() == [("revoked", []), ("assigned", [0, 1, 2])]
    settle(one)

    with pytest.raises(KafkaError, match="rebalance callback"):
        one.close()

    with member(topic) as other:
        until(lambda: len(other.assignment()) == 3, other)


@pytest.mark.parametrize("method", ["on_partitions_revoked", "on_partitions_assigned"])
def test_ctrl_c_in_a_listener_passes_and_the_next_poll_goes_on(topic: str, method: str) -> None:
    interrupted: list[object] = []

    def interrupt(self: object, partitions: object) -> None:
        if not interrupted:
            interrupted.append(partitions)
            raise KeyboardInterrupt

    listener = type("Interrupted", (ConsumerRebalanceListener,), {method: interrupt})()
    with listening(listener) as one:
        with pytest.raises(KeyboardInterrupt):
            settle(one)

        settle(one)

        assert one.assignment() == {T0, T1, T2}


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
@pytest.mark.parametrize("end", ["close", "unsubscribe"])
@pytest.mark.parametrize("method", ["on_partitions_revoked", "on_partitions_assigned"])
def test_a_listener_that_leaves_the_group_is_not_called_by_itself(
    topic: str, strategy: str, end: str, method: str
) -> None:
    depths: list[int] = []
    depth = 0

    def leave(_self: ConsumerRebalanceListener, partitions: Any) -> None:
        nonlocal depth
        if not partitions:
            return
        depth += 1
        depths.append(depth)
        getattr(one, end)()
        depth -= 1

    listener = type("Leaving", (ConsumerRebalanceListener,), {method: leave})()
    settings = {"partition_assignment_strategy": [strategy]}
    with listening(listener, **settings) as one, member(topic, **settings) as two:
        while not depths:
            one.poll(10)
            two.poll(10)
        settle(two)
        assert depths == [1]
        assert two.assignment() == {TopicPartition("t", number) for number in range(3)}


def test_new_partitions_and_topics_are_shared_out(topic: str) -> None:
    with member() as one, member() as two, KafkaAdminClient() as admin:
        for each in (one, two):
            each.subscribe(pattern="t|more")
        settle(one, two)

        admin.create_partitions({"t": NewPartitions(4)})
        until(lambda: len(one.assignment() | two.assignment()) == 4, one, two)
        admin.create_topics([NewTopic("more", 2, 1)])
        until(lambda: len(one.assignment() | two.assignment()) == 6, one, two)
        admin.delete_topics(["more"])
        until(lambda: len(one.assignment() | two.assignment()) == 4, one, two)


def test_a_spare_member_takes_over(topic: str) -> None:
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("single", 1, 1)])
    first = member("single")
    with member("single") as spare:
        settle(first, spare)
        assert not spare.assignment()

        first.close()

        until(lambda: len(spare.assignment()) == 1, spare)


def test_a_static_member_that_comes_back_moves_nothing(topic: str) -> None:
    listener = Noting()
    one = listening(listener, group_instance_id="one")
    two = member(topic, group_instance_id="two")
    settle(one, two)
    had = two.assignment()
    listener.heard()

    two.close()
    two = member(topic, group_instance_id="two")
    settle(one, two)

    assert two.assignment() == had
    assert listener.heard() == []
    one.close()
    two.close()


def test_of_two_static_members_the_older_is_fenced(
    topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Noting()
    with (
        listening(listener, group_instance_id="i") as older,
        member(topic, group_instance_id="i") as newer,
    ):
        settle(older)
        settle(newer)
        listener.heard()

        with pytest.raises(FencedInstanceIdError):
            older.commit({T0: OffsetAndMetadata(0, "")})
        with pytest.raises(FencedInstanceIdError):
            older.poll(100)
        assert listener.heard() == [("lost", [0, 1, 2])]
        assert "t-0, t-1, t-2 lost" in caplog.text


def hurried(topic: str, **settings: Any) -> KafkaConsumer:
    """A member that is to poll every 300 ms."""
    return member(
        topic,
        max_poll_interval_ms=300,
        session_timeout_ms=200,
        heartbeat_interval_ms=50,
        **settings,
    )


def test_a_loop_that_does_not_poll_in_time_is_warned(
    topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KafkaProducer() as producer:
        for _ in range(20):
            producer.send(topic, b"", partition=0)
    with hurried(topic, max_poll_records=10, consumer_timeout_ms=10_000) as consumer:
        for _, _record in zip(range(60), consumer, strict=False):
            time.sleep(0.05)
            if any(each.name == "brokerless" for each in caplog.records):
                break

    # What the core warns of comes from loggers below that one.
    (warning,) = [each for each in caplog.records if each.name == "brokerless"]
    assert "t-0, t-1, t-2 lost" in warning.getMessage()
    assert "max_poll_interval_ms" in warning.getMessage()


def test_who_polled_too_late_to_commit_reads_why(topic: str) -> None:
    with hurried(topic) as consumer:
        settle(consumer)
        while consumer.group_metadata().generation_id > 0:
            time.sleep(0.01)

        with pytest.raises(CommitFailedError, match=r"max_poll_interval_ms \(raise it"):
            consumer.commit({T0: OffsetAndMetadata(0, "")})


def test_a_stranger_does_not_commit(topic: str) -> None:
    with member(topic) as one, member(topic) as two, member() as stranger:
        with pytest.raises(CommitFailedError):
            one.commit({T0: OffsetAndMetadata(0, "")})
        settle(one, two)
        stranger.assign([T0])

        (not_own,) = two.assignment()
        with pytest.raises(CommitFailedError):
            one.commit({not_own: OffsetAndMetadata(0, "")})
        with pytest.raises(CommitFailedError):
            stranger.commit({T0: OffsetAndMetadata(0, "")})
        with pytest.raises(ValueError, match="negative"):
            one.commit({T0: OffsetAndMetadata(-1, "")})
        future = one.commit_async({not_own: OffsetAndMetadata(0, "")})
        assert isinstance(future.exception, CommitFailedError)
        one.commit({T0: OffsetAndMetadata(0, "")})


def test_subscribing_and_assigning_exclude_each_other(topic: str) -> None:
    with member() as consumer:
        consumer.assign([T0])
        with pytest.raises(IllegalStateError):
            consumer.subscribe([topic])
        with pytest.raises(IllegalStateError):
            consumer.subscribe(pattern="t")


def test_members_without_a_common_strategy_are_refused(topic: str) -> None:
    with member(topic) as one:
        settle(one)
        with member(topic, partition_assignment_strategy=["cooperative-sticky"]) as other:
            with pytest.raises(InconsistentGroupProtocolError):
                other.poll(100)
            settle(one)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"heartbeat_interval_ms": 5000, "session_timeout_ms": 5000}, "Heartbeat"),
        ({"session_timeout_ms": 0}, "session_timeout_ms"),
        ({"max_poll_interval_ms": 0}, "max_poll_interval_ms"),
        ({"request_timeout_ms": 100}, "fetch_max_wait_ms"),
        ({"request_timeout_ms": 540000}, "connections_max_idle_ms"),
        ({"default_api_timeout_ms": 10}, "default_api_timeout_ms"),
        ({"partition_assignment_strategy": []}, "partition_assignment_strategy"),
        ({"partition_assignment_strategy": ["mine"]}, "partition_assignment_strategy"),
        ({"partition_assignment_strategy": 3}, "partition_assignment_strategy"),
        (
            {"partition_assignment_strategy": [RangePartitionAssignor, CooperativeStickyAssignor]},
            "Mixing",
        ),
        ({"group_id": None, "group_instance_id": "i"}, "group_instance_id"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(KafkaConfigurationError, match=named):
        member(**settings)


@pytest.mark.parametrize(
    "strategy", [RangePartitionAssignor, RangePartitionAssignor(), "range", "roundrobin", "sticky"]
)
def test_a_strategy_is_a_class_an_object_or_a_name(topic: str, strategy: Any) -> None:
    with member(topic, partition_assignment_strategy=[strategy]) as one:
        settle(one)
        assert len(one.assignment()) == 3


def test_closing_from_another_thread_ends_the_wait_for_the_others(topic: str) -> None:
    with member(topic) as silent:
        settle(silent)
        waiting = member(topic)
        polled: list[object] = []
        thread = threading.Thread(target=lambda: polled.append(waiting.poll(60_000)))
        thread.start()
        until(lambda: waiting.group_metadata().state == "<rebalancing>")

        waiting.close()
        thread.join(20)

        assert polled == [{}]


def test_consumers_of_several_threads_share_the_work(topic: str) -> None:
    seen: list[bytes] = []
    go_on = threading.Event()

    def work() -> None:
        with member(topic, max_poll_records=5) as consumer:
            while not go_on.is_set():
                for records in consumer.poll(20).values():
                    seen.extend(record.value for record in records)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    with KafkaProducer() as producer:
        for n in range(300):
            producer.send(topic, b"%d" % n)
    until(lambda: len(set(seen)) == 300)
    if sys.platform == "linux":
        assert upkeeps() == 1
    go_on.set()
    for thread in threads:
        thread.join()

    assert sorted(map(int, seen)) == list(range(300))
    if sys.platform == "linux":
        until(lambda: upkeeps() == 0)


def upkeeps() -> int:
    """How many threads of this process look after members."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        # A thread may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            found += task.joinpath("comm").read_text().startswith("brokerless-upk")
    return found


STOPPED = """
import sys
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError

class Telling(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        print("revoked", sorted(p.partition for p in revoked), flush=True)
    def on_partitions_assigned(self, assigned):
        print("assigned", sorted(p.partition for p in assigned), flush=True)
    def on_partitions_lost(self, lost):
        print("lost", sorted(p.partition for p in lost), flush=True)

consumer = KafkaConsumer(
    group_id="g", session_timeout_ms=900, heartbeat_interval_ms=300, enable_auto_commit=False
)
consumer.subscribe(["t"], listener=Telling())
while len(consumer.assignment()) != 3:
    consumer.poll(100)
print("ready", flush=True)
sys.stdin.readline()
try:
    consumer.commit({TopicPartition("t", 0): OffsetAndMetadata(1, "")})
except CommitFailedError:
    print("refused", flush=True)
while not consumer.assignment() or consumer.group_metadata().state != "<stable>":
    consumer.poll(100)
print("back", flush=True)
consumer.poll(2000)
"""


def start(script: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "brokerless", "run", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_stopped_member_loses_its_partitions_and_cannot_commit(topic: str, write: Write) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"x", partition=0)
    process = start(write(STOPPED))
    assert process.stdin is not None
    assert process.stdout is not None
    with process, member(topic) as other:
        assert process.stdout.readline() == "revoked []\n"
        assert process.stdout.readline() == "assigned [0, 1, 2]\n"
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)

        until(lambda: len(other.assignment()) == 3, other)
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        lines = [process.stdout.readline() for _ in range(2)]
        until(lambda: len(other.assignment()) < 3, other)
        lines += [process.stdout.readline() for _ in range(2)]

        assert lines == ["refused\n", "lost [0, 1, 2]\n", "assigned [2]\n", "back\n"]
        process.kill()


def test_a_killed_member_is_replaced_long_before_its_session_ends(topic: str, write: Write) -> None:
    process = start(write(STOPPED.replace("session_timeout_ms=900", "session_timeout_ms=600000")))
    assert process.stdout is not None
    with process, member(topic) as other:
        assert process.stdout.readline() == "revoked []\n"
        assert process.stdout.readline() == "assigned [0, 1, 2]\n"
        assert process.stdout.readline() == "ready\n"
        process.kill()

        until(lambda: len(other.assignment()) == 3, other)


WORKERS = """
import multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
warnings.simplefilter("ignore")
from kafka import KafkaConsumer, KafkaProducer

def work(number):
    with KafkaConsumer("t", group_id="g", auto_offset_reset="earliest") as consumer:
        with open(f"seen-{number}", "w", buffering=1) as seen:
            while not Path("stop").exists():
                for records in consumer.poll(20).values():
                    seen.writelines(record.value.decode() + "\\n" for record in records)

def seen():
    return [int(line) for file in Path().glob("seen-*") for line in file.read_text().split()]

if __name__ == "__main__":
    mine = KafkaConsumer("t", group_id="other", auto_offset_reset="earliest")
    while not mine.assignment():
        mine.poll(20)
    before = mine.group_metadata()
    with ProcessPoolExecutor(3, multiprocessing.get_context(sys.argv[1])) as executor:
        done = executor.map(work, range(3))
        with KafkaProducer() as producer:
            for n in range(300):
                producer.send("t", b"%d" % n, partition=n % 3)
        while len(set(seen())) < 300:
            mine.poll(20)
        Path("stop").touch()
        print(list(done), sorted(seen()) == list(range(300)))
    print(mine.group_metadata() == before)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_are_members(
    topic: str, run: Run, write: Write, method: str
) -> None:
    process = run(write(WORKERS), method)

    assert process.stdout == "[None, None, None] True\nTrue\n", process.stderr


def test_a_forked_child_leaves_its_parents_membership_alone(
    topic: str, run: Run, write: Write
) -> None:
    process = run(
        write(
            """
import gc, os, sys, time
from kafka import KafkaConsumer
settings = dict(group_id="g", session_timeout_ms=900, heartbeat_interval_ms=300)
consumer = KafkaConsumer("t", **settings)
while not consumer.assignment():
    consumer.poll(50)
before = consumer.group_metadata()
if os.fork() == 0:
    del consumer
    gc.collect()
    sys.exit()
print(os.wait()[1])
end = time.monotonic() + 2
while time.monotonic() < end:
    time.sleep(0.1)
print(consumer.group_metadata() == before)
"""
        )
    )

    assert process.stdout == "0\nTrue\n", process.stderr


def test_a_rebalance_in_the_middle_of_an_iteration_repeats_and_skips_nothing(topic: str) -> None:
    with KafkaProducer() as producer:
        for n in range(90):
            producer.send(topic, b"%d" % n, partition=n % 3)
    with member(topic) as one:
        seen = [next(one) for _ in range(40)]
        with member(topic) as two:
            deadline = time.monotonic() + 30
            while len(seen) < 90 and time.monotonic() < deadline:
                for each in (one, two):
                    for records in each.poll(5, max_records=7).values():
                        seen += records

            assert len(two.assignment()) == 1
    assert sorted(int(record.value) for record in seen) == list(range(90))


def test_ctrl_c_interrupts_the_wait_for_the_others_at_once(topic: str, write: Write) -> None:
    script = """
from kafka import KafkaConsumer
consumer = KafkaConsumer("t", group_id="g")
consumer.poll(0)
print(consumer.group_metadata().state, flush=True)
try:
    consumer.poll(100_000)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    consumer.close()
"""
    with member(topic) as silent:
        settle(silent)
        process = start(write(script))
        assert process.stdout is not None
        assert process.stdout.readline() == "<rebalancing>\n"
        time.sleep(0.2)

        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=20)

        assert (printed, process.returncode) == ("interrupted\n", 0)


class LastTakesAll(AbstractPartitionAssignor):
    """All partitions to the last member; notes what it is asked and told."""

    name = "last-takes-all"

    def __init__(self) -> None:
        self.wrong: Any = None
        self.asked: list[dict[str, bytes]] = []
        self.told: list[tuple[list[TopicPartition], int]] = []

    def metadata(self, topics: Any) -> ConsumerProtocolSubscription:
        return ConsumerProtocolSubscription(0, list(topics), b"%d" % len(self.told))

    def assign(self, cluster: Any, members: Any) -> Any:
        self.asked.append({member.member_id: member.metadata.user_data for member in members})
        if isinstance(self.wrong, Exception):
            raise self.wrong
        if self.wrong is not None:
            return self.wrong
        everything = [
            (topic, sorted(cluster.partitions_for_topic(topic))) for topic in cluster.topics()
        ]
        *others, last = (member.member_id for member in members)
        return {last: ConsumerProtocolAssignment(0, everything, b"")} | {
            other: ConsumerProtocolAssignment(0, [], b"") for other in others
        }

    def on_assignment(self, assignment: Any, generation: int) -> None:
        self.told.append((assignment.partitions(), generation))


def test_an_assignor_of_the_user_is_asked_by_the_first_and_told_by_all(topic: str) -> None:
    first, second = LastTakesAll(), LastTakesAll()
    with (
        member(topic, partition_assignment_strategy=[first]) as one,
        member(topic, partition_assignment_strategy=[second]) as two,
    ):
        settle(one)
        assert one.assignment() == {T0, T1, T2}
        settle(one, two)

        assert (one.assignment(), two.assignment()) == (set(), {T0, T1, T2})
        ids = [each.group_metadata().member_id for each in (one, two)]
        assert first.asked == [{ids[0]: b"0"}, {ids[0]: b"1", ids[1]: b"0"}]
        assert second.asked == []
        generation = one.group_metadata().generation_id
        assert first.told == [([T0, T1, T2], generation - 1), ([], generation)]
        assert second.told == [([T0, T1, T2], generation)]


@pytest.mark.parametrize(
    ("wrong", "raised"),
    [
        (LookupError("mine"), LookupError),
        (3, ValueError),
        ({"nobody": [T0]}, ValueError),
        ({"nobody": 7}, ValueError),
    ],
    ids=repr,
)
def test_what_an_assignor_does_wrong_poll_raises_until_it_is_well(
    topic: str, wrong: object, raised: type[Exception]
) -> None:
    assignor = LastTakesAll()
    with member(topic, partition_assignment_strategy=[assignor]) as one:
        settle(one)
        with member(topic, partition_assignment_strategy=[LastTakesAll]) as two:
            assignor.wrong = wrong
            two.poll(0)
            for _ in range(2):
                with pytest.raises(raised):
                    until(lambda: False, one)

            assignor.wrong = None
            settle(one, two)

            assert two.assignment() == {T0, T1, T2}


def test_a_group_goes_on_without_the_member_whose_assignor_fails(topic: str) -> None:
    failing = LastTakesAll()
    failing.wrong = LookupError("mine")
    one = member(topic, partition_assignment_strategy=[failing])
    with member(topic, partition_assignment_strategy=[LastTakesAll]) as two:
        with pytest.raises(LookupError):
            settle(one)
        two.poll(0)

        one.close()
        settle(two)

        assert two.assignment() == {T0, T1, T2}


def test_a_process_that_stops_while_it_changes_the_group_blocks_nobody_for_ever(
    topic: str, directory: Path
) -> None:
    with member(topic) as one:
        settle(one)
        (path,) = directory.glob(".brokerless-group-*.lock")
        with path.open() as stopped, member(topic) as two:
            fcntl.flock(stopped, fcntl.LOCK_EX)

            assert two.poll(300) == {}
            with pytest.raises(KafkaTimeoutError):
                one.commit({T0: OffsetAndMetadata(0, "")}, timeout_ms=300)

            fcntl.flock(stopped, fcntl.LOCK_UN)
            settle(one, two)
            assert len(two.assignment()) == 1
