"""The command line in a directory that it may not write to."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]

LOOKING = [
    "topics list",
    "topics list --long",
    "topics describe",
    "consume t -o 0 -e",
    "export",
    "groups list",
    "groups describe",
]


@pytest.fixture
def locked(command: Command, directory: Path) -> Iterator[Path]:
    """A directory with a topic and a group, which nobody may change."""
    command("produce", "t", input=b"x\n")
    command("consume", "t", "-g", "g", "--from-beginning", "-e")
    folders = [directory, *(path for path in directory.iterdir() if path.is_dir())]
    for path in folders:
        path.chmod(0o500)
    if os.access(directory, os.W_OK):
        pytest.skip("root may write anywhere")
    yield directory
    for path in folders:
        path.chmod(0o700)


@pytest.mark.parametrize("line", LOOKING)
def test_read_only_needs_no_right_to_write(command: Command, locked: Path, line: str) -> None:
    done = command(*line.split(), "--read-only")

    assert done.returncode == 0, done.stderr
    assert done.stdout != b""


@pytest.mark.parametrize("line", LOOKING)
def test_what_can_be_read_only_says_so(command: Command, locked: Path, line: str) -> None:
    done = command(*line.split())

    assert done.returncode == 1
    assert done.stderr.endswith(b"; get the right to write, or give --read-only\n")


@pytest.mark.parametrize("line", ["consume t -g g -e", "topics purge t", "groups delete g"])
def test_what_has_to_write_says_only_that_it_cannot(
    command: Command, locked: Path, line: str
) -> None:
    done = command(*line.split())

    assert done.returncode == 1
    assert done.stderr.endswith(b"; get the right to write\n")


@pytest.mark.parametrize("line", ["where", "verify", "dump data/t-0"])
def test_what_only_looks_at_files_needs_no_right_to_write(
    command: Command, locked: Path, line: str
) -> None:
    assert command(*line.split()).returncode == 0


@pytest.mark.parametrize("line", LOOKING)
def test_read_only_changes_nothing(command: Command, directory: Path, line: str) -> None:
    command("produce", "t", input=b"x\n")
    command("consume", "t", "-g", "g", "--from-beginning", "-e")
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}

    done = command(*line.split(), "--read-only")

    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before
