"""Arguments of the command line that are no text."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]

NO_TEXT = os.fsdecode(b"a\xfe")


@pytest.mark.parametrize(
    "line",
    [
        "topics create %",
        "topics create t -c retention.ms=%",
        "topics describe %",
        "topics alter t -c retention.ms=%",
        "topics alter t -d %",
        "topics delete %",
        "topics purge %",
        "produce %",
        "produce t -H %=x",
        "consume % -e",
        "consume t -e -g %",
        "compact %",
        "export %",
        "import --topic %",
        "groups describe %",
        "groups delete %",
        "groups reset % --all-topics --to-latest",
        "groups reset g --topic %:0 --to-latest",
    ],
)
def test_bytes_that_are_no_text_are_wrong_arguments(command: Command, line: str) -> None:
    command("topics", "create", "t")

    done = command(*line.replace("%", NO_TEXT).split())

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"brokerless: Invalid value for ")
    assert rb"a\xfe" in done.stderr
    assert b"is no UTF-8" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("line", ["--dir % produce t", "topics list --dir %", "verify %"])
def test_a_directory_that_has_no_text_is_a_wrong_argument(
    command: Command, tmp_path: Path, line: str
) -> None:
    done = command(*line.replace("%", NO_TEXT).split())

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"the path of a directory must be UTF-8" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / NO_TEXT).exists()


@pytest.mark.parametrize("line", ["where", "produce t", "verify"])
def test_a_variable_with_a_directory_that_has_no_text_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("BROKERLESS_DIR", NO_TEXT)

    done = command(*line.split())

    assert done.returncode in (1, 2)
    assert done.stderr.startswith(b"brokerless: BROKERLESS_DIR: the path of a directory must be")
    assert len(done.stderr.splitlines()) == 1
