"""What the admin client of kafka-python has: its methods with their parameters, and its names.

`python tests/interop/admin_names.py` writes it into `tests/data/admin`, for the kafka-python on
`PYTHONPATH`; `--check` only looks whether what is there is still so.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import kafka
import kafka.admin

FOLDER = Path(__file__).parents[1] / "data" / "admin"


def path() -> Path:
    major = kafka.__version__.split(".")[0]
    return FOLDER / f"kafka-python-{major}.json"


def methods() -> dict[str, list[str]]:
    """The public methods, with what they take."""
    found = inspect.getmembers(kafka.admin.KafkaAdminClient, inspect.isfunction)
    return {name: parameters(method) for name, method in found if not name.startswith("_")}


def parameters(method: Any) -> list[str]:
    """As they stand in the signature, with names in place of defaults that differ by version."""
    listed = list(inspect.signature(method).parameters.values())[1:]
    return [plain(one) for one in listed]


def plain(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def names() -> list[str]:
    """What `kafka.admin` exports, and what programs import from it besides."""
    return sorted({*kafka.admin.__all__, "NewTopic", "NewPartitions"})


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing")
    found = {"kafka_python": kafka.__version__, "methods": methods(), "names": names()}
    if arguments.parse_args().check:
        recorded = json.loads(path().read_text())
        same = {**recorded, "kafka_python": None} == {**found, "kafka_python": None}
        print("admin names: as recorded" if same else "admin names: other than recorded")
        return int(not same)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path().write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
