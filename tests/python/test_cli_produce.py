"""`brokerless produce`, as a shell uses it."""

import base64
import io
import json
import os
import pty
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import ConsumerRecord, KafkaConsumer
from brokerless.cli import reading
from brokerless.cli.ending import FailedError
from brokerless.cli.output import Progress, counted, total_size

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
Read = Callable[..., list[ConsumerRecord]]


def test_each_line_is_a_record_and_the_last_needs_no_end(command: Command, read: Read) -> None:
    done = command("produce", "t", input=b"one\n\n two \r\nthree")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [record.value for record in read("t")] == [b"one", b"", b" two \r", b"three"]
    assert {record.key for record in read("t")} == {None}


def test_bytes_that_are_no_text_arrive_as_they_are(command: Command, read: Read) -> None:
    lines = [bytes(byte for byte in range(256) if byte != 10), b"\xff\xfe", b"\0"]

    command("produce", "t", input=b"\n".join(lines) + b"\n")

    assert [record.value for record in read("t")] == lines


def test_a_separator_stands_between_key_and_value(command: Command, read: Read) -> None:
    command("produce", "t", "-K", "::", input=b"a::1\nb::x::y\nc::\n")

    found = [(record.key, record.value) for record in read("t")]
    assert found == [(b"a", b"1"), (b"b", b"x::y"), (b"c", b"")]


def test_a_line_without_its_separator_is_named(command: Command) -> None:
    done = command("produce", "t", "-K", "\\t", input=b"a\t1\nb\n")

    assert done.returncode == 1
    assert done.stderr == (
        b"brokerless: standard input, line 2: there is no '\\t' between key and value\n"
    )


def test_the_lines_before_one_without_its_separator_are_sent(command: Command, read: Read) -> None:
    command("produce", "t", "-K", ":", input=b"a:1\nb:2\nc\nd:4\n")

    assert [(record.key, record.value) for record in read("t")] == [(b"a", b"1"), (b"b", b"2")]


def test_empty_values_become_null_if_wanted(command: Command, read: Read) -> None:
    command("produce", "t", "-K", ":", "-Z", input=b"a:1\na:\n")

    assert [(record.key, record.value) for record in read("t")] == [(b"a", b"1"), (b"a", None)]


def test_a_key_and_headers_of_all_records(command: Command, read: Read) -> None:
    command("produce", "t", "-k", "k", "-H", "a=1=2", "-H", "b", "-H", "a=", input=b"1\n2\n")

    found = [(record.key, record.headers) for record in read("t")]
    assert found == [(b"k", [("a", b"1=2"), ("b", None), ("a", b"")])] * 2


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(command: Command, read: Read, directory: Path, codec: str) -> None:
    command("produce", "t", "--compression", codec, input=b"x" * 10_000 + b"\n")

    assert [record.value for record in read("t")] == [b"x" * 10_000]
    log = (directory / "t-0" / "00000000000000000000.log").read_bytes()
    assert log[22] & 7 == ["none", "gzip", "snappy", "lz4", "zstd"].index(codec)


def test_a_partition_that_is_not_there_is_said(command: Command, topic: str, read: Read) -> None:
    assert command("produce", topic, "-p", "2", input=b"x\n").returncode == 0
    assert [(record.partition, record.value) for record in read(topic)] == [(2, b"x")]

    done = command("produce", topic, "-p", "3", input=b"y\n")

    assert done.returncode == 1
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1


def test_files_are_read_in_order_and_may_be_one_record_each(
    command: Command, read: Read, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"1\n2\n")
    (tmp_path / "b").write_bytes(b"3")

    command("produce", "lines", "a", "-", "b", input=b"x\n")
    command("produce", "whole", "a", "b", "--whole")

    assert [record.value for record in read("lines")] == [b"1", b"2", b"x", b"3"]
    assert [record.value for record in read("whole")] == [b"1\n2\n", b"3"]


