"""The names of kafka-python, as `tests/interop/names.py` wrote them, and docs/kafka-python.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from brokerless import errors
from brokerless.standin import FOLDER

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "tests/data/names").glob("*.json"))

# What cannot be imported: of each module its names, or `None` for all of it.
MISSING = """
import importlib, json, sys
missing = {}
for module, names in json.load(open(sys.argv[1]))["modules"].items():
    try:
        there = importlib.import_module(module)
    except ImportError:
        missing[module] = None
        continue
    gone = [name for name in names if not hasattr(there, name)]
    if gone:
        missing[module] = gone
print(json.dumps(missing))
"""


def missing(recorded: Path) -> dict[str, list[str] | None]:
    """What the stand-in has not of one version."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {FOLDER!r})" + MISSING, recorded],
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, list[str] | None] = json.loads(done.stdout)
    return found


def documented() -> dict[str, set[str] | None]:
    """The table of what is absent, in the same form."""
    page = (ROOT / "docs/kafka-python.md").read_text().partition("## Absent")[2]
    rows = re.findall(r"^\| `(kafka[\w.]*)` \| (.*) \|$", page, re.MULTILINE)
    return {
        module: None if names.startswith("all") else set(re.findall(r"`(\w+)`", names))
        for module, names in rows
    }


def is_documented(module: str, names: list[str] | None) -> bool:
    absent = documented()
    listed = absent.get(module, set())
    parents = (module.rpartition(".")[0], module)
    whole = any(it in absent and absent[it] is None for it in parents)
    return whole or (names is not None and listed is not None and set(names) <= listed)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_a_name_of_kafka_python_is_there_or_said_to_be_absent(recorded: Path) -> None:
    found = missing(recorded)

    assert {module: it for module, it in found.items() if not is_documented(module, it)} == {}


def test_nothing_is_said_to_be_absent_that_is_there() -> None:
    found = [missing(recorded) for recorded in RECORDED]

    gone = {(module, name) for one in found for module in one for name in one[module] or ["all"]}

    for module, names in documented().items():
        for name in names or ["all"]:
            assert module == "kafka.protocol" or (module, name) in gone


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_no_exception_of_kafka_python_is_missing(recorded: Path) -> None:
    modules = json.loads(recorded.read_text())["modules"]

    assert set(modules["kafka.errors"]) <= {*errors.__all__, "ConnectionError"}
