"""A file system that gets full while producers and a group of consumers use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PRODUCER = """
import sys, time
from kafka import KafkaProducer
from kafka.errors import KafkaError

name, number = sys.argv[1], 0
producer = KafkaProducer(acks="all", max_block_ms=20_000)

def send():
    value = f"{name} {number} ".encode() + bytes(9000)
    producer.send("orders", value, partition=0).get(20)

send()
print("ready", flush=True)
sys.stdin.readline()
while True:
    number += 1
    try:
        send()
    except KafkaError as error:
        print("full", number, type(error).__name__, error, flush=True)
        break
give_up = time.monotonic() + 30
# One may get in before there is room for all.
for number in range(number, number + 20):
    while True:
        try:
            send()
            break
        except KafkaError as error:
            assert time.monotonic() < give_up, error
            time.sleep(0.01)
print(number + 1, flush=True)
"""

CONSUMER = """
import sys
from kafka import KafkaConsumer
from kafka.errors import KafkaError

consumer = KafkaConsumer("orders", group_id="g", auto_offset_reset="earliest",
                         enable_auto_commit=False)
for record in consumer:
    name, number = record.value.split()[:2]
    print(name.decode(), number.decode(), flush=True)
    try:
        consumer.commit()
    except KafkaError as error:
        print("commit", type(error).__name__, error, file=sys.stderr, flush=True)
"""

# Runs where a small disk is mounted; the ballast is what takes the room.
STAGE = """
import os, subprocess, sys
from pathlib import Path
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

disk, producer, consumer = sys.argv[1:]
ballast = Path(disk, "ballast")
ballast.write_bytes(bytes(1 << 20))
os.environ["BROKERLESS_DIR"] = str(Path(disk, "data"))
Path(disk, "data").mkdir(mode=0o700)
Path(disk, "data", "brokerless.properties").write_text("offsets.topic.num.partitions=1\\n")
KafkaAdminClient().create_topics(
    [NewTopic("orders", 1, 1, topic_configs={"segment.bytes": "100000"})])

def run(program, *args):
    return subprocess.Popen([sys.executable, "-m", "brokerless", "run", "-c", program, *args],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

names = ["ann", "bob"]
follower = run(consumer)
writers = {name: run(producer, name) for name in names}
try:
    for writer in writers.values():
        assert writer.stdout.readline() == "ready\\n"
    # Nobody becomes a member where there is no room.
    lines = [follower.stdout.readline()]
    for writer in writers.values():
        print("go", file=writer.stdin, flush=True)
    full = {name: writer.stdout.readline().split(" ", 3) for name, writer in writers.items()}
    for name, said in full.items():
        print(name, *said, end="")
        assert said[0] == "full" and int(said[1]) > 0, said
        assert "No space left on device" in said[3], said

    # Somebody who comes now reads all that was acknowledged.
    late = KafkaConsumer(auto_offset_reset="earliest", consumer_timeout_ms=1000)
    late.assign([TopicPartition("orders", 0)])
    there = [tuple(record.value.split()[:2]) for record in late]
    for name in names:
        due = [(name.encode(), b"%d" % number) for number in range(int(full[name][1]))]
        assert [it for it in there if it[0] == name.encode()][:len(due)] == due

    ballast.unlink()
    due = {name: int(writer.stdout.readline()) for name, writer in writers.items()}
    # The follower has gone on all the time, and gets each record once, in order.
    got = {name: [] for name in names}
    while any(len(got[name]) < due[name] for name in names):
        name, number = (lines.pop() if lines else follower.stdout.readline()).split()
        got[name].append(int(number))
    assert got == {name: list(range(due[name])) for name in names}
    print("done")
finally:
    for process in [follower, *writers.values()]:
        process.kill()
"""

MOUNT = 'mount -t tmpfs -o size=2m none "$0" && exec "$@"'


def test_on_a_full_disk_sends_fail_consumers_go_on_and_with_room_all_is_as_before(
    tmp_path: Path,
) -> None:
    try:
        subprocess.run(["unshare", "-rm", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    disk = tmp_path / "disk"
    disk.mkdir()
    stage = [sys.executable, "-m", "brokerless", "run", "-c", STAGE]

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", MOUNT, disk, *stage, disk, PRODUCER, CONSUMER],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.stdout.endswith("done\n"), done.stdout + done.stderr
