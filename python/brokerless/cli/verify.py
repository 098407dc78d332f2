"""`brokerless verify`: the check of a directory."""

from __future__ import annotations

import sys

import click

from brokerless.cli.ending import FailedError
from brokerless.cli.options import directory_option, json_option
from brokerless.cli.stream import check_open

__all__ = ["verify"]


class _NotToldError(FailedError):
    """What was found could not be printed: 1 would mean damage."""

    code = 2


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
    from brokerless.errors.base import SettingError
    from brokerless.location import default_directory, directory_named
    from brokerless.verify import run_verify

    try:
        found = default_directory() if directory is None else directory_named(directory, "DIR")
    except SettingError as error:
        raise click.UsageError(str(error.args[0])) from None
    try:
        check_open()
        code = run_verify(found, repair=repair, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _NotToldError(f"cannot write: {error.strerror or error}") from error
    return code