def test_json_says_all_about_a_record(command: Command, topic: str, read: Read) -> None:
    lines = [
        {"key": "k", "value": "v", "partition": 1, "timestamp": 7, "headers": [["h", "x"]]},
        {"value": {"base64": "/w=="}, "partition": 1, "headers": [["h", None], ["h", ""]]},
        {"key": "", "value": None, "partition": 1, "timestamp": 0},
    ]

    done = command("produce", topic, "--json", input="\n".join(map(json.dumps, lines)).encode())

    assert (done.returncode, done.stderr) == (0, b"")
    first, second, third = read(topic)
    assert (first.key, first.value, first.timestamp) == (b"k", b"v", 7)
    assert first.headers == [("h", b"x")]
    assert (second.key, second.value) == (None, b"\xff")
    assert second.headers == [("h", None), ("h", b"")]
    assert (third.key, third.value, third.timestamp) == (b"", None, 0)
    assert {record.partition for record in (first, second, third)} == {1}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "this is no JSON"),
        (b"[1]", "a line must be a JSON object"),
        (b'{"valu": "x"}', "a record has no 'valu'"),
        (b'{"value": {"a": 1}}', 'value must be text, null or {"base64": "..."}'),
        (b'{"value": {"base64": "?"}}', "value is no base64"),
        (b'{"value": "\\ud800"}', "value has half a character"),
        (b'{"timestamp": "now"}', "timestamp must be a whole number"),
        (b'{"timestamp": -2}', "timestamp must not be negative; -1 is none"),
        (b'{"headers": ["x"]}', "headers must be a list of [name, value]"),
        (b"\xff", "this is no JSON"),
    ],
)
def test_a_line_that_is_no_record_is_named(
    command: Command, read: Read, line: bytes, what: str
) -> None:
    done = command("produce", "t", "--json", input=b'{"value": "before"}\n\n' + line)

    assert done.returncode == 1
    said = done.stderr.decode()
    assert said.startswith(f"brokerless: standard input, line 3: {what}")
    assert len(said.splitlines()) == 1
    assert [record.value for record in read("t")] == [b"before"]


def test_a_line_arrives_while_the_input_is_still_open(start: Start, topic: str) -> None:
    producing = start("produce", topic, stdin=subprocess.PIPE)
    assert producing.stdin is not None

    with KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=30_000) as consumer:
        for value in (b"first", b"second"):
            producing.stdin.write(value + b"\n")
            producing.stdin.flush()
            assert next(consumer).value == value


def test_a_long_line_and_many_lines(command: Command, read: Read, tmp_path: Path) -> None:
    lines = [b"x" * 900_000, *(b"%d" % number for number in range(300_000)), b"y" * 900_000]
    (tmp_path / "input").write_bytes(b"\n".join(lines))

    done = command("produce", "t", "input")

    assert (done.returncode, done.stderr) == (0, b"")
    assert [record.value for record in read("t")] == lines


def test_an_endless_line_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "LONGEST", 3 << 20)
    (tmp_path / "input").write_bytes(b"first\n" + bytes(4 << 20))

    with (
        reading.Source(str(tmp_path / "input")) as source,
        pytest.raises(FailedError, match="input, line 2: it is longer than a record"),
    ):
        list(reading.lines_of(source, b"\n"))


def test_a_record_that_is_too_large_is_an_error(command: Command) -> None:
    done = command("produce", "t", input=b"x" * 2_000_000)

    assert done.returncode == 1
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "key"), [([], b""), (["-K", ":"], b"k:"), (["-k", "k"], b""), (["-Z"], b"")]
)
def test_the_line_that_is_too_large_is_named(
    command: Command, read: Read, tmp_path: Path, args: list[str], key: bytes
) -> None:
    command("topics", "create", "t", "-c", "max.message.bytes=1000")
    # In the second piece of what is read, and not the first line of it.
    lines = [*[b"x" * 900] * 1500, b"y" * 2000, b"z"]
    (tmp_path / "input").write_bytes(b"".join(key + line + b"\n" for line in lines))

    done = command("produce", "t", "input", *args)

    assert done.returncode == 1
    assert done.stderr.startswith(b"brokerless: input, line 1501: the record takes 20")
    assert [record.value for record in read("t")] == lines[:1500]


# What no codec makes smaller: with one, it is known to be too long when the batch is packed.
NOISE = bytes(byte for byte in random.Random(1).randbytes(5000) if byte not in b"\n:")


@pytest.mark.parametrize("args", [[], ["-K", ":"], ["-k", "k"], ["-p", "1"]])
def test_the_line_that_proves_too_large_later_is_named(
    command: Command, tmp_path: Path, args: list[str]
) -> None:
    command("topics", "create", "t", "-p", "2", "-c", "max.message.bytes=1000")
    lines = [b"x:" * 450] * 1500 + [b"k:" + NOISE] + [b"z:"] * 500
    (tmp_path / "input").write_bytes(b"\n".join(lines))

    done = command("produce", "t", "input", "-z", "zstd", *args)

    assert done.returncode == 1
    assert done.stderr.startswith(b"brokerless: input, line 1501: the record takes ")
    assert len(done.stderr.splitlines()) == 1


