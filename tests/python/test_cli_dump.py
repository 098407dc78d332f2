"""`brokerless dump`, as a shell uses it. `make interop` compares it with Kafka's own tool."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaProducer

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

GOLDEN = Path(__file__).parents[1] / "data" / "kafka"
LOG = "orders-0/00000000000000000000.log"


@pytest.fixture
def data(command: Command, directory: Path) -> Path:
    """A directory with a log of five batches, of two records each."""
    with KafkaProducer(linger_ms=60_000) as producer:
        for number in range(5):
            for half in (0, 1):
                producer.send(
                    "orders",
                    b"value %d" % (2 * number + half),
                    key=b"\xff" if half else None,
                    headers=[("h", b"x")] * half,
                    timestamp_ms=1000,
                )
            producer.flush()
    return directory


def damage(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_a_log_is_shown_as_kafkas_tool_shows_it(command: Command, data: Path) -> None:
    done = command("dump", data / LOG)

    lines = done.stdout.split(b"\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert lines[0] == f"Dumping {data / LOG}".encode()
    assert lines[1] == b"Log starting offset: 0"
    assert lines[2].startswith(
        b"baseOffset: 0 lastOffset: 1 count: 2 baseSequence: -1 lastSequence: -1 producerId: -1 "
        b"producerEpoch: -1 partitionLeaderEpoch: 0 isTransactional: false isControl: false "
        b"deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1000 size: "
    )
    assert lines[2].endswith(b" isvalid: true")
    assert lines[3] == (
        b"| offset: 0 CreateTime: 1000 keySize: -1 valueSize: 7 sequence: -1 headerKeys: [] "
        b"payload: value 0"
    )
    assert lines[4] == (
        b"| offset: 1 CreateTime: 1000 keySize: 1 valueSize: 7 sequence: -1 headerKeys: [h] "
        b"key: \xff payload: value 1"
    )
    assert sum(line.startswith(b"baseOffset: ") for line in lines) == 5


def test_less_can_be_shown(command: Command, data: Path) -> None:
    batches = command("dump", data / LOG, "--batches").stdout
    records = command("dump", data / LOG, "--no-data").stdout
    values = command("dump", data / LOG, "--skip-record-metadata").stdout
    size = len((data / LOG).read_bytes())
    part = command("dump", data / LOG, "--max-bytes", size - 1)

    assert batches.count(b"baseOffset") == 5
    assert b"| " not in batches
    assert records.count(b"| offset") == 10
    assert b"payload" not in records
    assert values.count(b"| payload: value") + values.count(b"| key: \xff payload: value") == 10
    assert (part.returncode, part.stdout.count(b"baseOffset"), part.stderr) == (0, 4, b"")


def test_json_says_the_same(command: Command, data: Path) -> None:
    done = command("dump", data / LOG, "--json")

    facts = [json.loads(line) for line in done.stdout.splitlines()]
    batch = facts[1]
    assert [fact["kind"] for fact in facts] == ["log", *["batch"] * 5]
    assert {fact["file"] for fact in facts} == {str(data / LOG)}
    assert (batch["base_offset"], batch["count"], batch["is_valid"]) == (0, 2, True)
    assert batch["records"][1] == {
        "offset": 1,
        "timestamp": 1000,
        "key": {"base64": "/w=="},
        "value": "value 1",
        "sequence": -1,
        "headers": [["h", "x"]],
        "key_size": 1,
        "value_size": 7,
        "header_keys": ["h"],
    }


def test_damage_is_said_and_what_is_behind_it_is_shown(command: Command, data: Path) -> None:
    damage(data / LOG, 70)

    done = command("dump", data / LOG)

    lines = done.stdout.split(b"\n")
    assert done.returncode == 1
    assert lines[2].endswith(b" isvalid: false")
    assert sum(line.endswith(b" isvalid: true") for line in lines) == 4
    assert done.stderr == (
        f"{data / LOG}: position 0, offset 0: the checksum of the batch is wrong\n".encode()
    )


def test_what_is_no_batch_is_said_with_its_place(command: Command, data: Path) -> None:
    content = (data / LOG).read_bytes()
    size = 12 + int.from_bytes(content[8:12], "big")
    (data / LOG).write_bytes(content[:size] + b"\xff" * 30 + content[size:] + b"\0" * 9)

    done = command("dump", data / LOG)

    name = Path(LOG).name
    assert done.returncode == 1
    assert done.stdout.count(b" isvalid: true") == 5
    assert f"Found 30 invalid bytes at position {size} of {name}\n".encode() in done.stdout
    assert done.stdout.endswith(f"Found 9 invalid bytes at the end of {name}\n".encode())
    assert len(done.stderr.splitlines()) == 2


def test_every_file_of_a_folder_is_shown(command: Command, data: Path) -> None:
    done = command("dump", data / "orders-0", data)

    assert done.returncode == 0
    shown = [line[8:].decode() for line in done.stdout.splitlines() if line[:8] == b"Dumping "]
    names = [Path(path).name for path in shown]
    assert names[:5] == [
        "00000000000000000000.index",
        "00000000000000000000.log",
        "00000000000000000000.timeindex",
        "leader-epoch-checkpoint",
        "partition.metadata",
    ]
    assert "recovery-point-offset-checkpoint" in names[5:]
    assert b"\nepoch: 0 startOffset: 0\n" in done.stdout
    assert b"\ntimestamp: 1000 offset: 1\n" in done.stdout
    assert b"\ntopic: orders partition: 0 offset: 10\n" in done.stdout


def test_an_index_that_does_not_fit_is_said(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "segments-0"
    shutil.copytree(GOLDEN / "clean" / "segments-0", folder)
    index = next(file for file in sorted(folder.glob("*.index")) if file.stat().st_size >= 8)
    assert command("dump", folder).returncode == 0
    damage(index, 3)

    done = command("dump", index)
    checked = command("dump", index, "--verify-index-only")

    assert (done.returncode, checked.returncode) == (1, 1)
    assert b": at position " in done.stderr
    assert checked.stderr == done.stderr
    assert checked.stdout.count(b"\noffset: ") == 1


@pytest.mark.parametrize("name", ["clean", "killed", "old"])
def test_every_file_of_a_broker_is_shown(command: Command, name: str, tmp_path: Path) -> None:
    folders = [
        path
        for path in sorted((GOLDEN / name).iterdir())
        if path.is_dir() and not path.name.startswith("__cluster")
    ]

    done = command("dump", *folders)

    files = {
        str(file)
        for folder in folders
        for file in folder.iterdir()
        if file.suffix in (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
    }
    shown = {line[8:].decode() for line in done.stdout.splitlines() if line[:8] == b"Dumping "}
    assert files <= shown
    assert b"endTxnMarker: COMMIT" in done.stdout or name == "old"
    assert (done.returncode == 0) == (name != "old")
    for line in done.stderr.splitlines():
        # Compaction leaves gaps; old brokers wrote first offsets into their indexes.
        assert (
            b" is followed by " in line
            or line.startswith(b"Non-consecutive")
            or (name == "old" and b" a batch ends with offset " in line)
        ), line


def test_committed_offsets_are_decoded(command: Command, data: Path) -> None:
    command("consume", "orders", "-g", "billing", "--from-beginning", "-n", "3")
    logs = [path for path in data.glob("__consumer_offsets-*/*.log") if path.stat().st_size]

    text = command("dump", "--offsets-decoder", *logs).stdout.decode()
    lines = command("dump", "--offsets-decoder", "--json", *logs).stdout.splitlines()

    commit = '{"type":"1","data":{"group":"billing","topic":"orders","partition":0}}'
    assert f'key: {commit} payload: {{"version":"3","data":{{"offset":3,' in text
    records = [record for line in lines for record in json.loads(line).get("records", ())]
    keys = [record["key"] for record in records]
    assert '{"type":"2","data":{"group":"billing"}}' in keys
    # The first one is where the group began.
    *_, last = (record for record in records if record["key"] == commit)
    data = json.loads(last["value"])["data"]
    assert data.pop("commitTimestamp") > 1_700_000_000_000
    assert data == {"offset": 3, "leaderEpoch": 0, "metadata": ""}


def test_records_that_are_no_offsets_are_passed_over(command: Command, data: Path) -> None:
    done = command("dump", "--offsets-decoder", data / LOG)

    assert done.returncode == 0
    assert b"key: Error at offset 0, skipping. the key is missing\n" in done.stdout
    assert b"key: Error at offset 1, skipping. " in done.stdout


def test_a_file_is_shown_while_it_is_written(start: Start, command: Command, data: Path) -> None:
    start("produce", "orders", "/dev/zero", "-D", "\\0")  # never ends

    for _ in range(5):
        done = command("dump", data / LOG, "--batches")
        assert done.stdout.count(b" isvalid: true") >= 5
        assert b" isvalid: false" not in done.stdout


def test_what_is_no_file_of_a_log_is_said(command: Command, data: Path) -> None:
    (data / "letter.txt").write_text("Dear Sir")

    done = command("dump", data / "letter.txt", data / LOG)

    assert done.returncode == 1
    assert done.stderr.endswith(b"letter.txt: this is no file of a log directory\n")
    assert done.stdout.count(b" isvalid: true") == 5
    assert command("dump", data / "nowhere.log").returncode == 2
    assert command("dump").returncode == 2


UNREADABLE = Path("/proc/self/mem")
"""For root, too: nothing lies at its beginning."""


@pytest.mark.skipif(not UNREADABLE.exists(), reason="no such file on this system")
@pytest.mark.parametrize("as_json", [False, True])
def test_what_cannot_be_read_is_said_and_the_other_files_are_shown(
    command: Command, data: Path, as_json: bool
) -> None:
    closed = data / "orders-0" / "cleaner-offset-checkpoint"
    closed.symlink_to(UNREADABLE)
    (data / "empty").mkdir()

    done = command("dump", data / "empty", closed, data / "orders-0", *["--json"] * as_json)

    lines = [
        f"{data / 'empty'}: it holds no file of a log",
        f"{closed}: Input/output error",
        f"{closed}: Input/output error",
    ]
    assert (done.returncode, done.stderr.decode().splitlines()) == (1, lines)
    assert done.stdout.count(b"leader-epoch-checkpoint") >= 1
    assert done.stdout.count(b"value 9") == 1


def test_a_checkpoint_that_is_not_whole_is_said(command: Command, data: Path) -> None:
    file = data / "orders-0" / "leader-epoch-checkpoint"
    file.write_text("0\n3\n0 0\nnonsense\n")

    done = command("dump", file)

    assert done.returncode == 1
    assert b"epoch: 0 startOffset: 0\n" in done.stdout
    assert b"the list is not whole" in done.stderr
    assert b"this is no entry: nonsense" in done.stderr
