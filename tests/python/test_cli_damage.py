"""The command line in a directory of which one partition cannot be read."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
LOG = "00000000000000000000.log"


@pytest.fixture
def good(command: Command) -> None:
    """Three partitions with one, two and three records, and another topic with one."""
    command("topics", "create", "t", "-p", "3", "-c", "cleanup.policy=compact,delete")
    for number in range(3):
        lines = b"".join(b"k:%d\n" % it for it in range(number + 1))
        command("produce", "t", "-p", number, "-K", ":", input=lines)
    command("produce", "u", input=b"x\n")


def spoil(directory: Path) -> Path:
    """Make a folder of the second partition's log."""
    log = directory / "t-1" / LOG
    log.unlink()
    log.mkdir()
    return log


@pytest.fixture
def bad(good: None, directory: Path) -> Path:
    """A directory with a partition that cannot be read."""
    return spoil(directory)


def said(log: Path) -> list[bytes]:
    """What is said of it, once."""
    trouble = f"open {log}: it is a folder, not a regular file; move it away"
    return [f"brokerless: t-1: {trouble}".encode()]


def told(done: subprocess.CompletedProcess[bytes]) -> list[bytes]:
    """What the command said; chores that fell due just then may have warned of the same."""
    return [line for line in done.stderr.splitlines() if not line.startswith(b"looking after")]


def test_what_the_other_topics_and_partitions_hold_is_listed(command: Command, bad: Path) -> None:
    done = command("topics", "list", "--json")

    assert (done.returncode, told(done)) == (1, said(bad))
    assert [(row["topic"], row["offsets"]) for row in json.loads(done.stdout)] == [
        ("t", 4),
        ("u", 1),
    ]


def test_the_other_partitions_are_described(command: Command, bad: Path) -> None:
    done = command("topics", "describe", "--json")

    assert (done.returncode, told(done)) == (1, said(bad))
    ends = [[row["log_end_offset"] for row in one["partitions"]] for one in json.loads(done.stdout)]
    assert ends == [[1, None, 3], [1]]


def test_the_other_partitions_are_exported(command: Command, bad: Path) -> None:
    done = command("export")

    assert (done.returncode, told(done)) == (1, said(bad))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    records = [(line["topic"], line["partition"]) for line in lines if "type" not in line]
    assert records == [("t", 0), ("t", 2), ("t", 2), ("t", 2), ("u", 0)]
    assert lines[0]["partitions"] == 3


def test_what_lies_ahead_of_a_bad_batch_and_the_other_partitions_are_exported(
    command: Command, directory: Path
) -> None:
    command("topics", "create", "t", "-p", "2", "-c", f"segment.bytes={1 << 20}")
    half = b"x" * (1 << 19)
    for line in (b"one\n", b"two\n", half, half):
        command("produce", "t", "-p", "0", input=line)
    command("produce", "t", "-p", "1", input=b"other\n")
    log = directory / "t-0" / LOG
    data = bytearray(log.read_bytes())
    data[data.index(b"two")] ^= 1
    log.write_bytes(data)

    done = command("export", "t")

    assert done.returncode == 1
    assert done.stderr.startswith(f"brokerless: t-0: {log} is corrupt".encode())
    assert [json.loads(line).get("value") for line in done.stdout.splitlines()] == [
        None,
        "one",
        "other",
    ]


def test_the_other_partitions_are_purged(command: Command, bad: Path) -> None:
    done = command("topics", "purge", "t", "--json")

    assert (done.returncode, told(done)) == (1, said(bad))
    starts = {row["partition"]: row["log_start_offset"] for row in json.loads(done.stdout)}
    assert starts == {0: 1, 2: 3}


def test_the_other_partitions_are_compacted(command: Command, bad: Path) -> None:
    done = command("compact", "t", "--json")

    assert (done.returncode, told(done)) == (1, said(bad))
    assert [row["partition"] for row in json.loads(done.stdout)] == [0, 2]


def test_groups_are_described_without_that_partitions_end(
    command: Command, good: None, directory: Path
) -> None:
    command("groups", "reset", "g", "--topic", "t", "--to-earliest", "--execute")
    log = spoil(directory)

    done = command("groups", "describe", "--json")

    assert (done.returncode, told(done)) == (1, said(log))
    assert [row["lag"] for row in json.loads(done.stdout)] == [1, None, 3]
