"""`brokerless verify`: the check of a directory."""

from __future__ import annotations

from pathlib import Path

import click

from brokerless.cli.options import directory_option, json_option

__all__ = ["verify"]


@click.command(
    epilog="It exits with 0 if nothing is wrong, with 1 if something is (also if it was "
    "repaired), with 2 if the directory cannot be looked at."
)
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path())
@click.option(
    "--repair",
    is_flag=True,
    help="Put right what can be: indexes are made anew, damage is cut out of the logs and kept in "
    "files beside them. Nobody else may have the directory open.",
)
@json_option("Print one JSON object.")
@directory_option
def verify(directory: str | None, repair: bool, as_json: bool) -> int:
    """Check every file of a data directory, ours or a Kafka broker's.

    Without --repair nothing is changed, and others may have the directory open.
    """
    from brokerless.location import default_directory, directory_of
    from brokerless.verify import run_verify

    if directory is None:
        found = default_directory()
    else:
        found = directory_of(directory if "://" in directory else Path(directory))
    return run_verify(found, repair=repair, as_json=as_json)
