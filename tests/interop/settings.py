"""What a real broker says of its settings, beside what was recorded of that.

`tests/data/settings/kafka.tsv` holds the names, types, defaults and ranges of the settings of a
topic and of a broker, and how one describes a topic whose settings come from all the places they
can come from: what the Rust tests hold our tables to (`tests/engine/described.rs`).
`python tests/interop/settings.py` asks a broker again and compares; `--write` records it anew.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kafka
from broker import KAFKA, Broker, java
from kafka.admin import ConfigResource, ConfigResourceType

GOLDEN = Path(__file__).parents[1] / "data" / "settings" / "kafka.tsv"

FILE = {"log.segment.bytes": "2097152", "log.roll.ms": "5000", "log.index.interval.bytes": "7"}
"""What the broker's file says."""

DYNAMIC = {"log.segment.delete.delay.ms": "6", "log.cleaner.delete.retention.ms": "8"}
"""What is set while it runs."""

GIVEN = {"segment.bytes": "1048576", "cleanup.policy": "compact,delete", "retention.ms": "9000"}
"""What the topic says itself."""

HEADER = f"""# What Apache Kafka {KAFKA} says of its settings: tests/interop/settings.py --write
# topic and broker: name, type, default, range, names that the topic's setting has in a broker
# file, dynamic, given: what is set to describe a topic
# described: name, value, source, what else is said (name=value source)
"""

Answer = dict[str, Any]
Row = tuple[str, ...]


def rows(work: Path) -> list[Row]:
    """What a broker says."""
    with_defaults, with_settings = Broker(work / "plain"), Broker(work / "set", FILE)
    found: list[Row] = []
    for broker, ask in ((with_defaults, tables), (with_settings, example)):
        broker.format()
        with broker:
            admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
            try:
                found += ask(admin)
            finally:
                admin.close()
    return found


def tables(admin: Any) -> Iterator[Row]:
    admin.create_topics({"plain": {"num_partitions": 1, "replication_factor": 1}})
    ranges = documented("org.apache.kafka.storage.internals.log.LogConfig")
    for name, one in described(admin, ConfigResource(ConfigResourceType.TOPIC, "plain")):
        fields = ranges[name]
        synonym = fields.get("Server Default Property", "null").replace("null", "")
        yield "topic", name, one["config_type"], one["value"], fields["Valid Values"], synonym
    ranges = documented("kafka.server.KafkaConfig")
    for name, one in described(admin, ConfigResource(ConfigResourceType.BROKER, "1")):
        valid = ranges.get(name, {}).get("Valid Values", "")
        yield "broker", name, one["config_type"], default_of(name, one), valid, ""


def default_of(name: str, one: Answer) -> str:
    """Its default; `null` where there is none, or where only the file has a value."""
    said = {(synonym["name"], synonym["source"]): synonym["value"] for synonym in one["synonyms"]}
    value = said.get((name, "DEFAULT_CONFIG"), None if said else one["value"])
    return "null" if value is None else value


def example(admin: Any) -> Iterator[Row]:
    given = {"num_partitions": 1, "replication_factor": 1, "configs": GIVEN}
    admin.create_topics({"given": given})
    broker = ConfigResource(ConfigResourceType.BROKER, "1", dict(DYNAMIC))
    admin.alter_configs([broker])
    for place, settings in (("file", FILE), ("dynamic", DYNAMIC), ("given", GIVEN)):
        yield from ((place, name, value) for name, value in settings.items())
    for name, one in settled(admin, ConfigResource(ConfigResourceType.TOPIC, "given")):
        said = (f"{s['name']}={s['value']} {s['source']}" for s in one["synonyms"])
        yield "described", name, one["value"], one["config_source"], *said


def settled(admin: Any, resource: ConfigResource) -> list[tuple[str, Answer]]:
    """The same when what was set counts: a broker answers before."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        settings = described(admin, resource)
        dynamic = [one for _, one in settings if one["config_source"] == "DYNAMIC_BROKER_CONFIG"]
        counts = all(one["value"] == one["synonyms"][0]["value"] for one in dynamic)
        if counts and len(dynamic) == len(DYNAMIC):
            return settings
        time.sleep(0.1)
    raise TimeoutError(f"not set within 30 s: {DYNAMIC}")


def described(admin: Any, resource: ConfigResource) -> list[tuple[str, Answer]]:
    answers = admin.describe_configs([resource], include_synonyms=True, config_filter="all")
    (settings,) = answers[resource.resource_type.name.lower()].values()
    return sorted(settings.items())


def documented(main: str) -> dict[str, dict[str, str]]:
    """The tables that a class of Kafka's prints for its documentation."""
    found = {}
    for item in java(main).split("<h4>")[1:]:
        name = re.search('<a id="([^"]+)"', item)
        assert name is not None
        fields = re.findall("<th>(.*?):</th><td>(.*?)</td>", item)
        found[name[1]] = {field: html.unescape(value) for field, value in fields}
    return found


def text(found: list[Row]) -> str:
    return HEADER + "".join("\t".join(row).rstrip("\t") + "\n" for row in found)


def differences(work: Path) -> list[str]:
    """Where a broker says something else than is recorded."""
    recorded = GOLDEN.read_text().splitlines()
    now = text(rows(work)).splitlines()
    return [f"- {line}" for line in recorded if line not in now] + [
        f"+ {line}" for line in now if line not in recorded
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--write", action="store_true", help="record it anew")
    write = arguments.parse_args().write
    with tempfile.TemporaryDirectory(prefix="settings-") as work:
        if write:
            GOLDEN.parent.mkdir(exist_ok=True)
            GOLDEN.write_text(text(rows(Path(work))))
            return 0
        found = differences(Path(work))
    print("\n".join(found) or "settings: as recorded")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
