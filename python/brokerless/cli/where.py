"""`brokerless where`: which directory, how large, and who has it open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from brokerless.cli.clients import is_data_directory
from brokerless.cli.ending import FailedError
from brokerless.cli.options import directory_option, json_option
from brokerless.cli.output import print_json, print_table, size_text

__all__ = ["where"]


@click.command()
@click.option("--path", "only_path", is_flag=True, help="Print its path alone, for scripts.")
@click.option(
    "--standin",
    is_flag=True,
    help="Print the folder that makes `import kafka` give brokerless (for PYTHONPATH).",
)
@json_option("Print one JSON object.")
@directory_option
def where(only_path: bool, standin: bool, as_json: bool) -> None:
    """Print which directory is used, its size, and who has it open.

    A directory that is not there yet has a path only. It is an error if something else is there.
    """
    from brokerless.location import default_directory
    from brokerless.standin import FOLDER

    if only_path + standin + as_json > 1:
        raise click.UsageError("give one of --path, --standin and --json")
    if standin:
        click.echo(FOLDER)
        return
    directory = Path(default_directory())
    if only_path:
        click.echo(directory)
        return
    facts = _facts(directory)
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    if not facts["usable"]:
        raise FailedError(f"{directory} is no data directory")


def _facts(directory: Path) -> dict[str, Any]:
    exists = directory.exists()
    usable = not exists or is_data_directory(directory) or _is_empty(directory)
    return {
        "directory": str(directory),
        "exists": exists,
        "usable": usable,
        "size": _size(directory) if exists and usable else 0,
        "open_by": _holders(directory) if exists and usable else [],
    }


def _is_empty(directory: Path) -> bool:
    return directory.is_dir() and not any(directory.iterdir())


def _print(facts: dict[str, Any]) -> None:
    click.echo(facts["directory"])
    if not (facts["exists"] and facts["usable"]):
        return
    click.echo(f"{size_text(facts['size'])} on the disk")
    holders = facts["open_by"]
    if holders is None:
        click.echo("who has it open cannot be told on this system")
    elif not holders:
        click.echo("nobody has it open")
    else:
        click.echo(f"open in {len(holders)} process" + ("es:" if len(holders) > 1 else ":"))
        print_table(["PID", "COMMAND"], [[it["pid"], it["command"]] for it in holders])


def _size(directory: Path) -> int:
    """Bytes on the disk; what goes meanwhile does not count."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                found = (Path(folder) / name).lstat()
            except OSError:
                continue
            total += found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
    return total


def _holders(directory: Path) -> list[dict[str, Any]] | None:
    """The processes, of those that may be looked at, that have it open."""
    processes = Path("/proc")
    if not (processes / "self" / "fd").is_dir():
        return None
    try:
        lock = (directory / ".lock").stat()
    except OSError:
        return []
    numbers = sorted(int(it.name) for it in processes.iterdir() if it.name.isdigit())
    return [
        {"pid": number, "command": _command(processes / str(number))}
        for number in numbers
        if _has_open(processes / str(number), lock)
    ]


def _has_open(process: Path, file: os.stat_result) -> bool:
    try:
        for handle in (process / "fd").iterdir():
            try:
                if os.path.samestat(handle.stat(), file):
                    return True
            except OSError:  # noqa: PERF203 - it was closed just now
                continue
    except OSError:  # somebody else's, or gone
        pass
    return False


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).strip().decode(errors="backslashreplace")
