"""`brokerless topics`, `where` and `completion`, as a shell uses them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaConsumer

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


def test_topics_are_created_and_listed_by_name(command: Command) -> None:
    created = command("topics", "create", "b", "a", "--partitions", "3")

    assert (created.returncode, created.stdout) == (0, b"Created topic b.\nCreated topic a.\n")
    assert command("topics", "list").stdout == b"a\nb\n"
    with KafkaConsumer() as consumer:
        assert consumer.partitions_for_topic("a") == {0, 1, 2}


def test_a_topic_is_not_created_twice(command: Command) -> None:
    command("topics", "create", "a")

    again = command("topics", "create", "a")
    assert (again.returncode, again.stdout) == (1, b"")
    assert again.stderr.startswith(b"brokerless: ")
    assert len(again.stderr.splitlines()) == 1
    fine = command("topics", "create", "a", "--if-not-exists")
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["a", "-p", "0"], 2),
        (["a", "-p", str(1 << 31)], 2),
        (["a", "-c", "cleanup.policy"], 2),
        (["a", "-c", "=x"], 2),
        (["a", "-c", "cleanup.policy=nonsense"], 2),
        (["a", "-c", "nonsense=1"], 2),
        (["a/b"], 2),
        ([".."], 2),
        (["a", "b/c"], 2),
        (["a.b", "a_b"], 2),
        (["__consumer_offsets"], 1),
    ],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "old"])
def test_what_cannot_be_created_is_said_and_nothing_is_made(
    command: Command, directory: Path, there: bool, args: list[str], code: int
) -> None:
    if there:
        command("topics", "create", "old")

    done = command("topics", "create", *args)

    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1
    assert directory.exists() == there
    assert command("topics", "list").stdout == (b"old\n" if there else b"")


def test_of_several_topics_all_are_created_or_none(command: Command) -> None:
    command("topics", "create", "b")

    refused = command("topics", "create", "a", "b", "c")
    listed = command("topics", "list").stdout
    done = command("topics", "create", "a", "b", "c", "--if-not-exists")

    assert (refused.returncode, refused.stdout, listed) == (1, b"", b"b\n")
    assert (done.returncode, done.stdout) == (0, b"Created topic a.\nCreated topic c.\n")


def test_what_topics_hold_is_a_table_or_json(command: Command) -> None:
    command("topics", "create", "empty", "-p", "2")
    command("produce", "full", input=b"x\n" * 10)

    table = command("topics", "list", "--long").stdout.decode().splitlines()
    rows = json.loads(command("topics", "list", "--json").stdout)

    assert table[0].split() == ["TOPIC", "PARTITIONS", "OFFSETS", "SIZE"]
    assert table[1].split() == ["empty", "2", "0", "0"]
    assert table[2].split()[:3] == ["full", "1", "10"]
    assert rows[0] == {"topic": "empty", "partitions": 2, "offsets": 0, "size": 0}
    assert (rows[1]["offsets"], str(rows[1]["size"])) == (10, table[2].split()[3])


def test_internal_topics_can_be_left_out(command: Command) -> None:
    command("produce", "t", input=b"x\n")
    command("consume", "t", "-g", "g", "--from-beginning", "-n", "1")

    assert command("topics", "list").stdout == b"__consumer_offsets\nt\n"
    assert command("topics", "list", "--exclude-internal").stdout == b"t\n"


def test_a_topic_is_deleted_beside_another_process(start: Start, command: Command) -> None:
    command("topics", "create", "a", "b", "c")
    beside = start("produce", "b", stdin=subprocess.PIPE)
    assert beside.stdin is not None
    beside.stdin.write(b"x\n")
    beside.stdin.flush()

    done = command("topics", "delete", "a", "c")

    assert (done.returncode, done.stdout) == (0, b"Deleted topic a.\nDeleted topic c.\n")
    assert command("topics", "list").stdout == b"b\n"


def test_nothing_is_deleted_if_one_is_not_there(command: Command) -> None:
    command("topics", "create", "a")

    assert command("topics", "delete", "a", "x").returncode == 1
    assert command("topics", "list").stdout == b"a\n"
    assert command("topics", "delete", "a", "x", "--if-exists").stdout == b"Deleted topic a.\n"


def test_a_topic_is_described_with_its_partitions_and_settings(command: Command) -> None:
    command("topics", "create", "a", "-p", "2", "-c", "retention.ms=60000")
    command("produce", "a", "-p", "1", input=b"x\n" * 3)

    lines = command("topics", "describe", "a").stdout.decode().splitlines()
    (facts,) = json.loads(command("topics", "describe", "a", "--json").stdout)

    head = f"Topic: a  TopicId: {facts['topic_id']}  PartitionCount: 2"
    assert lines[0] == head
    assert lines[1].split() == ["PARTITION", "LOG-START-OFFSET", "LOG-END-OFFSET", "SIZE"]
    assert lines[2].split() == ["0", "0", "0", "0"]
    assert lines[3].split()[:3] == ["1", "0", "3"]
    assert lines[5].split() == ["retention.ms", "60000", "DYNAMIC_TOPIC_CONFIG"]
    assert [row["log_end_offset"] for row in facts["partitions"]] == [0, 3]
    source = {"value": "60000", "source": "DYNAMIC_TOPIC_CONFIG"}
    assert facts["configs"] == {"retention.ms": source}


def test_every_setting_is_described_with_its_default(command: Command) -> None:
    command("topics", "create", "a", "b")

    rows = json.loads(command("topics", "describe", "--all-configs", "--json").stdout)

    assert [row["topic"] for row in rows] == ["a", "b"]
    assert rows[0]["configs"]["segment.bytes"] == {
        "value": "1073741824",
        "source": "DEFAULT_CONFIG",
    }
    assert len(rows[0]["configs"]) > 25


def test_a_topic_is_altered_beside_another_process(start: Start, command: Command) -> None:
    command("topics", "create", "a", "-c", "retention.ms=60000")
    beside = start("consume", "a")
    args = ["-p", "3", "-c", "max.message.bytes=1000", "-d", "retention.ms"]

    checked = command("topics", "alter", "a", *args, "--validate-only")
    (before,) = json.loads(command("topics", "describe", "a", "--json").stdout)
    done = command("topics", "alter", "a", *args)
    (after,) = json.loads(command("topics", "describe", "a", "--json").stdout)

    assert (checked.returncode, checked.stdout) == (0, b"Topic a can be altered.\n")
    assert (len(before["partitions"]), list(before["configs"])) == (1, ["retention.ms"])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"Altered topic a.\n", b"")
    assert (len(after["partitions"]), list(after["configs"])) == (3, ["max.message.bytes"])
    assert command("produce", "a", input=b"x" * 2000).returncode == 1
    assert beside.poll() is None


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["a"], 2),
        (["a", "-c", "retention.ms"], 2),
        (["a", "-c", "retention.ms=1", "-d", "retention.ms"], 2),
        (["a", "-p", "0"], 2),
        (["a", "-p", str(1 << 31)], 2),
        (["a", "-p", "1"], 1),
        (["a", "-c", "retention.ms=soon"], 2),
        (["a", "-c", "retention.mx=1"], 2),
        (["a", "-d", "nonsense"], 2),
        (["b", "-p", "2"], 1),
    ],
)
def test_what_cannot_be_altered_is_said(command: Command, args: list[str], code: int) -> None:
    command("topics", "create", "a", "-p", "2")

    done = command("topics", "alter", *args)

    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1


def test_partitions_that_have_the_offset_are_purged(command: Command, topic: str) -> None:
    for number in range(3):
        lines = b"".join(b"%d\n" % it for it in range(4 * number + 1))
        command("produce", topic, "-p", number, input=lines)
    command("topics", "purge", topic, "-p", "2", "--before", "7")

    done = command("topics", "purge", topic, "--before", "4", "--json")

    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.startswith(b"brokerless: t-0: ")
    starts = {row["partition"]: row["log_start_offset"] for row in json.loads(done.stdout)}
    assert starts == {1: 4, 2: 7}


def test_what_a_topic_forbids_is_said_once(command: Command) -> None:
    command("topics", "create", "a", "-p", "3", "-c", "cleanup.policy=compact")

    done = command("topics", "purge", "a")

    assert (done.returncode, done.stdout) == (1, b"")
    assert len(done.stderr.splitlines()) == 1


def test_one_partition_is_not_one_partitions(command: Command) -> None:
    command("topics", "create", "a")

    done = command("topics", "alter", "a", "-p", "1")

    said = b'brokerless: topic "a" has 1 partition; 1 is not more\n'
    assert (done.returncode, done.stderr) == (1, said)


def test_where_there_cannot_be_so_many_partitions_no_setting_is_altered(command: Command) -> None:
    command("topics", "create", "a", "-p", "2")

    done = command("topics", "alter", "a", "-p", "1", "-c", "retention.ms=7")

    (facts,) = json.loads(command("topics", "describe", "a", "--json").stdout)
    assert (done.returncode, facts["configs"]) == (1, {})


@pytest.mark.parametrize(
    ("args", "left"),
    [
        ([], []),
        (["--before", "4"], [4, 5, 6, 7, 8, 9]),
        (["--before", "-3"], [7, 8, 9]),
        (["--before", "@3"], [3, 4, 5, 6, 7, 8, 9]),
        (["--before", "earliest"], list(range(10))),
    ],
)
def test_records_are_purged_and_the_topic_stays(
    command: Command, args: list[str], left: list[int]
) -> None:
    lines = b"".join(b'{"value": "%d", "timestamp": %d}\n' % (it, it) for it in range(10))
    command("produce", "a", "--json", input=lines)

    done = command("topics", "purge", "a", "--json", *args)

    (row,) = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert row == {"topic": "a", "partition": 0, "log_start_offset": 10 - len(left)}
    command("produce", "a", input=b"new\n")
    found = command("consume", "a", "-o", "earliest", "-e", "-f", "%o ").stdout
    assert list(map(int, found.split())) == [*left, 10]


def test_what_cannot_be_purged_is_said(command: Command) -> None:
    command("produce", "a", input=b"x\n")
    command("topics", "create", "compacted", "-c", "cleanup.policy=compact")

    for args in (["nowhere"], ["a", "-p", "1"], ["a", "--before", "9"], ["compacted"]):
        done = command("topics", "purge", *args)
        assert (done.returncode, done.stdout) == (1, b""), args
        assert done.stderr.startswith(b"brokerless: ")
        assert len(done.stderr.splitlines()) == 1
    assert command("topics", "purge", "a", "--before", "soon").returncode == 2
    assert command("consume", "a", "-o", "0", "-e").stdout == b"x\n"


def test_where_tells_who_has_it_open(start: Start, command: Command, directory: Path) -> None:
    command("produce", "t", input=b"x\n")
    holder = start("consume", "t", "--from-beginning")
    assert holder.stdout is not None
    holder.stdout.readline()

    shown = command("where").stdout.decode().splitlines()
    facts = json.loads(command("where", "--json").stdout)

    assert shown[0] == str(directory)
    assert shown[1].endswith("on the disk")
    assert facts["directory"] == str(directory)
    assert facts["exists"]
    size = sum(path.lstat().st_blocks * 512 for path in directory.rglob("*") if path.is_file())
    assert facts["size"] == size
    if Path("/proc/self/fd").is_dir():
        assert [it["pid"] for it in facts["open_by"]] == [holder.pid]
        assert "consume t" in facts["open_by"][0]["command"]
        assert shown[-1].split()[0] == str(holder.pid)


def test_where_of_a_directory_that_is_not_there(command: Command, directory: Path) -> None:
    facts = json.loads(command("where", "--json").stdout)

    assert command("where").stdout == f"{directory}\n".encode()
    assert facts == {
        "directory": str(directory),
        "exists": False,
        "usable": True,
        "size": 0,
        "open_by": [],
    }
    assert not directory.exists()


@pytest.mark.parametrize("option", [[], ["--json"]], ids=str)
@pytest.mark.parametrize("is_folder", [True, False])
def test_where_something_else_is_scripts_can_tell(
    command: Command, directory: Path, option: list[str], is_folder: bool
) -> None:
    if is_folder:
        directory.mkdir()
    letter = directory / "letter.txt" if is_folder else directory
    letter.write_text("Dear Sir")

    done = command("where", *option)

    assert done.returncode == 1
    assert done.stderr.decode() == f"brokerless: {directory} is no data directory\n"
    if option:
        facts = json.loads(done.stdout)
        assert (facts["directory"], facts["usable"]) == (str(directory), False)


@pytest.mark.parametrize("line", ["--dir file where --json", "where --json --dir file"])
def test_where_tells_of_a_file_that_is_given_as_the_directory(
    command: Command, tmp_path: Path, line: str
) -> None:
    (tmp_path / "file").write_text("Dear Sir")

    done = command(*line.split())

    assert done.returncode == 1
    facts = json.loads(done.stdout)
    assert (facts["directory"], facts["usable"]) == (str(tmp_path / "file"), False)


def test_where_there_is_nothing_yet_is_no_error(command: Command, directory: Path) -> None:
    directory.mkdir()

    assert command("where", "--json").returncode == 0


def test_a_script_can_have_the_path_alone(command: Command, directory: Path) -> None:
    command("topics", "create", "t")

    assert command("where", "--path").stdout == f"{directory}\n".encode()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(command: Command, shell: str) -> None:
    done = command("completion", shell)

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"_BROKERLESS_COMPLETE" in done.stdout


def completed(line: str) -> list[str]:
    """What bash is offered for the last word."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "brokerless"],
        env={
            **os.environ,
            "_BROKERLESS_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["brokerless", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return [line.split(",", 1)[1] for line in done.stdout.split()]


def test_commands_options_and_topics_complete(command: Command) -> None:
    command("topics", "create", "orders", "orphans", "other")
    command("produce", "orders", input=b"x\n")
    command("consume", "orders", "-g", "billing", "--from-beginning", "-n", "1")

    assert completed("con") == ["consume"]
    assert completed("topics de") == ["describe", "delete"]
    assert completed("consume --from") == ["--from-beginning"]
    assert completed("consume or") == ["orders", "orphans"]
    assert completed("topics delete ot") == ["other"]
    assert completed("consume __") == ["__consumer_offsets"]
    assert "__consumer_offsets" not in completed("consume ")


def test_completion_makes_no_directory(command: Command, directory: Path) -> None:
    assert completed("consume x") == []
    assert not directory.exists()


def test_topics_of_which_one_is_named_twice_are_not_created(
    command: Command, directory: Path
) -> None:
    done = command("topics", "create", "a", "b", "a")

    assert done.returncode == 2
    assert done.stderr.startswith(b"brokerless: topic 'a' is named twice")
    assert not directory.exists()


@pytest.mark.parametrize("line", ["create n", "alter t"])
def test_a_setting_that_is_given_twice_is_refused(command: Command, line: str) -> None:
    command("topics", "create", "t")

    done = command("topics", *line.split(), "-c", "retention.ms=5", "-c", "retention.ms=6")

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"brokerless: setting 'retention.ms' is given twice")
    assert command("topics", "list").stdout == b"t\n"
