"""The command line: `brokerless`, or `python -m brokerless`.

A file per command. What they share: `options` (what is given), `output` (what is printed),
`ending` (errors and exit codes), `values` (records as JSON), `clients`.
"""

from __future__ import annotations

import sys

try:
    from brokerless.cli.interrupts import end_plainly
except KeyboardInterrupt:  # Python would show where it was
    sys.exit(130)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    end_plainly()
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["run"]:
        # The program sees nothing of ours, not even what our commands import.
        from brokerless.cli.run import run_program

        run_program(args[1:])
        return
    from brokerless.cli.app import app
    from brokerless.cli.ending import call

    sys.exit(call(app, args))
