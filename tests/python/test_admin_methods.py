"""Every method and name of kafka-python's admin client, of 2.x and of 3.x, is here and in the docs.

`tests/interop/admin_names.py` makes the lists from the real packages.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import brokerless.admin
from brokerless import KafkaAdminClient
from brokerless.standin import MODULES

from .conftest import Run

HERE = Path(__file__).parents[1]
LISTS = [json.loads(path.read_text()) for path in sorted((HERE / "data/admin").glob("*.json"))]
METHODS = [
    pytest.param(name, parameters, id=f"{listed['kafka_python'][0]}.x {name}")
    for listed in LISTS
    for name, parameters in listed["methods"].items()
]
NEWER = {
    "create_topics": ["raise_errors=True", "wait_for_metadata=False"],
    "create_partitions": ["raise_errors=True"],
    "delete_topics": ["raise_errors=True"],
    "alter_configs": ["validate_only=False", "raise_on_unknown=True", "incremental=None"],
    "describe_configs": ["config_filter='modified'"],
    "describe_log_dirs": ["topic_partitions=None", "brokers=None"],
}
"""What version 3 has added behind the parameters of version 2."""


def written(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def own(name: str) -> list[str]:
    """The parameters here, without those that are brokerless's own: these go by name alone."""
    listed = list(inspect.signature(getattr(KafkaAdminClient, name)).parameters.values())[1:]
    return [written(one) for one in listed if one.kind is not inspect.Parameter.KEYWORD_ONLY]


@pytest.mark.parametrize(("name", "parameters"), METHODS)
def test_every_method_is_here_with_the_same_parameters(name: str, parameters: list[str]) -> None:
    assert own(name) in (parameters, parameters + NEWER.get(name, []))


def table() -> dict[str, str]:
    """The methods of the table in the docs, and what stands beside each."""
    text = (HERE.parent / "docs/admin.md").read_text()
    rows = re.findall(r"^\| `(\w+)`[^|]*\| *(.+?) *\|$", text, re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize(("name", "parameters"), METHODS)
def test_every_method_is_in_the_docs(name: str, parameters: list[str]) -> None:
    assert table().get(name)


def test_the_docs_name_no_method_that_is_not_there() -> None:
    assert [name for name in table() if not hasattr(KafkaAdminClient, name)] == []


def test_what_the_docs_say_is_raised_exists() -> None:
    text = (HERE.parent / "docs/admin.md").read_text()
    errors: Any = __import__("brokerless.errors", fromlist=["errors"])

    named = set(re.findall(r"`(\w+(?:Error|Version))`", text))

    assert {name for name in named if not hasattr(errors, name)} <= {"ValueError", "TypeError"}


@pytest.mark.parametrize("listed", LISTS, ids=lambda listed: listed["kafka_python"])
def test_every_name_is_exported(listed: dict[str, Any]) -> None:
    assert set(listed["names"]) <= set(brokerless.admin.__all__)
    assert MODULES["kafka.admin"] == ("admin",)


@pytest.mark.parametrize("listed", LISTS, ids=lambda listed: listed["kafka_python"])
def test_programs_import_every_name_from_the_stand_in(run: Run, listed: dict[str, Any]) -> None:
    names = ", ".join(listed["names"])
    older = "from kafka.admin.acl_resource import ACL\nfrom kafka.admin.new_topic import NewTopic\n"

    done = run("-c", f"from kafka.admin import {names}\n{older}print(ACL.__module__)")

    assert done.stdout == "brokerless.admin.acls\n", done.stderr
