"""`brokerless verify`, as a script uses it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaConsumer, KafkaProducer, TopicPartition

LOG = "orders-0/00000000000000000000.log"

Verify = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    """Runs `brokerless verify ARGS`."""

    def verify(*args: object, **options: object) -> object:
        return subprocess.run(
            [sys.executable, "-m", "brokerless", "verify", *map(str, args)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=60,
            **options,  # type: ignore[call-overload]
        )

    return verify  # type: ignore[return-value]


FILL = """
import sys
from brokerless import KafkaProducer
with KafkaProducer(bootstrap_servers=sys.argv[1], linger_ms=0) as producer:
    for number in range(5):
        producer.send("orders", b"value %d" % number, timestamp_ms=1).get()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory that another process has filled and closed: five batches."""
    data = tmp_path / "data"
    subprocess.run([sys.executable, "-c", FILL, str(data)], check=True, timeout=60)
    return data


def damage(data: Path) -> None:
    """Changes the first record of the log."""
    log = data / LOG
    content = bytearray(log.read_bytes())
    content[70] ^= 1
    log.write_bytes(content)


def files(data: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}


def test_a_directory_without_damage_exits_with_0(verify: Verify, data: Path) -> None:
    done = verify(data)

    assert (done.returncode, done.stderr) == (0, "")
    assert "1 partition, 1 segment, 5 records" in done.stdout
    assert "nothing is wrong" in done.stdout


def test_damage_exits_with_1_and_says_where_it_is(verify: Verify, data: Path) -> None:
    damage(data)
    before = files(data)

    done = verify(data)

    assert done.returncode == 1
    assert f"error   {LOG}, position 0, offset 0: " in done.stdout
    assert "offsets 0 to 0 are lost [damaged-batch]" in done.stdout
    assert files(data) == before


@pytest.mark.parametrize("args", [["missing"], ["data", "--nonsense"], ["data", "more"]])
def test_what_cannot_be_looked_at_exits_with_2_and_one_line(
    verify: Verify, data: Path, args: list[str]
) -> None:
    done = verify(*args)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("brokerless: ")
    assert "Traceback" not in done.stderr


def test_json_says_also_why_a_directory_cannot_be_looked_at(verify: Verify) -> None:
    done = verify("missing", "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, set(report)) == (2, {"directory", "error"})
    assert done.stderr == f"brokerless: {report['error']}\n"


def test_a_folder_without_data_is_refused_and_left_as_it_is(verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()

    done = verify("photos", "--repair")

    assert (done.returncode, done.stdout) == (2, "")
    assert "photos is no data directory" in done.stderr
    assert list((tmp_path / "photos").iterdir()) == []


def test_a_name_is_that_of_a_folder_with_and_without_dir(verify: Verify, data: Path) -> None:
    for args in (["data"], ["--dir", "data"]):
        done = verify(*args)

        assert done.stdout.startswith(f"{data}: "), args


def test_nobody_who_reads_the_output_is_no_reason_for_a_traceback(data: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "brokerless", "verify", str(data)],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (128 + 13, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_output_that_finds_no_room_exits_with_2_and_one_line(data: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "brokerless", "verify", str(data)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )

    assert done.returncode == 2
    assert done.stderr == b"brokerless: cannot write: No space left on device\n"


def test_json_is_one_object_with_snake_case_keys(verify: Verify, data: Path) -> None:
    damage(data)

    done = verify(data, "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["errors"], report["warnings"]) == (1, 1, 0)
    assert (report["records"], report["in_use"], report["directory"]) == (4, False, str(data))
    (finding,) = report["findings"]
    assert finding.pop("message")
    assert finding.pop("remedy")
    assert finding == {
        "severity": "error",
        "code": "damaged-batch",
        "path": LOG,
        "position": 0,
        "offset": 0,
    }
    assert all(key == key.lower() and key.isidentifier() for key in report)


def test_a_repair_keeps_the_other_records_and_the_damaged_bytes(verify: Verify, data: Path) -> None:
    damage(data)
    whole = (data / LOG).read_bytes()

    done = verify(data, "--repair", "--json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["errors"], report["left"]) == (1, 1, ANY_NOTES)
    assert report["repairs"]
    assert (data / (LOG + ".from-0.quarantined")).read_bytes() == whole
    assert verify(data).returncode == 0
    assert values(data) == [(number, b"value %d" % number) for number in range(1, 5)]


class _Notes:
    """Equal to a list of notes."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and all(note["severity"] == "note" for note in other)

    __hash__ = None  # type: ignore[assignment]


ANY_NOTES = _Notes()


def values(data: Path) -> list[tuple[int, bytes]]:
    consumer = KafkaConsumer(
        bootstrap_servers=str(data), consumer_timeout_ms=500, auto_offset_reset="earliest"
    )
    consumer.assign([TopicPartition("orders", 0)])
    found = [(record.offset, record.value) for record in consumer]
    consumer.close()
    return found


def test_a_second_repair_changes_nothing(verify: Verify, data: Path) -> None:
    damage(data)
    verify(data, "--repair")
    before = files(data)

    done = verify(data, "--repair", "--json")

    assert (done.returncode, json.loads(done.stdout)["repairs"]) == (0, [])
    assert files(data) == before


def test_a_directory_that_is_open_is_checked_and_not_repaired(verify: Verify, data: Path) -> None:
    with KafkaProducer(bootstrap_servers=str(data)) as producer:
        producer.send("orders", b"value 5").get()

        checked, repaired = verify(data, "--json"), verify(data, "--repair")

    assert (checked.returncode, json.loads(checked.stdout)["in_use"]) == (0, True)
    assert repaired.returncode == 2
    assert "is open in another process" in repaired.stderr
    assert len(repaired.stderr.splitlines()) == 1


def test_without_a_name_the_default_directory_is_checked(verify: Verify, data: Path) -> None:
    done = verify(env={**os.environ, "BROKERLESS_DIR": str(data)})

    assert done.returncode == 0
    assert done.stdout.startswith(f"{data}: ")


def test_the_progress_line_is_for_terminals(data: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "brokerless", "verify", str(data)],
        stdout=subprocess.PIPE,
        stderr=follower,
        check=False,
        timeout=60,
    )
    os.close(follower)

    assert done.returncode == 0
    assert b"1 of 1 partitions" in os.read(leader, 10_000)
    os.close(leader)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nowhere", "list {}/nowhere: No such file or directory\n"),
        ("kafka://nowhere", "DIR='kafka://nowhere': a directory is a path or a file:// URL"),
    ],
)
def test_what_is_no_directory_is_one_plain_line(
    verify: Verify, tmp_path: Path, where: str, said: str
) -> None:
    done = verify(where)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("brokerless: " + said.format(tmp_path))
    assert len(done.stderr.splitlines()) == 1
