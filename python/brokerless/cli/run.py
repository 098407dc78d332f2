"""`brokerless run`: a program in which `import kafka` gives brokerless."""

from __future__ import annotations

import sys
from typing import NoReturn

from brokerless.cli.interrupts import raise_again

__all__ = ["HELP", "run_program"]

HELP = """\
usage: brokerless run [--dir DIR] script.py [args ...]
       brokerless run [--dir DIR] -m module [args ...]
       brokerless run [--dir DIR] -c code [args ...]

Run a program in which `import kafka` gives brokerless.

  --dir DIR   the directory that every host:port means, instead of the default one
"""


def run_program(args: list[str]) -> None:
    """Run what the arguments name."""
    from brokerless import run

    args = _choose_directory(args)
    raise_again()
    match args:
        case ["-h" | "--help", *_]:
            print(HELP, end="")
        case ["-m", name, *rest]:
            run.run_module(name, rest)
        case ["-c", code, *rest]:
            run.run_code(code, rest)
        case ["-", *rest]:
            run.run_stdin(rest)
        case ["--", script, *rest]:
            run.run_script(script, rest)
        case [script, *rest] if not script.startswith("-"):
            run.run_script(script, rest)
        case _:
            _fail(HELP)


def _choose_directory(args: list[str]) -> list[str]:
    """Do as `--dir` says, if it is there, and give the other arguments."""
    match args:
        case ["--dir", directory, *rest]:
            pass
        case [option, *rest] if option.startswith("--dir="):
            directory = option.partition("=")[2]
        case _:
            return args
    from brokerless.cli.directory import choose
    from brokerless.errors.base import SettingError

    try:
        choose(directory)
    except SettingError as error:
        _fail(f"brokerless: {error.args[0]}\n")
    return rest


def _fail(text: str) -> NoReturn:
    if sys.stderr is not None:  # print would take the standard output
        print(text, end="", file=sys.stderr)
    sys.exit(2)
