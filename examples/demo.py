"""Run the examples together, as processes that share one directory, and check the outcome.

    python examples/demo.py [PATH ...]     # what `make demo` does

A producer sends real input while a consumer follows live. The consumer is stopped by
Ctrl-C halfway, started again, and goes on. Then the topic is replayed from a point in
time, and everything is read back and compared with the input.
"""

import argparse
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from brokerless import KafkaConsumer, TopicPartition
from brokerless.standin import FOLDER

HERE = Path(__file__).parent
TOPIC = "lines"

Content = dict[bytes, list[bytes]]


def start(script: str, *args: object) -> "subprocess.Popen[str]":
    """Start an example as a user would, in a process of its own."""
    command = [sys.executable, "-m", "brokerless", "run", str(HERE / script), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def read_until(word: str, process: "subprocess.Popen[str]") -> str:
    """What the program prints up to the line that begins with `word`."""
    printed = ""
    for line in process.stdout or ():
        printed += line
        if line.startswith(word):
            break
    return printed


def interrupt(process: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C, and give what the program printed."""
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    return printed


def show(who: str, printed: str) -> None:
    for line in printed.splitlines():
        print(f"  {who:<9} {line}")


def partitions(consumer: KafkaConsumer) -> list[TopicPartition]:
    return [TopicPartition(TOPIC, p) for p in sorted(consumer.partitions_for_topic(TOPIC) or ())]


def wait_for(count: int, consumer: KafkaConsumer) -> None:
    """Wait until so many records can be read."""
    deadline = time.monotonic() + 60
    while sum(consumer.end_offsets(partitions(consumer)).values()) < count:
        if time.monotonic() > deadline:
            raise SystemExit("the producer does not get on")
        time.sleep(0.01)


def read_back() -> tuple[Content, dict[int, int], float]:
    """All records by key, the number of each partition, and the seconds it took."""
    content: Content = defaultdict(list)
    with KafkaConsumer(auto_offset_reset="earliest", max_poll_records=5000) as consumer:
        parts = partitions(consumer)
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        begun = time.perf_counter()
        while any(consumer.position(part) < ends[part] for part in parts):
            for records in consumer.poll(timeout_ms=1000).values():
                for record in records:
                    content[record.key].append(record.value)
        seconds = time.perf_counter() - begun
    return content, {part.partition: end for part, end in ends.items()}, seconds


def sent(paths: list[Path]) -> Content:
    """What the producer is to send."""
    sys.path.insert(1, FOLDER)  # what `brokerless run` does
    content: Content = defaultdict(list)
    for key, value in runpy.run_path(str(HERE / "produce.py"))["lines"](paths):
        content[key].append(value)
    return content


def run_all(paths: list[Path], total: int) -> None:
    print("a producer and a follower at the same time; Ctrl-C for the follower once it reads:")
    follower = start("follow.py", "--quiet")
    ready = read_until("follows", follower)
    producer = start("produce.py", *paths)
    with KafkaConsumer() as consumer:
        wait_for(total // 2, consumer)
        first = ready + read_until("begins at", follower) + interrupt(follower)
        sent = producer.communicate(timeout=300)[0]
        halfway = middle(consumer)
    show("produce", sent)
    show("follow", first)
    print("the follower goes on where it was, until nothing more comes:")
    second = start("follow.py", "--quiet", "--idle", 500).communicate(timeout=300)[0]
    show("follow", second)
    if number_after("stopped after", first) + number_after("stopped after", second) != total:
        raise SystemExit(f"the follower did NOT see each of the {total:,} records once")
    print("and again, from the point in time when half of it was sent:")
    again = start("replay.py", halfway, "--quiet").communicate(timeout=300)[0]
    show("replay", again)
    if not number_after("replayed", again):
        raise SystemExit("the replay found NOTHING")


def middle(consumer: KafkaConsumer) -> int:
    """The timestamp of a record in the middle of the largest partition."""
    ends = consumer.end_offsets(partitions(consumer))
    largest = max(ends, key=lambda part: ends[part])
    consumer.assign([largest])
    consumer.seek(largest, ends[largest] // 2)
    return next(consumer).timestamp


def number_after(words: str, printed: str) -> int:
    return int(printed.split(f"{words} ")[1].split()[0].replace(",", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the examples together.")
    parser.add_argument("paths", type=Path, nargs="*")
    args = parser.parse_args()

    directory = Path("demo-data").absolute()
    shutil.rmtree(directory, ignore_errors=True)
    expected = sent(args.paths)
    total = sum(map(len, expected.values()))
    if not total:
        parser.error(f"there is not a line in {', '.join(map(str, args.paths))}")
    os.environ["BROKERLESS_DIR"] = str(directory)
    print(f"one directory, no broker: {directory}\n")

    run_all(args.paths, total)
    content, counts, seconds = read_back()

    share = ", ".join(f"{number}: {count:,}" for number, count in counts.items())
    print(f"\nread back {sum(counts.values()):,} records: {total / seconds:,.0f} records/s")
    print(f"partitions: {share}")
    if content != expected:
        raise SystemExit("NOT the same as the input")
    print(f"every line of {len(expected):,} keys came out as it went in, in order")


if __name__ == "__main__":
    main()
