"""The golden directories, and what brokerless makes of a copy of one."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import observe

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parents[1] / "data" / "kafka"

NAMES = ("clean", "killed", "old")


def copy(name: str, target: Path) -> Path:
    """A copy of the directory, to be opened."""
    return Path(shutil.copytree(FOLDER / name, target / name))


def differences(brokerless: Any, name: str, directory: Path, **settings: Any) -> list[str]:
    """How what brokerless gives differs from what a real consumer was given."""
    expected: Iterable[observe.Row] = observe.read(FOLDER / f"{name}.jsonl")
    topics = {row["topic"] for row in expected}
    groups = sorted({row["group"] for row in expected if row["is"] == "committed"})
    observer = observe.Observer(brokerless, str(directory), settings)
    given: Iterable[observe.Row] = observer.rows(topics, groups)
    if name == "old":
        expected, given = _without_epochs(expected), _without_epochs(given)
    found = observe.differences(expected, given)
    others = observer.topics() - topics
    return found + [f"a topic that a broker does not know: {other}" for other in others]


def _without_epochs(rows: Iterable[observe.Row]) -> list[observe.Row]:
    """An old broker's answers about times have no leader epochs, ours do."""
    return [{**row, "found": row["found"][:2]} if row.get("found") else row for row in rows]


def fingerprint(directory: Path) -> dict[str, str]:
    """Every file of a directory and its bytes, to see whether anything has changed."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
