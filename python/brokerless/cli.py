"""The command line: `brokerless run`, `brokerless where` and `brokerless verify`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

RUN = """\
usage: brokerless run [--dir DIR] script.py [args ...]
       brokerless run [--dir DIR] -m module [args ...]
       brokerless run [--dir DIR] -c code [args ...]

Run a program in which `import kafka` gives brokerless.

  --dir DIR   the directory that every host:port means, instead of the default one
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["run"]:
        _run(args[1:])
        return
    parser = _parser()
    options = parser.parse_args(args)
    if options.command is None:
        parser.print_help()
    elif options.command == "where":
        _where(options.standin)
    else:
        _verify(options)


def _parser() -> argparse.ArgumentParser:
    from brokerless import __version__

    parser = argparse.ArgumentParser(
        prog="brokerless", description="Apache Kafka's log, without a broker."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="command")
    # Its arguments are the program's, so they are not argparse's: see _run.
    commands.add_parser("run", help="run a program in which `import kafka` gives brokerless")
    where = commands.add_parser("where", help="print the default directory")
    where.add_argument(
        "--standin",
        action="store_true",
        help="print the folder that makes `import kafka` give brokerless (for PYTHONPATH)",
    )
    _add_verify(commands)
    return parser


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = commands.add_parser(
        "verify",
        help="check every file of a data directory",
        description="Check every file of a data directory, ours or a Kafka broker's. Without "
        "--repair nothing is changed, and others may have the directory open.",
        epilog="exits with 0 if nothing is wrong, with 1 if something is (also if it was "
        "repaired), with 2 if the directory cannot be looked at",
    )
    verify.add_argument(
        "directory", nargs="?", metavar="DIR", help="the directory, instead of the default one"
    )
    verify.add_argument(
        "--repair",
        action="store_true",
        help="put right what can be: indexes are made anew, damage is cut out of the logs and "
        "kept in files beside them; nobody else may have the directory open",
    )
    verify.add_argument("--json", action="store_true", help="print one JSON object")


def _where(standin: bool) -> None:
    if standin:
        from brokerless.standin import FOLDER

        print(FOLDER)
    else:
        from brokerless.location import default_directory

        print(default_directory())


def _verify(options: argparse.Namespace) -> None:
    from brokerless.location import default_directory, directory_of
    from brokerless.verify import run_verify

    given = options.directory
    if given is None:
        directory = default_directory()
    else:
        directory = directory_of(given if "://" in given else Path(given))
    sys.exit(run_verify(directory, repair=options.repair, as_json=options.json))


def _run(args: list[str]) -> None:
    from brokerless import run

    if args[:1] == ["--dir"] and len(args) > 1:
        os.environ["BROKERLESS_DIR"] = str(Path(args[1]).expanduser().absolute())
        del args[:2]
    match args:
        case ["-h" | "--help", *_]:
            print(RUN, end="")
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
            print(RUN, end="", file=sys.stderr)
            sys.exit(2)
