"""`brokerless run`: a program in which `import kafka` gives brokerless."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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

    raise_again()
    if args[:1] == ["--dir"] and len(args) > 1:
        os.environ["BROKERLESS_DIR"] = str(Path(args[1]).expanduser().absolute())
        del args[:2]
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
            print(HELP, end="", file=sys.stderr)
            sys.exit(2)
