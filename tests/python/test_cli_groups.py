"""`brokerless groups`, as a shell uses it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

HEAD = [
    *("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"),
    *("CONSUMER-ID", "HOST", "CLIENT-ID"),
]


@pytest.fixture
def billing(topic: str) -> str:
    """A group without members, which has committed for two of three partitions of ten records."""
    with KafkaProducer() as producer:
        for number in range(30):
            producer.send(topic, b"x", partition=number % 3, timestamp_ms=1000 * (number // 3 + 1))
    commit("billing", {0: 4, 1: 10})
    return "billing"


def commit(group: str, offsets: dict[int, int]) -> None:
    with KafkaConsumer(group_id=group) as consumer:
        consumer.commit(
            {
                TopicPartition("t", number): OffsetAndMetadata(offset, "", -1)
                for number, offset in offsets.items()
            }
        )


def committed(group: str) -> dict[int, int | None]:
    with KafkaConsumer(group_id=group) as consumer:
        return {number: consumer.committed(TopicPartition("t", number)) for number in range(3)}


def test_groups_are_listed_by_name(command: Command, billing: str) -> None:
    commit("audit", {0: 1})

    assert command("groups", "list").stdout == b"audit\nbilling\n"
    table = command("groups", "list", "--long").stdout.decode().splitlines()
    assert [line.split() for line in table] == [
        ["GROUP", "TYPE", "STATE"],
        ["audit", "classic", "Empty"],
        ["billing", "classic", "Empty"],
    ]
    assert json.loads(command("groups", "list", "--json").stdout)[1] == {
        "group": "billing",
        "type": "classic",
        "state": "Empty",
    }


def test_a_group_without_members_is_described(command: Command, billing: str) -> None:
    done = command("groups", "describe", billing)

    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert done.returncode == 0
    assert done.stderr == b"Consumer group 'billing' has no active members.\n"
    assert rows == [
        HEAD,
        ["billing", "t", "0", "4", "10", "6", "-", "-", "-"],
        ["billing", "t", "1", "10", "10", "0", "-", "-", "-"],
    ]


def test_members_are_described_with_what_they_have(
    start: Start, command: Command, billing: str
) -> None:
    member = start("consume", "t", "-g", billing, "--from-beginning", "-f", "%p\\n")
    assert member.stdout is not None
    for _ in range(16):  # all but what is committed
        member.stdout.readline()
    while True:
        rows = json.loads(command("groups", "describe", billing, "--json").stdout)
        if [row["lag"] for row in rows] == [0, 0, 0]:
            break
        time.sleep(0.05)

    done = command("groups", "describe", billing)

    assert [row["partition"] for row in rows] == [0, 1, 2]
    assert {row["process_id"] for row in rows} == {member.pid}
    assert set(rows[0]) == {name.lower().replace("-", "_") for name in HEAD} | {"process_id"}
    table = [line.split() for line in done.stdout.decode().splitlines()]
    assert (done.returncode, done.stderr) == (0, b"")
    assert table[0] == HEAD
    row = rows[2]
    assert table[3] == [
        *("billing", "t", "2", "10", "10", "0"),
        *(row["consumer_id"], row["host"], row["client_id"]),
    ]


def test_all_groups_are_described_and_one_that_is_missing_is_said(
    command: Command, billing: str
) -> None:
    commit("audit", {0: 1})

    everyone = command("groups", "describe")
    some = command("groups", "describe", "nobody", billing)

    assert everyone.stdout.count(b"GROUP ") == 2
    assert some.returncode == 1
    assert b"brokerless: there is no group 'nobody'\n" in some.stderr
    assert some.stdout.count(b"\nbilling ") == 2


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (["--to-earliest"], {0: 0, 1: 0, 2: 0}),
        (["--to-latest"], {0: 10, 1: 10, 2: 10}),
        (["--to-current"], {0: 4, 1: 10, 2: 10}),
        (["--to-offset", "7"], {0: 7, 1: 7, 2: 7}),
        (["--to-offset", "0"], {0: 0, 1: 0, 2: 0}),
        (["--to-offset", "99"], {0: 10, 1: 10, 2: 10}),
        (["--to-datetime", "3000"], {0: 2, 1: 2, 2: 2}),
        (["--to-datetime", "1970-01-01T00:00:03.500"], {0: 3, 1: 3, 2: 3}),
        (["--to-datetime", "2100-01-01T00:00:00Z"], {0: 10, 1: 10, 2: 10}),
        (["--by-duration", "P1DT2H3M4.5S"], {0: 10, 1: 10, 2: 10}),
        (["--by-duration", "36500d"], {0: 0, 1: 0, 2: 0}),
    ],
)
def test_offsets_are_reset_by_a_rule_and_only_with_execute(
    command: Command, billing: str, rule: list[str], expected: dict[int, int]
) -> None:
    before = committed(billing)
    args = ["groups", "reset", billing, "--topic", "t", *rule]

    dry = command(*args)
    assert (dry.returncode, dry.stderr) == (0, b"Nothing is changed without --execute.\n")
    assert committed(billing) == before
    done = command(*args, "--execute")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == dry.stdout
    table = [line.split() for line in done.stdout.decode().splitlines()]
    assert table == [
        ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"],
        *(["billing", "t", str(number), str(offset)] for number, offset in expected.items()),
    ]
    assert committed(billing) == expected


@pytest.mark.parametrize(
    ("shift", "expected"),
    [("3", {0: 7, 1: 10}), ("-3", {0: 1, 1: 7}), ("-99", {0: 0, 1: 0}), ("0", {0: 4, 1: 10})],
)
def test_offsets_are_shifted_where_there_are_any(
    command: Command, billing: str, shift: str, expected: dict[int, int]
) -> None:
    args = ["--shift-by", shift, "--all-topics", "--execute", "--json"]

    done = command("groups", "reset", billing, *args)

    assert json.loads(done.stdout) == [
        {"group": "billing", "topic": "t", "partition": number, "new_offset": offset}
        for number, offset in expected.items()
    ]
    assert committed(billing) == {**expected, 2: None}


def test_some_partitions_are_reset(command: Command, billing: str) -> None:
    done = command("groups", "reset", billing, "--topic", "t:2,0", "--to-earliest", "--execute")

    assert done.returncode == 0
    assert committed(billing) == {0: 0, 1: 10, 2: 0}


def test_a_group_with_members_is_neither_reset_nor_deleted(
    start: Start, command: Command, billing: str
) -> None:
    member = start("consume", "t", "-g", billing, "--from-beginning")
    assert member.stdout is not None
    member.stdout.readline()

    reset = command("groups", "reset", billing, "--topic", "t", "--to-earliest", "--execute")
    dry = command("groups", "reset", billing, "--topic", "t", "--to-earliest")
    delete = command("groups", "delete", billing)

    for done in (reset, dry):
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr == b"brokerless: group 'billing' has 1 member: stop it first\n"
    assert (delete.returncode, delete.stdout) == (1, b"")
    assert delete.stderr == b"brokerless: group 'billing' has members: stop them first\n"
    assert command("groups", "list").stdout == b"billing\n"


def test_groups_are_deleted(command: Command, billing: str) -> None:
    done = command("groups", "delete", "nobody", billing)

    assert (done.returncode, done.stdout) == (1, b"Deleted group billing.\n")
    assert done.stderr == b"brokerless: there is no group 'nobody'\n"
    assert command("groups", "list").stdout == b""
    assert committed(billing) == {0: None, 1: None, 2: None}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["billing", "--to-earliest"], 2),
        (["billing", "--to-earliest", "--topic", "t", "--all-topics"], 2),
        (["billing", "--topic", "t"], 2),
        (["billing", "--topic", "t", "--to-earliest", "--to-latest"], 2),
        (["billing", "--topic", "t", "--to-offset", "0", "--shift-by", "0"], 2),
        (["billing", "--topic", "t:x", "--to-earliest"], 2),
        (["billing", "--topic", "t", "--by-duration", "P"], 2),
        (["billing", "--topic", "t", "--by-duration", "soon"], 2),
        (["billing", "--topic", "t", "--to-datetime", "soon"], 2),
        (["billing", "--topic", "t", "--to-offset", "-1"], 2),
        (["billing", "--topic", "t", "--to-offset", str(1 << 63)], 2),
        (["billing", "--topic", "t", "--shift-by", str(1 << 63)], 2),
        (["billing", "--topic", "t", "--to-datetime", str(1 << 63)], 2),
        (["", "--topic", "t", "--to-earliest"], 2),
        (["billing", "--topic", "nowhere", "--to-earliest"], 1),
        (["billing", "--topic", "t:9", "--to-earliest"], 1),
        (["billing", "--topic", "t:2", "--shift-by", "1"], 1),
        (["nobody", "--all-topics", "--to-earliest"], 1),
    ],
)
def test_what_cannot_be_reset_is_said(
    command: Command, billing: str, args: list[str], code: int
) -> None:
    done = command("groups", "reset", *args, "--execute")

    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1


def test_groups_complete(billing: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "brokerless"],
        env={
            **os.environ,
            "_BROKERLESS_COMPLETE": "bash_complete",
            "COMP_WORDS": "brokerless groups describe bi",
            "COMP_CWORD": "3",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("plain,billing\n", "")
    assert Path(os.environ["BROKERLESS_DIR"]).exists()


def test_in_one_file_what_is_said_of_a_group_stands_before_its_table(command: Command) -> None:
    command("produce", "t", input=b"x\n")
    for group in ("a", "b"):
        command("consume", "t", "-g", group, "--from-beginning", "-e")

    done = command("groups", "describe", stderr=subprocess.STDOUT)

    begins = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert begins == [b"Consumer", b"GROUP", b"a", b"Consumer", b"GROUP", b"b"]
