"""Log directories that a real Kafka wrote, and what its own consumers were given."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import brokerless

if TYPE_CHECKING:
    from types import ModuleType


def _load(name: str) -> ModuleType:
    """A module of tests/interop, which is no package: its scripts run on their own."""
    path = Path(__file__).parents[1] / "interop" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


observe = _load("observe")
golden = _load("golden")


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_copy_opened_read_only_gives_what_a_real_consumer_was_given(
    name: str, tmp_path: Path
) -> None:
    directory = golden.copy(name, tmp_path)

    assert golden.differences(brokerless, name, directory, read_only=True) == []


@pytest.mark.parametrize("name", golden.NAMES)
def test_to_open_it_read_only_changes_no_file(name: str, tmp_path: Path) -> None:
    directory = golden.copy(name, tmp_path)
    before = golden.fingerprint(directory)

    golden.differences(brokerless, name, directory, read_only=True)

    assert golden.fingerprint(directory) == before


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_copy_taken_over_gives_the_same(name: str, tmp_path: Path) -> None:
    directory = golden.copy(name, tmp_path)

    assert golden.differences(brokerless, name, directory) == []
    assert golden.differences(brokerless, name, directory) == []


@pytest.mark.parametrize("name", golden.NAMES)
def test_each_partition_taken_over_can_be_continued(name: str, tmp_path: Path) -> None:
    directory = golden.copy(name, tmp_path)
    ends = [row for row in observe.read(golden.FOLDER / f"{name}.jsonl") if row["is"] == "ends"]
    own = [row for row in ends if not row["topic"].startswith("__")]

    with brokerless.KafkaProducer(bootstrap_servers=str(directory)) as producer:
        futures = [
            producer.send(row["topic"], b"ours", key=b"ours", partition=row["partition"])
            for row in own
        ]
        offsets = [future.get(10).offset for future in futures]

    assert offsets == [row["end"] for row in own]
