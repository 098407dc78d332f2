"""All that `brokerless` prints is written whole, or it is an error."""

import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import KafkaConsumer, KafkaProducer, TopicPartition

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

LINES = b"".join(b"%0999d\n" % number for number in range(1000))
EXPORT = ["export", "many"]
CONSUME = ["consume", "many", "--from-beginning", "--exit-at-end"]


@pytest.fixture(params=["1", ""], ids=["unbuffered", "buffered"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic of a megabyte, for an interpreter with and without a buffer of its own."""
    monkeypatch.setenv("PYTHONUNBUFFERED", request.param)
    with KafkaProducer() as producer:
        for line in LINES.splitlines():
            producer.send("many", line)
    return "many"


def wait_until_blocked(process: "subprocess.Popen[bytes]") -> None:
    """Wait until it has filled its pipe, and waits for the reader."""
    assert process.stdout is not None
    select.select([process.stdout], [], [], 60)
    place = Path(f"/proc/{process.pid}/wchan")
    for _ in range(3000):
        if "pipe_w" in place.read_text():
            return
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="cannot see who waits")
@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("args", [CONSUME, EXPORT], ids=" ".join)
def test_a_stopped_and_continued_process_prints_everything(start: Start, args: list[str]) -> None:
    process = start(*args)
    wait_until_blocked(process)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    process.send_signal(signal.SIGCONT)

    printed, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert len(printed.splitlines()) == 1000 + (args is EXPORT)


@pytest.mark.usefixtures("many")
def test_a_pipe_that_does_not_block_gets_everything(start: Start) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = start(*CONSUME, stdout=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == LINES
    assert process.wait(60) == 0


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("args", [[*CONSUME[:2], "-e", "-g", "g"], EXPORT], ids=" ".join)
def test_a_disk_that_takes_a_part_is_an_error_and_nothing_is_committed(
    command: Command, tmp_path: Path, args: list[str]
) -> None:
    command("consume", "many", "-g", "g", "--from-beginning", "--max-records", "10")
    with (tmp_path / "out").open("wb") as out:
        done = command(*args, stdout=out, preexec_fn=limit_files)

    assert (done.returncode, done.stderr) == (1, b"brokerless: cannot write: File too large\n")
    assert committed("g") == 10


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))


def committed(group: str) -> int | None:
    with KafkaConsumer(group_id=group) as consumer:
        return consumer.committed(TopicPartition("many", 0))


@pytest.mark.usefixtures("many")
def test_a_reader_of_ten_bytes_commits_only_the_beginning(start: Start) -> None:
    process = start("consume", "many", "--from-beginning", "-e", "-g", "g")
    assert process.stdout is not None
    assert len(os.read(process.stdout.fileno(), 10)) == 10
    process.stdout.close()
    process.stdout = None

    process.communicate(timeout=60)

    assert process.returncode == 141
    assert committed("g") == 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["topics", "list"], 1),
        (["topics", "describe", "many"], 1),
        (["where"], 1),
        (["where", "--json"], 1),
        (["completion", "bash"], 1),
        (["--version"], 1),
        (["--help"], 1),
        (["verify"], 2),
    ],
)
@pytest.mark.usefixtures("many")
def test_a_closed_output_is_said_in_one_line(command: Command, args: list[str], code: int) -> None:
    done = command(*args, stdout=None, preexec_fn=lambda: os.close(1))

    assert done.returncode == code
    assert done.stderr.decode().endswith("the standard output is closed\n")
    assert len(done.stderr.splitlines()) == 1


def test_where_errors_have_no_place_they_are_not_printed_among_records(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "brokerless", "consume", "t"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["topics", "list"], 0),
        (["groups", "list"], 0),
        (["groups", "describe", "none"], 1),
        (["export"], 0),
        (["consume", "t", "-o0", "-n1"], 0),
        (["compact", "t"], 1),
        (["verify"], 0),
        (["verify", "nowhere"], 2),
        (["run", "-c", "print(1)"], 0),
        (["run", "-m", "no_such_module"], 1),
        (["run", "nowhere.py"], 2),
        (["run", "--bogus"], 2),
        (["run", "--dir", "", "-c", "1"], 2),
        (["run", "-"], 0),
    ],
)
def test_a_command_does_the_same_where_other_standard_streams_are_closed(
    command: Command, args: list[str], code: int
) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"x")
    whole = command(*args)

    done = command(*args, preexec_fn=lambda: [os.close(number) for number in (0, 2)])

    assert (whole.returncode, done.returncode) == (code, code)
    assert (done.stdout, done.stderr) == (whole.stdout, b"")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no such folder on this system")
@pytest.mark.parametrize("number", [0, 2])
def test_no_file_of_the_directory_takes_the_place_of_a_closed_stream(number: int) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"x")
    shell = f'exec "$@" {number}>&-'
    line = [sys.executable, "-m", "brokerless", "consume", "t", "--from-beginning"]
    with subprocess.Popen(["sh", "-c", shell, "sh", *line], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"x\n"

        place = Path(f"/proc/{process.pid}/fd/{number}").readlink()
        process.kill()

    assert place == Path(os.devnull)
