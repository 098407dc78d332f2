"""The group scenarios here, beside their histories with kafka-python and a real broker.

`tests/groups` holds the scripts, `tests/data/histories` the histories; `make interop` plays the
same scripts with a real broker. Where brokerless differs on purpose, `differences.json` says
where, what kafka-python does, what brokerless does, and why.
"""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from brokerless import errors

HERE = Path(__file__).parents[1]
FOLDER = HERE / "data" / "histories"
PLAY = HERE / "groups" / "play.py"


Row = dict[str, Any]

AT_ONCE = 6
"""Scenarios that are played at the same time: mostly they wait."""


def histories() -> dict[str, Path]:
    """The recorded histories. Where kafka-python 3 lost what 2 could, 2's is the one."""
    found = {path.stem: path for path in FOLDER.glob("*.json") if path.stem != "differences"}
    return found | {path.stem: path for path in (FOLDER / "2").glob("*.json")}


HISTORIES = histories()
ON_PURPOSE = json.loads((FOLDER / "differences.json").read_text())


def play(name: str, directory: Path) -> list[Row]:
    command = [sys.executable, "-m", "brokerless", "run", str(PLAY), str(directory), name]
    done = subprocess.run(
        [*command, "--poll", "100", "--quiet", "0.4"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "BROKERLESS_DIR": str(directory)},
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert "history" in line, line
    history: list[Row] = line["history"]
    return history


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[list[Row]]]]:
    """The histories here, of the scenarios whose tests are to run."""
    folder = tmp_path_factory.mktemp("groups")
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {str(call.params["name"]) for call in calls if call and "name" in call.params}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        names = [name for name in sorted(HISTORIES) if name in wanted]
        yield {name: threads.submit(play, name, folder / name) for name in names}


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_what_happens_is_what_happens_with_a_broker(
    name: str, played: dict[str, Future[list[Row]]]
) -> None:
    recorded = read(HISTORIES[name])
    expected = with_differences(recorded, name)
    if name in ON_PURPOSE["otherwise"]["in"]:
        expected = read(FOLDER / "here" / f"{name}.json")
        assert shares(expected) == shares(recorded)

    history = played[name].result()

    history = [as_kin(row, wanted) for row, wanted in zip_longest(history, expected, fillvalue={})]
    assert text(history, name) == text(expected, name)


def read(path: Path) -> list[Row]:
    history: list[Row] = json.loads(path.read_text())["history"]
    return history


def text(history: list[Row], name: str) -> str:
    """To be compared. Members of a cooperative group read what is free already: what comes to one
    in a single step with a broker may come bit by bit.
    """
    rows = history
    if "cooperative" in name:
        rows = [
            {**row, "told": {member: in_one(told) for member, told in row["told"].items()}}
            if "told" in row
            else row
            for row in history
        ]
    return "\n".join(json.dumps(row, sort_keys=True) for row in rows)


def in_one(told: list[list[Any]]) -> list[list[Any]]:
    """What is assigned step by step, in one step."""
    found: list[list[Any]] = []
    for what, about in told:
        if found and what == "assigned" == found[-1][0]:
            found[-1] = [what, sorted(found[-1][1] + about)]
        else:
            found.append([what, about])
    return found


def as_kin(row: Row, wanted: Row) -> Row:
    """An exception of a class derived from the expected one is caught as that."""
    given, expected = str(row.get("gave")), str(wanted.get("gave"))
    if not (given.startswith("raised ") and expected.startswith("raised ")):
        return row
    names = (given.removeprefix("raised "), expected.removeprefix("raised "))
    have, want = (getattr(errors, name, None) or getattr(builtins, name, None) for name in names)
    if isinstance(have, type) and isinstance(want, type) and issubclass(have, want):
        return {**row, "gave": expected}
    return row


def shares(history: list[Row]) -> list[Any]:
    """How many partitions each member has, scene by scene."""
    scenes = [row["assigned"] for row in history if "assigned" in row]
    return [{name: len(owned) for name, owned in scene.items()} for scene in scenes]


def with_differences(recorded: list[Row], name: str) -> list[Row]:
    """The history to expect; each difference must still be one."""
    rows = [dict(row) for row in recorded]
    for one in ON_PURPOSE["differences"]:
        if one["in"] != name:
            continue
        named = [row for row in rows if one["at"] in (row.get("scene"), row.get("note"))]
        row = (rows[-1:] if one["at"] == "end" else named)[one.get("which", 0)]
        assert row.get(one["key"]) == one["theirs"], f"kafka-python does otherwise: {one}"
        row[one["key"]] = one["ours"]
        if one["ours"] is None:
            del row[one["key"]]
    return rows


def test_every_difference_has_a_scenario_and_a_reason() -> None:
    differences = ON_PURPOSE["differences"]

    assert {one["in"] for one in differences} | set(ON_PURPOSE["otherwise"]["in"]) <= set(HISTORIES)
    assert {one["why"] for one in differences} == set(ON_PURPOSE["why"])
