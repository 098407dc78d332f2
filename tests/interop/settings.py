"""What a real broker says of its settings, beside what was recorded of that.

`tests/data/settings/kafka.json` holds the names, types and defaults of the settings of a topic
and of a broker, and how one describes a topic whose settings come from all the places they can
come from: what the Rust tests hold our tables to. `python tests/interop/settings.py` asks a broker
again and compares; `--write` records it anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import kafka
from broker import KAFKA, Broker
from kafka.admin import ConfigResource, ConfigResourceType

GOLDEN = Path(__file__).parents[1] / "data" / "settings" / "kafka.json"

OURS = {"log.segment.bytes": "2097152", "log.retention.hours": "7", "log.roll.ms": "5000"}
"""What the broker's file says."""

DYNAMIC = {"log.retention.minutes": "3", "log.cleaner.delete.retention.ms": "8"}
"""What is set for all brokers while it runs, where Kafka lets it be set."""

GIVEN = {"segment.bytes": "1048576", "cleanup.policy": "compact,delete", "retention.ms": "9000"}
"""What the topic says itself."""

Answer = dict[str, Any]


def ask(work: Path) -> Answer:
    """What a broker says."""
    broker = Broker(work / "settings", OURS)
    broker.format()
    with broker:
        admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
        try:
            return answer(admin)
        finally:
            admin.close()


def answer(admin: Any) -> Answer:
    admin.create_topics({"plain": {"num_partitions": 1, "replication_factor": 1}})
    given = {"num_partitions": 1, "replication_factor": 1, "configs": GIVEN}
    admin.create_topics({"given": given})
    brokers = ConfigResource(ConfigResourceType.BROKER, "1")
    settings = described(admin, brokers)
    refused = set_for_all(admin)
    return {
        "kafka": KAFKA,
        "topic": {name: short(one) for name, one in sorted(plain(admin).items())},
        "broker": {name: short(one) for name, one in sorted(settings.items())},
        "given": {"file": OURS, "dynamic": DYNAMIC, "refused": refused, "topic": GIVEN},
        "described": {
            name: one
            for name, one in sorted(described(admin, topic("given")).items())
            if one["config_source"] != "DEFAULT_CONFIG"
        },
    }


def plain(admin: Any) -> Answer:
    return described(admin, topic("plain"))


def topic(name: str) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, name)


def set_for_all(admin: Any) -> list[str]:
    """Sets what can be set for all brokers; gives what the broker refuses."""
    refused = []
    for name, value in DYNAMIC.items():
        everybody = (ConfigResourceType.BROKER, "", [(name, 0, value)])
        request = kafka.protocol.admin.IncrementalAlterConfigsRequest(
            resources=[everybody], validate_only=False
        )
        response = admin._net.run(admin._manager.send, request)
        refused += [name for one in response.responses if one.error_code != 0]
    return refused


def described(admin: Any, resource: ConfigResource) -> Answer:
    answers = admin.describe_configs([resource], include_synonyms=True, config_filter="all")
    (settings,) = answers[resource.resource_type.name.lower()].values()
    return dict(settings)


def short(one: Answer) -> Answer:
    """A setting's type and default; the latter where Kafka gives it."""
    defaults = [
        synonym["value"] for synonym in one["synonyms"] if synonym["source"] == "DEFAULT_CONFIG"
    ]
    default = defaults[-1] if defaults else one["value"]
    found = {"type": one["config_type"], "default": default}
    found["synonyms"] = [synonym["name"] for synonym in one["synonyms"]]
    if one["read_only"]:
        found["read_only"] = True
    return found


def text(answer: Answer) -> str:
    """A line for each setting."""
    lines = []
    for key, value in answer.items():
        if isinstance(value, dict):
            inner = ",\n".join(
                f"{json.dumps(name)}: {json.dumps(one)}" for name, one in value.items()
            )
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{" + ",\n".join(lines) + "}\n"


def differences(work: Path) -> list[str]:
    """Where a broker says something else than is recorded."""
    recorded = GOLDEN.read_text().splitlines()
    now = text(ask(work)).splitlines()
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
            GOLDEN.write_text(text(ask(Path(work))))
            return 0
        found = differences(Path(work))
    print("\n".join(found) or "settings: as recorded")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
