"""`brokerless topics describe` and `alter`: what topics are, and their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.clients import admin, check_topic, consumer
from brokerless.cli.ending import FailedError
from brokerless.cli.failures import Failures
from brokerless.cli.options import (
    COUNT,
    SETTING,
    TEXT,
    TOPIC,
    directory_option,
    json_option,
    read_only_option,
    settings_once,
)
from brokerless.cli.output import print_json, print_table
from brokerless.cli.topics import partitions_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokerless import KafkaAdminClient

__all__ = ["alter", "describe"]


@click.command()
@click.argument("names", nargs=-1, type=TOPIC, metavar="[TOPIC]...")
@click.option("-a", "--all-configs", is_flag=True, help="Every setting, with its default too.")
@json_option("Print a JSON array.")
@read_only_option
@directory_option
def describe(names: Sequence[str], all_configs: bool, as_json: bool, read_only: bool) -> int:
    """Print what TOPICs are, or all topics: their partitions, and the settings that were set."""
    failures = Failures()
    with (
        admin(read_only=read_only) as client,
        consumer(exclude_internal_topics=False, read_only=read_only) as reader,
    ):
        known = reader.topics()
        for name in names:
            check_topic(name, known)
        wanted = list(dict.fromkeys(names)) or sorted(known)
        ids = {topic["name"]: topic["topic_id"] for topic in client.describe_topics(wanted)}
        facts = [
            {
                "topic": name,
                "topic_id": ids[name],
                "partitions": partitions_of(reader, name, failures),
                "configs": _configs(client, name, all_configs),
            }
            for name in wanted
        ]
    if as_json:
        print_json(facts)
        return failures.code
    for number, topic in enumerate(facts):
        if number:
            click.echo()
        _print(topic)
    return failures.code


def _configs(client: KafkaAdminClient, name: str, everything: bool) -> dict[str, Any]:
    """Value and source of the settings."""
    from brokerless.admin import ConfigResource

    wanted = "all" if everything else "modified"
    found = client.describe_configs([ConfigResource("topic", name)], config_filter=wanted)
    return {
        setting: {"value": facts["value"], "source": facts["config_source"]}
        for setting, facts in found["topic"][name].items()
    }


COLUMNS = ("PARTITION", "LOG-START-OFFSET", "LOG-END-OFFSET", "SIZE")


def _print(topic: dict[str, Any]) -> None:
    count = len(topic["partitions"])
    click.echo(f"Topic: {topic['topic']}  TopicId: {topic['topic_id']}  PartitionCount: {count}")
    keys = [column.lower().replace("-", "_") for column in COLUMNS]
    print_table(COLUMNS, [[row[key] for key in keys] for row in topic["partitions"]])
    rows = [[name, it["value"], it["source"]] for name, it in topic["configs"].items()]
    if rows:
        print_table(["CONFIG", "VALUE", "SOURCE"], rows)


@click.command()
@click.argument("name", type=TOPIC, metavar="TOPIC")
@click.option("-p", "--partitions", type=COUNT, help="How many it shall have.")
@click.option(
    "-c",
    "--config",
    "changes",
    type=SETTING,
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a setting; may be repeated.",
)
@click.option(
    "-d",
    "--delete-config",
    "deletions",
    type=TEXT,
    multiple=True,
    metavar="NAME",
    help="Give a setting its default again; may be repeated.",
)
@click.option("--validate-only", is_flag=True, help="Check, and change nothing.")
@directory_option
def alter(
    name: str,
    partitions: int | None,
    changes: Sequence[tuple[str, str]],
    deletions: Sequence[str],
    validate_only: bool,
) -> None:
    """Change TOPIC: more partitions, other settings.

    Settings hold at once, in every process that uses the topic. They change together or not at
    all, before the number of partitions does.
    """
    if not (partitions or changes or deletions):
        raise click.UsageError("give --partitions, --config or --delete-config")
    both = {setting for setting, _ in changes} & set(deletions)
    if both:
        raise click.UsageError(f"{min(both)} cannot be set and deleted at once")
    wanted = settings_once(changes)
    with admin() as client:
        check_topic(name, client.list_topics())
        if partitions:
            client.create_partitions({name: partitions}, validate_only=True)
        if changes or deletions:
            _alter(client, name, wanted, deletions, validate_only)
        if partitions and not validate_only:
            client.create_partitions({name: partitions})
    click.echo(f"Topic {name} can be altered." if validate_only else f"Altered topic {name}.")


def _alter(
    client: KafkaAdminClient,
    name: str,
    changes: Mapping[str, str],
    deletions: Sequence[str],
    validate_only: bool,
) -> None:
    from brokerless.admin import AlterConfigOp, ConfigResource
    from brokerless.errors import InvalidConfigurationError

    wishes = {
        **{setting: (AlterConfigOp.SET, value) for setting, value in changes.items()},
        **dict.fromkeys(deletions, (AlterConfigOp.DELETE, None)),
    }
    answers = client.alter_configs(
        [ConfigResource("topic", name, wishes)],
        validate_only=validate_only,
        raise_on_unknown=False,
    )
    code, message, *_ = answers.resources[0]
    if code == InvalidConfigurationError.errno:
        raise click.UsageError(message)
    if code:
        raise FailedError(message)
