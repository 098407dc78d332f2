"""The command line in a directory of which one partition cannot be read."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaConsumer, TopicPartition
from brokerless.cli.failures import Failures
from brokerless.cli.polling import Polling
from brokerless.errors import KafkaStorageError

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


READS = [
    ["--from-beginning", "-e"],
    ["--from-beginning", "-e", "-g", "g"],
    ["--from-beginning", "-e", "--read-only"],
    ["--from-beginning", "-e", "-p", "0", "-p", "1", "-p", "2"],
    ["-o", "0", "-e"],
    ["--from-beginning", "-n", "4"],
]


@pytest.mark.parametrize("how", READS, ids=" ".join)
def test_the_other_partitions_are_printed(command: Command, bad: Path, how: list[str]) -> None:
    done = command("consume", "t", *how, "-f", "%p:%o\\n")

    assert (done.returncode, told(done)) == (1, said(bad))
    assert sorted(done.stdout.split()) == [b"0:0", b"2:0", b"2:1", b"2:2"]


def test_a_group_goes_on_in_the_other_partitions_where_it_was(command: Command, bad: Path) -> None:
    command("consume", "t", "--from-beginning", "-e", "-g", "g")
    command("produce", "t", "-p", "2", "-K", ":", input=b"k:new\n")

    done = command("consume", "t", "--from-beginning", "-e", "-g", "g")

    assert (done.returncode, done.stdout) == (1, b"new\n")


def test_a_group_that_began_in_an_empty_partition_beside_a_bad_one_goes_on_there(
    command: Command, directory: Path
) -> None:
    command("topics", "create", "t", "-p", "2")
    command("produce", "t", "-p", "1", input=b"a\n")
    spoil(directory)
    command("consume", "t", "-g", "g", "-e")
    command("produce", "t", "-p", "0", input=b"later\n")

    done = command("consume", "t", "-g", "g", "-e")

    assert (done.returncode, done.stdout) == (1, b"later\n")


@pytest.mark.parametrize("how", READS[:-1], ids=" ".join)
def test_what_lies_ahead_of_a_bad_batch_and_the_other_partitions_are_printed(
    command: Command, directory: Path, how: list[str]
) -> None:
    command("topics", "create", "t", "-p", "3", "-c", f"segment.bytes={1 << 20}")
    half = b"x" * (1 << 19)
    for line in (b"one\n", b"two\n", half, half):
        command("produce", "t", "-p", "0", input=line)
    for number in (1, 2):
        command("produce", "t", "-p", number, input=b"other\n")
    log = directory / "t-0" / LOG
    data = bytearray(log.read_bytes())
    data[data.index(b"two")] ^= 1
    log.write_bytes(data)

    done = command("consume", "t", *how, "-f", "%p:%s\\n")

    assert done.returncode == 1
    assert done.stderr.startswith(f"brokerless: t-0: {log} is corrupt".encode())
    assert sorted(done.stdout.split()) == [b"0:one", b"1:other", b"2:other"]


def test_a_consumer_ends_when_every_partition_has_failed(command: Command, directory: Path) -> None:
    command("produce", "u", input=b"x\n")
    log = directory / "u-0" / LOG
    log.unlink()
    log.mkdir()

    done = command("consume", "u")

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"brokerless: u-0: ")


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


def test_a_partition_that_an_error_names_is_left_out_and_no_other(
    topic: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    error = KafkaStorageError("the disk is tired")
    error.partition = one

    def fail(self: KafkaConsumer, **_: object) -> None:
        raise error

    with KafkaConsumer(auto_offset_reset="earliest") as client:
        client.assign([zero, one])
        polling = Polling(client, Failures())
        monkeypatch.setattr(KafkaConsumer, "poll", fail)

        assert polling.poll(0, 1) == {}

        assert polling.working() == {zero}
        assert client.paused() == {one}
    assert capsys.readouterr().err == "brokerless: t-1: the disk is tired\n"
