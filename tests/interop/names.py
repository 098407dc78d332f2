"""What can be imported from kafka-python: its modules, and the classes and functions of each.

`python tests/interop/names.py` writes it into `tests/data/names`, for the kafka-python on
`PYTHONPATH`; `--check` only looks whether what is there is still so.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import kafka

FOLDER = Path(__file__).parents[1] / "data" / "names"

# Of these only that they are there: their names depend on what is installed, or they are many.
WHOLE = ("benchmarks", "cli", "codec", "metrics", "net", "protocol", "record", "sasl", "vendor")

# Modules whose names others pass on, so that programs import them from there.
PASSED_ON = ("errors", "future", "structs", "coordinator.protocol", "protocol.consumer.metadata")


def path() -> Path:
    major, minor, *_ = kafka.__version__.split(".")
    return FOLDER / f"kafka-python-{major}.{minor}.json"


def recorded() -> object:
    return json.loads(path().read_text())["modules"]


def modules() -> dict[str, list[str]]:
    """Every module that can be imported, with its names."""
    found = {name: names(importlib.import_module(name)) for name in ("kafka", *below(kafka))}
    return found | {f"kafka.{name}": [] for name in WHOLE if exists(f"kafka.{name}")}


def below(package: ModuleType) -> list[str]:
    found = []
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name.split(".")[1] in WHOLE or "._" in module.name:
            continue
        found.append(module.name)
        if module.ispkg:
            found += below(importlib.import_module(module.name))
    return found


def exists(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def names(module: ModuleType) -> list[str]:
    """The public classes and functions that are its own, or that it is known to pass on."""
    return sorted(name for name, it in vars(module).items() if is_its_own(module, name, it))


def is_its_own(module: ModuleType, name: str, it: object) -> bool:
    home = getattr(it, "__module__", None)
    if name.startswith("_") or not isinstance(home, str):
        return False
    return (
        home == module.__name__
        or (hasattr(module, "__path__") and home.startswith(module.__name__ + "."))
        or home.removeprefix("kafka.") in PASSED_ON
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing")
    found = {"kafka_python": kafka.__version__, "modules": modules()}
    if arguments.parse_args().check:
        same = path().exists() and recorded() == found["modules"]
        print("names:", "as recorded" if same else "other than recorded")
        return int(not same)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path().write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
