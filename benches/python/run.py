"""`make bench`: brokerless and what one would use instead, side by side.

Clients run against librdkafka's mock cluster, which keeps everything in memory in a process
of its own and is kinder to them than a real broker. Targets are ratios within this run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import durable
import latency
import reading
import sending
import startup
import table
import takeover
import together
from contest import hold
from stage import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contest import Contest, Outcome
    from stage import Stage

GROUPS = {
    "sending": sending.contests,
    "reading": reading.contests,
    "latency": latency.contests,
    "startup": startup.contests,
    "together": together.contests,
    "durable": durable.contests,
    "takeover": takeover.contests,
}


def contests(stage: Stage, names: list[str]) -> Iterator[Contest]:
    """The contests of the groups named."""
    for name in names:
        yield from GROUPS[name](stage)


def progress(outcome: Outcome, seconds: float) -> None:
    """A line for each contest held, on stderr: the table comes at the end."""
    unit = outcome.contest.unit
    figures = (f"{one} {table.figure(outcome.median(one), unit)}" for one in outcome.figures)
    print(f"{outcome.contest.name}: {', '.join(figures)} ({seconds:.0f} s)", file=sys.stderr)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--quick", action="store_true", help="fewer, shorter rounds")
    arguments.add_argument("--json", type=Path, help="every figure, into this file")
    arguments.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all by default")
    given = arguments.parse_args()
    for name in set(given.groups) - GROUPS.keys():
        arguments.error(f"there is no group {name}")
    outcomes = []
    with ExitStack() as stack:
        stage = opened(stack, given.quick)
        for contest in contests(stage, given.groups or list(GROUPS)):
            started = time.monotonic()
            outcomes.append(hold(contest, stage.rounds))
            progress(outcomes[-1], time.monotonic() - started)
    print("\n".join(table.lines(outcomes)))
    if given.json:
        given.json.write_text(json.dumps(table.as_json(outcomes), indent=1))


if __name__ == "__main__":
    main()
