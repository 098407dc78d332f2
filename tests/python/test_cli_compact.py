"""`brokerless compact`, as a shell uses it."""

import json
import subprocess
from collections.abc import Callable

import pytest

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def prices(command: Command) -> str:
    """A compacted topic of two partitions, with a hundred values of each of three keys."""
    command("topics", "create", "prices", "-p", "2", "-c", "cleanup.policy=compact")
    lines = b"".join(b"key%d:%d\n" % (number % 3, number) for number in range(300))
    command("produce", "prices", "-K", ":", "-p", "0", input=lines)
    return "prices"


def test_the_last_record_of_each_key_stays_at_its_offset(command: Command, prices: str) -> None:
    done = command("compact", prices)

    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    assert lines[0] == ["TOPIC", "PARTITION", "SIZE-BEFORE", "SIZE-AFTER"]
    assert [line[:2] for line in lines[1:]] == [["prices", "0"], ["prices", "1"]]
    assert int(lines[1][3]) < int(lines[1][2]) / 10
    assert lines[2][2:] == ["0", "0"]
    left = command("consume", prices, "-o", "earliest", "-e", "-f", "%o %k %s\\n").stdout
    assert left == b"297 key0 297\n298 key1 298\n299 key2 299\n"


def test_nothing_is_left_to_do_the_second_time(command: Command, prices: str) -> None:
    first = json.loads(command("compact", prices, "--json", "-p", "0").stdout)
    second = json.loads(command("compact", prices, "--json", "-p", "0").stdout)

    assert [row["compacted"] for row in first + second] == [True, False]
    assert first[0]["size_after"] == second[0]["size_before"] == second[0]["size_after"]


def test_others_read_and_write_meanwhile(start: Start, command: Command, prices: str) -> None:
    writer = start("produce", prices, "-K", ":", "-p", "0", stdin=subprocess.PIPE)
    reader = start("consume", prices, "-p", "0", "-o", "earliest", "-f", "%o %k %s\\n")
    assert writer.stdin is not None
    assert reader.stdout is not None

    for turn in range(3):
        assert command("compact", prices).returncode == 0
        writer.stdin.write(b"late:%d\n" % turn)
        writer.stdin.flush()
        while not reader.stdout.readline().endswith(b" late %d\n" % turn):
            pass

    assert command("compact", prices).returncode == 0
    left = command("consume", prices, "-o", "earliest", "-e", "-f", "%o %k %s\\n").stdout
    assert left.splitlines() == [
        b"297 key0 297",
        b"298 key1 298",
        b"299 key2 299",
        b"302 late 2",
    ]


def test_a_topic_that_is_not_compacted_is_refused(command: Command) -> None:
    command("produce", "orders", input=b"x\n")

    done = command("compact", "orders")

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"cleanup.policy" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("args", "code"), [([], 2), (["pices"], 1), (["prices", "-p", "2"], 1)])
def test_what_cannot_be_compacted_is_said(
    command: Command, prices: str, args: list[str], code: int
) -> None:
    done = command("compact", *args)

    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1
