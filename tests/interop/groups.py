"""The group scenarios with kafka-python and a real broker, beside what was recorded of them.

`tests/groups` holds the scripts, `tests/data/histories` what a real broker and kafka-python made
of them: what brokerless is held to. `python tests/interop/groups.py` plays them all again and
compares; `--write` records them anew. With kafka-python 2 on `PYTHONPATH` those of
`tests/data/histories/2` are meant: scenarios where version 3 has lost something.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kafka
from broker import KAFKA, Broker

HERE = Path(__file__).parents[1]
PLAY = HERE / "groups" / "play.py"
FOLDER = HERE / "data" / "histories"

SETTINGS = {"group.min.session.timeout.ms": "500", "auto.create.topics.enable": "false"}

UNSTEADY = {"different_subscriptions_round_robin", "two_with_a_pattern_and_a_new_topic"}
"""kafka-python 3 raises KeyError in the one, and does not always end the rebalance in the other."""

OLD = (
    *sorted(UNSTEADY),
    "a_listener_that_asks",
    "auto_commit_on_unsubscribe",
    "commit_in_the_listener",
)
"""Where version 2 is the example: 3 cannot commit in a listener either, nor at `unsubscribe`."""

Row = dict[str, Any]


def folder() -> Path:
    """Where the histories of this kafka-python are."""
    major = kafka.__version__.split(".")[0]
    return FOLDER if major == "3" else FOLDER / major


def recorded() -> list[str]:
    """The scenarios that are recorded."""
    found = (path.stem for path in folder().glob("*.json"))
    return sorted(name for name in found if name != "differences")


def read(name: str) -> list[Row]:
    history: list[Row] = json.loads((folder() / f"{name}.json").read_text())["history"]
    return history


def write(name: str, history: list[Row]) -> None:
    """A row a line, to be read by people too."""
    head = f'"kafka": "{KAFKA}", "kafka_python": "{kafka.__version__}"'
    rows = ",\n".join(json.dumps(row) for row in history)
    folder().mkdir(parents=True, exist_ok=True)
    (folder() / f"{name}.json").write_text(f'{{{head}, "history": [\n{rows}\n]}}\n')


def played(address: str, names: Iterable[str], nonce: str = "") -> Iterator[tuple[str, list[Row]]]:
    """Plays scenarios with kafka-python."""
    command = [sys.executable, str(PLAY), address, "--nonce", nonce, *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            if "failed" in line:
                print(f"{line['scenario']}: {line['failed']}", file=sys.stderr)
            yield line["scenario"], line.get("history", [])


def differences(work: Path) -> list[str]:
    """How what happens with a real broker now differs from what is recorded.

    Another try is given to a scenario that differs: a slow machine makes other histories.
    """
    found: list[str] = []
    broker = Broker(work / "groups", SETTINGS)
    broker.format()
    with broker:
        wrong = [
            name for name, history in played(broker.address, recorded()) if history != read(name)
        ]
        if wrong:
            print(f"   again: {', '.join(wrong)}")
        for name, history in played(broker.address, wrong, "again") if wrong else ():
            found += [f"{name}: {row}" for row in told_apart(read(name), history)]
    return found


def told_apart(expected: list[Row], given: list[Row]) -> list[str]:
    """The rows that are not equal."""
    if len(expected) != len(given):
        return [f"{len(given)} rows, expected {len(expected)}"]
    pairs = zip(expected, given, strict=True)
    return [f"{have}, expected {wanted}" for wanted, have in pairs if have != wanted]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="record what happens")
    arguments.add_argument("names", nargs="*", help="these only, when recording")
    given = arguments.parse_intermixed_args()
    with tempfile.TemporaryDirectory(prefix="groups-") as work:
        if given.write:
            record(Path(work), given.names)
            return 0
        found = differences(Path(work))
        print("\n".join(found) or "groups: all as recorded")
        return min(len(found), 1)


def record(work: Path, names: list[str]) -> None:
    broker = Broker(work / "groups", SETTINGS)
    broker.format()
    with broker:
        old = folder() != FOLDER
        for name, history in played(broker.address, names or (OLD if old else ())):
            if history and (old or name not in UNSTEADY):
                write(name, history)


if __name__ == "__main__":
    sys.exit(main())
