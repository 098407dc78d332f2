"""Ctrl-C where no command is at work: while `brokerless` starts, and when it is done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]

CTRL_C = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(30)"


def with_module(folder: Path, name: str, code: str) -> dict[str, str]:
    """An environment in which a module is this code."""
    (folder / f"{name}.py").write_text(code)
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize(
    ("module", "args"),
    [
        ("click", ["topics", "list"]),
        ("click", ["--help"]),
        ("pathlib", ["run", "program.py"]),
        ("difflib", ["verify"]),
    ],
)
def test_ctrl_c_while_it_starts_is_no_traceback(
    command: Command, tmp_path: Path, module: str, args: list[str]
) -> None:
    environment = with_module(tmp_path, module, CTRL_C)

    done = command(*args, env=environment)

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_before_it_can_be_caught_is_no_traceback(command: Command, tmp_path: Path) -> None:
    environment = with_module(tmp_path, "signal", "raise KeyboardInterrupt")

    done = command("topics", "list", env=environment)

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_when_all_is_done_is_no_traceback(command: Command, tmp_path: Path) -> None:
    last = f"import atexit; atexit.register(exec, {CTRL_C!r}, {{}})"
    environment = with_module(tmp_path, "sitecustomize", last)

    done = command("--version", env=environment)

    assert (done.returncode, done.stderr) == (130, b"")


def test_a_program_that_is_run_has_pythons_own_ctrl_c(command: Command) -> None:
    program = "import signal as s; print(s.getsignal(s.SIGINT) is s.default_int_handler)"

    done = command("run", "-c", program)

    assert done.stdout == b"True\n"


def test_ctrl_c_that_is_to_be_ignored_is_ignored() -> None:
    program = f"{CTRL_C.partition('; time')[0]}; print('goes on')"
    before = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    command = [sys.executable, "-m", "brokerless", "run", "-c", program]

    done = subprocess.run(
        [sys.executable, "-c", f"{before}; os.execv(sys.executable, sys.argv[1:])", *command],
        capture_output=True,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (0, b"goes on\n")


def test_ctrl_c_while_a_command_is_imported_is_not_lost(command: Command, tmp_path: Path) -> None:
    swallowing = f"try:\n    {CTRL_C}\nexcept KeyboardInterrupt:\n    pass"
    environment = with_module(tmp_path, "base64", swallowing)

    done = command("consume", "t", env=environment)

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
