"""Programs as the public writes them, run as they are."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

SCRIPTS = Path(__file__).parent / "scripts"

# The programs to run one after the other, and what they print.
PRINTED = {
    ("json_producer", "json_consumer"): [f"{{'number': {n}}} added" for n in range(10)],
    ("old_style",): ["b'test'", r"b'\xc2Hola, mundo!'", "b'test'", r"b'\xc2Hola, mundo!'"],
    ("manual_commit",): [
        *(f"orders 1 {n}" for n in range(4)),
        *(f"{n} same" for n in range(4)),
        "committed [0, 4]",
    ],
    ("class_based",): [
        "revoked []",
        "assigned [TopicPartition(topic='words', partition=0)]",
        "words:0:1: key=None value=b'one'",
        "words:0:2: key=None value=b'two'",
        "3 3 0 3",
        "3",
        "revoked [TopicPartition(topic='words', partition=0)]",
    ],
    ("by_time",): [
        *(f"event {n}" for n in range(5, 10)),
        "True None [TopicPartition(topic='events', partition=0)]",
    ],
}


@pytest.mark.parametrize("scripts", PRINTED, ids="-".join)
def test_a_public_style_program_runs_as_it_is(run: Run, scripts: tuple[str, ...]) -> None:
    for script in scripts:
        process = run(SCRIPTS / f"{script}.py")
        assert process.returncode == 0, process.stderr

    assert process.stdout.splitlines() == PRINTED[scripts]
