"""Compaction and retention by a real broker, beside what was recorded of that.

brokerless writes the topics of `tests/cleaning/scenario.py`; a broker gets the same files and
cleans them. What is left is `tests/data/cleaning/left.json`, which the tests hold brokerless
to. `python tests/interop/cleaning.py --write` records it anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import kafka
import kafka.admin
from broker import Broker

import brokerless
import brokerless.admin

sys.path.insert(0, str(Path(__file__).parents[1] / "cleaning"))
import scenario

GOLDEN = Path(__file__).parents[1] / "data" / "cleaning" / "left.json"

EAGER = {**scenario.OFTEN, "log.initial.task.delay.ms": "500"}


def left(work: Path) -> list[list[Any]]:
    """What a broker leaves of our topics."""
    ours, theirs = work / "cleaning", work / "cleaning-theirs"
    scenario.fill(brokerless, str(ours))
    broker = Broker(theirs, EAGER)
    broker.format()
    with broker:
        admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
        topics = [
            kafka.admin.NewTopic(name, 1, 1, topic_configs=settings)
            for name, settings in scenario.TOPICS.items()
        ]
        admin.create_topics(topics)
        admin.close()
    for topic in scenario.TOPICS:
        target = theirs / f"{topic}-0"
        metadata = (target / "partition.metadata").read_bytes()
        shutil.rmtree(target)
        shutil.copytree(ours / f"{topic}-0", target)
        (target / "partition.metadata").write_bytes(metadata)
    for checkpoint in ours.glob("*-checkpoint"):
        shutil.copy(checkpoint, theirs)
    with broker:
        scenario.clean(kafka, broker.address, theirs)
        return scenario.left(kafka, broker.address)


def differences(work: Path) -> list[str]:
    """Where a broker leaves something else than is recorded."""
    recorded = json.loads(GOLDEN.read_text())
    found = left(work)
    return [
        f"recorded {a}, found {b}"
        for a, b in zip(recorded, found, strict=False)
        if a != json.loads(json.dumps(b))
    ] + (
        [f"{len(recorded)} rows recorded, {len(found)} found"]
        if len(recorded) != len(found)
        else []
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="record what the broker leaves")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as work:
        if write:
            rows = ",\n".join(json.dumps(row) for row in left(Path(work)))
            GOLDEN.parent.mkdir(exist_ok=True)
            GOLDEN.write_text(f"[\n{rows}\n]\n")
            return 0
        wrong = differences(Path(work))
    print("\n".join(wrong) or "as recorded")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