def test_the_object_that_proves_too_large_later_is_named(command: Command) -> None:
    command("topics", "create", "t", "-c", "max.message.bytes=1000")
    value = {"base64": base64.b64encode(NOISE).decode()}
    lines = [json.dumps({"value": it}) for it in ("a", value, "b")]

    done = command("produce", "t", "--json", "-z", "zstd", input="\n\n".join(lines).encode())

    assert done.stderr.startswith(b"brokerless: standard input, line 3: the record takes ")


def test_a_line_that_failed_later_is_said_also_where_the_input_ends_at_another(
    command: Command, read: Read
) -> None:
    command("topics", "create", "t", "-c", "max.message.bytes=1000")

    done = command("produce", "t", "-z", "zstd", "-K", ":", input=b"a:1\nb:%b\nc\n" % NOISE)

    later, at_once = done.stderr.splitlines()
    assert done.returncode == 1
    assert later.startswith(b"brokerless: standard input, line 2: the record takes ")
    assert at_once.startswith(b"brokerless: standard input, line 3: there is no ':'")
    assert [record.value for record in read("t")] == [b"1"]


def test_the_file_that_is_too_large_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"y" * 2_000_000)

    done = command("produce", "t", "--whole", "large")

    assert done.stderr.startswith(b"brokerless: large: the record takes 2000")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["t", "nowhere"],
        ["t", "--nonsense"],
        ["t", "-z", "rar"],
        ["t", "-p", "-1"],
        ["t", "-K", ""],
        ["t", "-D", ""],
        ["t", "--whole", "-D", "x", "-"],
        ["t", "-K", ":", "-k", "k"],
        ["t", "--json", "-K", ":"],
        ["t", "-H", "=x"],
    ],
)
def test_wrong_arguments_exit_with_2_and_one_line(
    command: Command, directory: Path, args: list[str]
) -> None:
    done = command("produce", *args, input=b"x\n")

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"brokerless: ")
    assert done.stderr.endswith(b"(see 'brokerless produce --help')\n")
    assert len(done.stderr.splitlines()) == 1
    assert not directory.exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_long_input_has_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "PATIENCE", -1)
    for terminal, shown in ((Terminal(), "50%"), (io.StringIO(), "")):
        monkeypatch.setattr(sys, "stderr", terminal)
        with Progress(200) as progress:
            progress.advance(100)
            assert shown in terminal.getvalue()
            progress.advance(100)
        assert bool(shown) == bool(terminal.getvalue())


def test_an_input_of_unknown_length_or_a_short_one_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(200) as progress:
        progress.advance(200)
    monkeypatch.setattr(Progress, "PATIENCE", -1)
    with Progress(total_size(["-"])) as progress:
        progress.advance(200)

    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_on_a_terminal_it_says_how_many_were_sent(start: Start) -> None:
    ours, theirs = pty.openpty()
    process = start("produce", "t", stdin=subprocess.PIPE, stderr=theirs)
    os.close(theirs)

    assert process.communicate(b"one\ntwo\n", timeout=60)[0] == b""

    assert os.read(ours, 1000) == b"2 records sent\r\n"
    os.close(ours)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nope/x"], 2, b'topic name "nope/x" is invalid'),
        (["t", "-p", "9"], 1, b"partition 9"),
        (["new", "-p", "9"], 1, b"partition 9"),
    ],
    ids=["name", "partition", "partition of a new topic"],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "old"])
def test_what_nothing_can_be_sent_to_is_an_error_also_without_records(
    command: Command, directory: Path, there: bool, args: list[str], code: int, said: bytes
) -> None:
    if there:
        command("topics", "create", "t")

    done = command("produce", *args, input=b"")

    assert done.returncode == code
    assert said in done.stderr
    assert directory.exists() == there
    assert command("topics", "list").stdout == (b"t\n" if there else b"")


def test_without_records_no_topic_is_made(command: Command) -> None:
    assert command("produce", "t", input=b"").returncode == 0
    assert command("topics", "list").stdout == b""


def test_one_record_is_no_records() -> None:
    assert [counted(it, "record") for it in (0, 1, 2000)] == [
        "0 records",
        "1 record",
        "2,000 records",
    ]


@pytest.mark.parametrize("args", [["produce", "t", "--json"], ["import", "--topic", "t"]])
def test_a_line_that_is_nested_too_deeply_is_named(command: Command, args: list[str]) -> None:
    done = command(*args, input=b'{"value": "x"}\n' + b'{"value": ' * 100_000 + b"\n")

    said = b"brokerless: standard input, line 2: this is no record: it is nested too deeply"
    assert (done.returncode, done.stderr[: len(said)]) == (1, said)
    assert len(done.stderr.splitlines()) == 1
