"""`brokerless consume`, as a shell uses it."""

import json
import os
import pty
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaConsumer, KafkaProducer, TopicPartition

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

ALL = ("--from-beginning", "--exit-at-end")


@pytest.fixture
def ten() -> str:
    """A topic of ten records, one a second, from the first second on."""
    with KafkaProducer() as producer:
        for number in range(10):
            producer.send("ten", b"%d" % number, timestamp_ms=1000 * (number + 1))
    return "ten"


@pytest.mark.parametrize(
    ("place", "first"),
    [
        ("0", 0),
        ("4", 4),
        ("10", 10),
        ("-3", 7),
        ("-99", 0),
        ("@4000", 3),
        ("@4001", 4),
        ("@0", 0),
        ("@99999", 10),
        ("@1970-01-01T00:00:05", 4),
        ("@1970-01-01T00:00:05Z", 4),
        ("@1970-01-01T00:00:05.5Z", 5),
        ("@1970-01-01T01:00:05+01:00", 4),
        ("@-1d", 10),
        ("earliest", 0),
        ("latest", 10),
    ],
)
def test_it_begins_where_it_is_told_to(command: Command, ten: str, place: str, first: int) -> None:
    done = command("consume", ten, "--offset", place, "--exit-at-end")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(b"%d\n" % number for number in range(first, 10))


@pytest.mark.parametrize("place", ["11", "4000000000"])
def test_an_offset_that_is_not_there_is_an_error(command: Command, ten: str, place: str) -> None:
    done = command("consume", ten, "--offset", place, "-e")

    assert (done.returncode, done.stdout) == (1, b"")
    assert (
        done.stderr == f"brokerless: ten-0: there is no offset {place}: it has 0 to 10\n".encode()
    )


def test_partitions_that_have_the_offset_are_printed(command: Command, topic: str) -> None:
    for number in range(3):
        lines = b"".join(b"%d\n" % it for it in range(4 * number + 1))
        command("produce", topic, "-p", number, input=lines)

    done = command("consume", topic, "-o", "4", "-e", "-f", "%p:%s ")

    assert (done.returncode, done.stdout) == (1, b"1:4 2:4 2:5 2:6 2:7 2:8 ")
    assert done.stderr == b"brokerless: t-0: there is no offset 4: it has 0 to 1\n"


def test_it_ends_after_so_many(command: Command, ten: str) -> None:
    assert command("consume", ten, "--from-beginning", "-n", "3").stdout == b"0\n1\n2\n"
    assert command("consume", ten, "--from-beginning", "-n", "0").stdout == b""


def test_it_follows_what_another_process_sends(start: Start, topic: str) -> None:
    following = start("consume", topic, "--from-beginning")
    assert following.stdout is not None
    with KafkaProducer() as producer:
        for number in range(5):
            producer.send(topic, b"%d" % number).get(30)

            assert following.stdout.readline() == b"%d\n" % number


def test_without_a_place_only_what_is_new_is_printed(
    start: Start, command: Command, topic: str
) -> None:
    command("produce", topic, input=b"old\n")
    following = start("consume", topic, "-n", "1")

    with KafkaProducer() as producer:
        while following.poll() is None:
            producer.send(topic, b"new")
            time.sleep(0.02)

    assert following.stdout is not None
    assert following.stdout.read() == b"new\n"


def test_what_comes_after_the_end_at_the_start_is_not_waited_for(
    command: Command, start: Start, ten: str
) -> None:
    start("produce", ten, "/dev/zero", "-D", "\\0")  # never ends

    done = command("consume", ten, *ALL)

    assert done.returncode == 0
    assert done.stdout.startswith(b"0\n1\n2\n")


def test_some_partitions_only(command: Command, topic: str) -> None:
    for number in range(3):
        command("produce", topic, "-p", number, input=b"%d\n" % number)

    done = command("consume", topic, *ALL, "-p", "2", "-p", "0")

    assert sorted(done.stdout.split()) == [b"0", b"2"]
    done = command("consume", topic, *ALL, "-p", "3")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"brokerless: topic 't' has no partition 3: it has 3\n"


def send(value: bytes | None, **more: object) -> None:
    # A value's serializer lets both be null, as in a broker's log.
    with KafkaProducer(value_serializer=lambda _: value) as producer:
        producer.send("t", b"", **more).get(30)  # type: ignore[arg-type]


