"""How a command ends: one plain line for an error, and an exit code for scripts."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.interrupts import INTERRUPTED, end_plainly, raise_again
from brokerless.cli.stream import hold_descriptors, mend_stdout
from brokerless.errors.base import KafkaError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "NO_READER",
    "WRONG",
    "FailedError",
    "call",
    "note",
    "say",
    "sentence",
]

# Could not be done; wrong arguments; a closed pipe, as shells report it.
FAILED, WRONG, NO_READER = 1, 2, 141

# A group without a command, whose message is its help page; click 8.1 prints it by itself.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())

# What a write to the standard output fails with.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FailedError(Exception):
    """What could not be done, in a sentence."""

    code = FAILED


def call(command: click.Command, args: Sequence[str]) -> int:
    """Run the command and give the exit code."""
    if "_BROKERLESS_COMPLETE" in os.environ:
        command.main(list(args), prog_name="brokerless", complete_var="_BROKERLESS_COMPLETE")
    hold_descriptors()
    mend_stdout()
    try:
        raise_again()
        code = _invoke(command, list(args))
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = NO_READER
    except (FailedError, KafkaError, OSError, click.ClickException) as error:
        code = _end(error)
    end_plainly()
    if code:
        _drop_output()
    return code


def _invoke(command: click.Command, args: list[str]) -> int:
    try:
        with command.make_context("brokerless", args) as context:
            code = command.invoke(context)
    except click.exceptions.Exit as exited:
        return exited.exit_code
    except click.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _end(error: Exception) -> int:
    if isinstance(error, _HELP):
        with contextlib.suppress(OSError):
            error.show()
        return WRONG
    message = sentence(error)
    code = WRONG if isinstance(error, click.UsageError) else getattr(error, "code", FAILED)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message = f"{message} (see '{error.ctx.command_path} --help')"
    say(message)
    return code


def say(message: str) -> None:
    """Print a line about what is wrong."""
    if sys.stderr is None:  # print would take the standard output
        return
    _flush()
    with contextlib.suppress(OSError):  # there may be nobody to tell
        print(f"brokerless: {message}", file=sys.stderr, flush=True)


def note(message: str) -> None:
    """Print a line on the standard error output that tells of no error."""
    _flush()
    click.echo(message, err=True)


def _flush() -> None:
    """In one file with what is wrong, what was printed before stands before it."""
    # What fails here fails at the end again, and is said there.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()


def sentence(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(_message(error).split())


def _message(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename is not None else ""
        # Of a file of ours it would be an error of the engine.
        deed = "cannot write: " if error.errno in _FULL else ""
        return f"{place}{deed}{error.strerror or error}"
    # Of an error of the engine the sentence alone, without the system's number.
    said = str(error.args[0] if error.args else type(error).__name__)
    # What can be opened read-only has said how.
    return re.sub(r" \(os error \d+\)|, or open it read-only$", "", said)


def _drop_output() -> None:
    """Let the interpreter's last flush meet no error again."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
