"""`brokerless export` and `import`, as a shell uses them."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import ConsumerRecord, KafkaAdminClient, KafkaProducer, NewTopic

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]
GOLDEN = Path(__file__).parents[1] / "data" / "kafka"

Read = Callable[..., list[ConsumerRecord]]


def all_of(records: list[ConsumerRecord]) -> list[tuple[object, ...]]:
    return [
        (it.partition, it.offset, it.timestamp, it.timestamp_type, it.key, it.value, it.headers)
        for it in records
    ]


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """A topic with every kind of key, value and header, in three partitions."""
    every_byte = bytes(range(256))
    kinds = [
        None,
        b"",
        b"text",
        every_byte,
        b"\xe2\x82\xac \xf0\x9f\x98\x80",
        b"\0",
        b'{"a": 1}',
        b'{"base64":"eA=="}',
        b"\xed\xa0\x80",
        b"\xff",
        b"a\nb\r\n\x1b",
        b"\xe2\x80\xa8",
    ]
    null = object()
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("odd", 3, 1), NewTopic("none", 2, 1)])
    with KafkaProducer(value_serializer=lambda value: None if value is null else value) as producer:
        for number, key in enumerate(kinds):
            for value in kinds:
                producer.send(
                    "odd",
                    null if value is None else value,
                    key=key,
                    headers=[("", value), ("h\u20ac", key), ("h\u20ac", b"")][: number % 4],
                    partition=number % 3,
                    timestamp_ms=number * 1000,
                )
    return "odd"


def test_what_is_imported_equals_what_was_exported(
    command: Command, odd: str, read: Read, tmp_path: Path
) -> None:
    exported = command("export")
    (tmp_path / "export").write_bytes(exported.stdout)

    done = command("import", "export", "--dir", "new")

    assert (exported.returncode, done.returncode, done.stderr) == (0, 0, b"")
    new = read(odd, bootstrap_servers=tmp_path / "new")
    assert all_of(new) == all_of(read(odd))
    assert len(new) == 144
    assert command("export", "--dir", "new").stdout == exported.stdout
    assert command("topics", "list", "--dir", "new").stdout == b"none\nodd\n"


def test_settings_of_a_topic_are_carried_too(command: Command) -> None:
    command("topics", "create", "prices", "-c", "cleanup.policy=compact", "-c", "retention.ms=7")
    exported = command("export").stdout

    command("import", "--dir", "new", input=exported)

    assert json.loads(exported)["configs"] == {"cleanup.policy": "compact", "retention.ms": "7"}
    assert command("export", "--dir", "new").stdout == exported


@pytest.mark.parametrize("name", ["clean", "killed", "old"])
def test_a_brokers_records_can_be_taken_over(
    command: Command, read: Read, tmp_path: Path, name: str
) -> None:
    golden = Path(shutil.copytree(GOLDEN / name, tmp_path / name))
    before = {path: path.stat().st_mtime_ns for path in golden.rglob("*")}
    exported = command("export", "--dir", golden, "--read-only")

    done = command("import", "--dir", "new", input=exported.stdout)

    assert (exported.returncode, exported.stderr) == (0, b"")
    assert (done.returncode, done.stderr) == (0, b"")
    assert {path: path.stat().st_mtime_ns for path in golden.rglob("*")} == before
    again = command("export", "--dir", "new").stdout
    assert contents(again) == contents(exported.stdout)
    assert len(contents(again)) > 500


def contents(exported: bytes) -> list[tuple[object, ...]]:
    """What records must have kept; the oldest had no timestamp to keep."""
    records = [line for line in map(json.loads, exported.splitlines()) if "type" not in line]
    return [
        (
            *(line[key] for key in ("topic", "partition", "key", "value", "headers")),
            None if line["topic"].startswith(("v0-", "upgraded")) else line["timestamp"],
        )
        for line in records
    ]


def test_a_pipe_carries_it_to_another_directory(
    start: Start, command: Command, odd: str, read: Read, tmp_path: Path
) -> None:
    exporting = start("export", odd)

    done = command("import", "--dir", "new", stdin=exporting.stdout)

    assert done.returncode == 0
    assert all_of(read(odd, bootstrap_servers=tmp_path / "new")) == all_of(read(odd))


def test_the_lines_are_plain_json(command: Command) -> None:
    command("produce", "t", "-K", ":", input=b"k:v\n")

    head, line = map(json.loads, command("export", "t").stdout.splitlines())

    assert head == {"type": "topic", "topic": "t", "partitions": 1, "configs": {}}
    assert {name: line[name] for name in ("topic", "partition", "offset", "key", "value")} == {
        "topic": "t",
        "partition": 0,
        "offset": 0,
        "key": "k",
        "value": "v",
    }


def test_what_consume_prints_can_be_imported(
    command: Command, odd: str, read: Read, tmp_path: Path
) -> None:
    printed = command("consume", odd, "--from-beginning", "-e", "--json").stdout

    command("topics", "create", "other", "-p", "3")
    done = command("import", "--topic", "other", input=printed)

    assert (done.returncode, done.stderr) == (0, b"")
    assert all_of(read("other")) == all_of(read(odd))


def test_records_go_into_another_topic_with_its_partitions(
    command: Command, odd: str, read: Read
) -> None:
    command("import", "--topic", "copy", input=command("export", odd).stdout)

    assert all_of(read("copy")) == all_of(read(odd))


def test_only_what_is_there_at_the_beginning_is_exported(
    command: Command, start: Start, odd: str
) -> None:
    start("produce", odd, "/dev/zero", "-D", "\\0", "-p", "0")  # never ends

    done = command("export", odd)

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) >= 145


def test_an_export_into_a_file(command: Command, odd: str, tmp_path: Path) -> None:
    done = command("export", odd, "--output", "file.jsonl")

    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "file.jsonl").read_bytes() == command("export", odd).stdout


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{}", "the record has no topic, and there is no --topic"),
        (b'{"type": "topic"}', "a line of a topic has its name and its number of partitions"),
        (
            b'{"type": "topic", "topic": "x", "partitions": 1, "configs": 1}',
            "the configs of a topic",
        ),
        (b'{"type": "topic", "topic": "x", "partitions": true}', "a line of a topic has"),
        (b'{"type": "topic", "topic": "x", "partitions": 2147483648}', "num_partitions of topic"),
        (b'{"type": "topic", "topic": "x/y", "partitions": 1}', 'topic name "x/y" is invalid'),
        (b'{"type": "topic", "topic": "x", "partitions": 1, "configs": {"a": 1}}', "a=1: "),
        (b'{"topic": 1}', "topic must be text"),
        (b'{"topic": "x/y", "value": ""}', 'topic name "x/y" is invalid'),
        (b"half a li", "this is no JSON"),
    ],
)
def test_a_line_that_cannot_be_imported_is_named(
    command: Command, tmp_path: Path, line: bytes, what: str
) -> None:
    (tmp_path / "file").write_bytes(b'{"topic": "t", "value": "x"}\n' + line)

    done = command("import", "file")

    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"brokerless: file, line 2: {what}")
    assert len(done.stderr.splitlines()) == 1


def test_records_of_any_size_that_their_topic_takes_are_carried(command: Command) -> None:
    command("topics", "create", "large", "-c", f"max.message.bytes={200 << 20}")
    for size in (70 << 20, 3 << 20):
        sent = command("produce", "large", "-D", "\\0", input=b"x" * size)
        assert (sent.returncode, sent.stderr) == (0, b"")
    exported = command("export").stdout

    done = command("import", "--dir", "new", input=exported)

    assert (done.returncode, done.stderr) == (0, b"")
    assert command("export", "--dir", "new").stdout == exported


@pytest.mark.parametrize(
    ("setting", "refused", "why"),
    [
        ("max.message.bytes=300", f'"value": "{"x" * 500}"', "more than max.message.bytes"),
        ("segment.bytes=300", f'"value": "{"x" * 500}"', "maximum configured segment size of 300"),
        ("cleanup.policy=compact", '"key": null', "every record needs a key"),
        ("message.timestamp.before.max.ms=1000", '"timestamp": 5', "timestamp 5 of a record"),
    ],
)
def test_what_a_topic_refuses_is_named_and_the_others_go_in(
    command: Command, tmp_path: Path, read: Read, setting: str, refused: str, why: str
) -> None:
    command("topics", "create", "t", "-c", setting)
    good = [f'{{"topic": "t", "key": "{number}"}}' for number in range(4)]
    bad = f'{{"topic": "t", "key": "bad", {refused}}}'
    lines = [good[0], bad, good[1], bad, bad, good[2], good[3]]
    (tmp_path / "file").write_text("\n".join(lines))

    done = command("import", "file")

    first, *more, summary = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert first.startswith("brokerless: file, line 2: ")
    assert more[0].startswith("brokerless: file, line")
    assert " 4" in more[0]
    assert "5: " in more[-1]
    assert all(why in line for line in (first, *more))
    assert summary == "brokerless: 4 records imported, 3 not"
    assert [record.key for record in read("t")] == [b"0", b"1", b"2", b"3"]


def test_a_line_that_is_no_record_ends_the_import_and_it_says_how_far_it_came(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b'{"topic": "t"}\n{"topic": "t"}\nx\n{"topic": "t"}\n')

    done = command("import", "file")

    assert done.stderr.startswith(b"brokerless: file, line 3: this is no JSON: ")
    assert done.stderr.endswith(b"; 2 records imported\n")
    assert command("consume", "t", "--from-beginning", "-e").stdout == b"\n\n"


def test_an_import_that_is_interrupted_says_how_far_it_came(
    command: Command, start: Start, tmp_path: Path
) -> None:
    process = start("import", "--topic", "t", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b'{"value": "x"}\n' * 3)
    process.stdin.flush()
    while command("consume", "t", "-n", "3", "-e", "-o", "0").stdout != b"x\nx\nx\n":
        pass

    process.send_signal(signal.SIGINT)

    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"brokerless: 3 records imported\n")


def test_a_record_without_a_timestamp_stays_without_one(command: Command, read: Read) -> None:
    command("import", "--topic", "t", input=b'{"timestamp": -1}\n')

    exported = command("export", "t").stdout
    command("import", "--dir", "new", input=exported)

    assert read("t")[0].timestamp == -1
    assert b'"timestamp":-1,' in exported
    assert command("export", "t", "--dir", "new").stdout == exported
    assert command("verify").returncode == 0


@pytest.mark.parametrize("args", [["import", "--topic", "t"], ["produce", "t", "--json"]])
def test_a_timestamp_that_cannot_be_is_said(command: Command, args: list[str]) -> None:
    done = command(*args, input=b'{"timestamp": -2}\n')

    assert done.returncode == 1
    said = b"brokerless: standard input, line 1: timestamp must not be negative; -1 is none"
    assert done.stderr.startswith(said)


def test_where_no_more_can_be_written_the_lines_that_are_missing_are_named(
    command: Command, tmp_path: Path, read: Read
) -> None:
    resource = pytest.importorskip("resource")
    most = 1 << 20
    lines = [f'{{"partition": {it % 2}, "value": "{"x" * 1000}"}}\n' for it in range(9000)]
    (tmp_path / "file").write_text("".join(lines))
    command("topics", "create", "t", "-p", "2")

    done = command(
        *("import", "--topic", "t", "file"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )

    *missing, last = done.stderr.decode().splitlines()
    count = len(read("t"))
    form = re.compile(r"brokerless: file, lines? (\d+)(?: to (\d+))?: not imported")
    named = [form.fullmatch(line) for line in missing]
    numbers = {
        number
        for found in named
        if found
        for number in range(int(found[1]), int(found[2] or found[1]) + 1)
    }
    assert done.returncode == 1
    assert last.startswith(f"brokerless: stopped at file, line {count + len(numbers)}: ")
    assert last.endswith(f"File too large; {count:,} records imported, {len(numbers):,} not")


def test_a_name_that_no_topic_can_have_is_a_wrong_argument(command: Command) -> None:
    done = command("import", "--topic", "a/b", input=b'{"value":"x"}\n')

    assert done.returncode == 2
    assert b'topic name "a/b" is invalid' in done.stderr


def test_a_line_of_an_unknown_type_ends_the_import(command: Command) -> None:
    done = command("import", input=b'{"type":"zzz","topic":"x"}\n')

    assert done.returncode == 1
    assert done.stderr.startswith(b"brokerless: standard input, line 1: the type of a line is ")
    assert command("topics", "list").stdout == b""