def test_json_lines_say_all(command: Command) -> None:
    headers = [("h", b"x"), ("h", b"\xff"), ("n", None)]
    send(b"\xe2\x82\xac", key=b"\xff", headers=headers, timestamp_ms=5)
    send(None, timestamp_ms=6)

    first, second = map(json.loads, command("consume", "t", *ALL, "--json").stdout.splitlines())

    assert first == {
        "topic": "t",
        "partition": 0,
        "offset": 0,
        "timestamp": 5,
        "timestamp_type": "CreateTime",
        "key": {"base64": "/w=="},
        "value": "\u20ac",
        "headers": [["h", "x"], ["h", {"base64": "/w=="}], ["n", None]],
    }
    assert (second["key"], second["value"], second["headers"]) == (None, None, [])


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("%t %p %o %T\\n", b"t 0 0 5\nt 0 1 6\n"),
        ("%k=%s;", b"k=\xff\n;=;"),
        ("%K,%S\\t", b"1,2\t-1,-1\t"),
        ("%R", b"\0\0\0\2\xff\xff\xff\xff"),
        ("[%h]", b"[a=1,b=NULL,a=][]"),
        ("%%s\\\\n\\x41\\0", b"%s\\nA\0" * 2),
        ("", b""),
        ("\\n", b"\n\n"),
    ],
)
def test_the_letters_of_kcat(command: Command, text: str, printed: bytes) -> None:
    send(b"\xff\n", key=b"k", headers=[("a", b"1"), ("b", None), ("a", b"")], timestamp_ms=5)
    send(None, timestamp_ms=6)

    assert command("consume", "t", *ALL, "-f", text).stdout == printed


def test_a_record_without_a_timestamp_has_the_timestamp_minus_one(
    command: Command, tmp_path: Path
) -> None:
    golden = Path(__file__).parents[1] / "data" / "kafka" / "old"
    shutil.copytree(golden, tmp_path / "old")

    args = ["v0-codec-none", *ALL, "--dir", "old", "--read-only", "-n", "1"]
    done = command("consume", *args, "-f", "%T %k")

    assert (done.returncode, done.stdout) == (0, b"-1 key")


def test_keys_delimiters_and_nulls(command: Command) -> None:
    send(b"v", key=b"k")
    send(None)

    assert command("consume", "t", *ALL, "-K", "\\t", "-D", "\\0").stdout == b"k\tv\0\t\0"
    assert command("consume", "t", *ALL, "-K", ":", "-Z").stdout == b"k:v\nNULL:NULL\n"


def test_what_was_produced_is_consumed_byte_for_byte(command: Command) -> None:
    data = bytes(byte for byte in range(256) if byte != 10) + b"\n\n\r\n\x1b[31m\n"
    command("produce", "t", input=data)

    assert command("consume", "t", *ALL).stdout == data


