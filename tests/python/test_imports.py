"""What `import brokerless` brings, at once and later."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest


def loaded_by(code: str) -> set[str]:
    """The modules there are after `code`."""
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(done.stdout.split())


def test_the_import_leaves_out_what_only_some_programs_need() -> None:
    loaded = loaded_by("from brokerless import KafkaConsumer, KafkaProducer")

    assert not loaded & {
        *("asyncio", "click", "dataclasses", "inspect", "json", "logging", "pathlib", "random"),
        *("brokerless.admin", "brokerless.assignors.plan", "brokerless.assignors.protocol"),
    }


def test_an_error_can_be_raised_without_opening_another_file() -> None:
    loaded = loaded_by("from brokerless import KafkaProducer")

    assert {"brokerless.errors.broker", "brokerless.errors.cluster"} <= loaded


@pytest.mark.parametrize("package", ["brokerless", "brokerless.assignors"])
def test_every_public_name_is_there_when_it_is_asked_for(package: str) -> None:
    namespace: dict[str, object] = {}

    exec(f"from {package} import *", namespace)

    assert set(import_module(package).__all__) <= namespace.keys()


@pytest.mark.parametrize("package", ["brokerless", "brokerless.assignors"])
def test_a_name_that_is_not_there_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Producer'"):
        getattr(import_module(package), "Producer")  # noqa: B009
