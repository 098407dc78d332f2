"""Runs scenarios: `play.py ADDRESS [NAME...]`.

Prints a JSON object a line: the scenario's name and its history, or how it failed.
`--poll` is how many milliseconds each `poll` waits, `--quiet` for how many seconds nothing may
happen before a script goes on, `--nonce` goes into the names of topics and groups.
`--messages` adds what exceptions said, on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback

import administration  # noqa: F401  (the scripts enter themselves)
import commits  # noqa: F401
import faults  # noqa: F401
import processes  # noqa: F401
import sharing  # noqa: F401
import statics  # noqa: F401
import subscriptions  # noqa: F401
from member import MESSAGES
from stage import SCRIPTS, Unavailable, play


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("address")
    arguments.add_argument("names", nargs="*", default=[])
    arguments.add_argument("--quiet", type=float, default=0.8)
    arguments.add_argument("--poll", type=int, default=300)
    arguments.add_argument("--nonce", default="")
    arguments.add_argument("--messages", action="store_true")
    given = arguments.parse_intermixed_args()
    for name in given.names or SCRIPTS:
        MESSAGES.clear()
        line: dict[str, object] = {"scenario": name}
        try:
            line["history"] = play(name, given.address, given.nonce, given.poll, given.quiet)
        except Unavailable:
            line["skipped"] = True
        except Exception:  # noqa: BLE001
            line["failed"] = traceback.format_exc()
        print(json.dumps(line), flush=True)
        if given.messages:
            for message in sorted(MESSAGES):
                print(f"{name}: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