def on_terminal(start: Start, *args: object) -> bytes:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    process = start(*args, stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # Linux says so at the end
    os.close(ours)
    process.wait(30)
    return shown.replace(b"\r\n", b"\n")


def test_a_terminal_is_shown_nothing_that_it_obeys(command: Command, start: Start) -> None:
    command("produce", "t", input="a\x1b[2J\x07\x7f\u202e\x9b\ttab \u20ac".encode() + b"\xff\n")

    shown = on_terminal(start, "consume", "t", *ALL)

    assert shown == "a\\x1b[2J\\x07\\x7f\\u202e\\u009b\ttab \u20ac\\xff\n".encode()


def test_json_on_a_terminal_stays_json(command: Command, start: Start) -> None:
    command("produce", "t", input="\x1b\x7f\u202e".encode())

    shown = on_terminal(start, "consume", "t", *ALL, "--json")

    assert json.loads(shown)["value"] == "\x1b\x7f\u202e"
    assert shown.isascii()
    assert not set(shown) & {0x1B, 0x7F}


def test_a_group_goes_on_where_it_was(command: Command, ten: str) -> None:
    first = command("consume", ten, "-g", "g", "--from-beginning", "-n", "4")
    second = command("consume", ten, "-g", "g", "--from-beginning", "-e")
    third = command("consume", ten, "-g", "g", "--from-beginning", "-e")

    assert first.stdout == b"0\n1\n2\n3\n"
    assert second.stdout == b"4\n5\n6\n7\n8\n9\n"
    assert (third.returncode, third.stdout) == (0, b"")


def test_a_group_that_began_at_the_end_goes_on_there(command: Command, ten: str) -> None:
    first = command("consume", ten, "-g", "g", "-e")
    command("produce", ten, input=b"later\n")
    second = command("consume", ten, "-g", "g", "-e")

    assert (first.returncode, first.stdout) == (0, b"")
    assert (second.returncode, second.stdout) == (0, b"later\n")


def test_a_group_commits_only_what_could_be_printed(command: Command, ten: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = command("consume", ten, "-g", "g", "--from-beginning", "-e", stdout=full)

    assert done.returncode == 1
    assert done.stderr == b"brokerless: cannot write: No space left on device\n"
    with KafkaConsumer(group_id="g") as consumer:
        assert consumer.committed(TopicPartition(ten, 0)) == 0


def test_a_group_whose_first_lines_nobody_read_begins_with_them_again(
    command: Command, ten: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        command("consume", ten, "-g", "g", "--from-beginning", "-e", stdout=full)

    done = command("consume", ten, "-g", "g", "-e")

    assert (done.returncode, done.stdout) == (0, b"".join(b"%d\n" % number for number in range(10)))


def test_two_members_share_the_partitions(start: Start, command: Command, topic: str) -> None:
    member = start("consume", topic, "-g", "g", "--from-beginning", "-f", "%s\\n")
    assert member.stdout is not None
    command("produce", topic, "-p", "0", input=b"first\n")
    assert member.stdout.readline() == b"first\n"
    other = start("consume", topic, "-g", "g", "--from-beginning", "-f", "%s\\n")

    # Until both have some.
    sent = set()
    with KafkaProducer() as producer:
        os.set_blocking(other.stdout.fileno(), False)  # type: ignore[union-attr]
        printed = b""
        while not printed.endswith(b"\n"):
            sent.add(len(sent))
            for number in range(3):
                producer.send(topic, b"%d" % (len(sent) - 1), partition=number)
            time.sleep(0.05)
            printed += other.stdout.read() or b""  # type: ignore[union-attr]

    assert {int(line) for line in printed.split()} <= sent


def test_a_member_that_gets_nothing_ends_too(start: Start, command: Command, ten: str) -> None:
    holder = start("consume", ten, "-g", "g", "--from-beginning")
    assert holder.stdout is not None
    holder.stdout.readline()

    done = command("consume", ten, "-g", "g", "-e")

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_copy_is_read_without_a_change(command: Command, directory: Path) -> None:
    command("produce", "t", input=b"x\n")
    files = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}

    done = command("consume", "t", *ALL, "--read-only")

    assert done.stdout == b"x\n"
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == files


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["ten", "-o", "x"],
        ["ten", "-o", "@yesterday"],
        ["ten", "-f", "%x"],
        ["ten", "-f", "%"],
        ["ten", "-f", "\\q"],
        ["ten", "-f", "%s\\"],
        ["ten", "-D", "\\x"],
        ["ten", "-e", "-D", "\\x4"],
        ["ten", "-e", "-f", "\\x4"],
        ["ten", "-e", "-o", "1_0"],
        ["ten", "-e", "-o", " 5"],
        ["ten", "-e", "-o", "\u0663"],
        ["ten", "-e", "-p", "1_0"],
        ["ten", "-f", "%s", "-K", ":"],
        ["ten", "--json", "-K", ":"],
        ["ten", "-g", ""],
        ["ten", "-p", str(1 << 31)],
        ["ten", "-o", str(1 << 63)],
        ["ten", "-o", f"-{1 << 63}"],
        ["ten", "-o", f"@{1 << 63}"],
        ["ten", "-f", "%s", "--json"],
        ["ten", "-g", "g", "-p", "0"],
        ["ten", "-g", "g", "-o", "0"],
        ["ten", "--from-beginning", "-o", "0"],
        ["ten", "--from-beginning", "--read-only"],
        ["ten", "-n", "-1"],
    ],
)
def test_wrong_arguments_exit_with_2_and_one_line(
    command: Command, ten: str, args: list[str]
) -> None:
    done = command("consume", *args)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1
