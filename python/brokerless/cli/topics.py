"""`brokerless topics`: list, create, delete and purge them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.app import Lazy
from brokerless.cli.clients import (
    admin,
    check_new_topics,
    check_not_internal,
    check_partitions,
    check_topic,
    consumer,
)
from brokerless.cli.consume import offset_of
from brokerless.cli.failures import Failures
from brokerless.cli.options import (
    COUNT,
    NUMBER,
    PLACE,
    SETTING,
    TEXT,
    TOPIC,
    directory_option,
    json_option,
    read_only_option,
    settings_once,
)
from brokerless.cli.output import print_json, print_table
from brokerless.location import default_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokerless import KafkaAdminClient, KafkaConsumer, NewTopic, TopicPartition
    from brokerless.cli.options import Place

__all__ = ["create", "delete", "list_topics", "partitions_of", "purge", "topics"]


@click.group(
    cls=Lazy,
    places={
        "list": "brokerless.cli.topics:list_topics",
        "create": "brokerless.cli.topics:create",
        "describe": "brokerless.cli.topic_settings:describe",
        "alter": "brokerless.cli.topic_settings:alter",
        "delete": "brokerless.cli.topics:delete",
        "purge": "brokerless.cli.topics:purge",
    },
)
@directory_option
def topics() -> None:
    """List, create, describe, alter, delete and purge topics."""


@click.command()
@click.option("-l", "--long", "as_table", is_flag=True, help="Print a table of what they hold.")
@click.option("--exclude-internal", is_flag=True, help="Leave out __consumer_offsets.")
@json_option("Print a JSON array of what they hold.")
@read_only_option
@directory_option
def list_topics(as_table: bool, exclude_internal: bool, as_json: bool, read_only: bool) -> int:
    """Print the names of all topics.

    OFFSETS is how many lie between start and end, and SIZE the bytes of the logs: no more records
    than offsets, and fewer after compaction and transactions.
    """
    failures = Failures()
    with consumer(exclude_internal_topics=exclude_internal, read_only=read_only) as client:
        names = sorted(client.topics())
        if not (as_table or as_json):
            for name in names:
                click.echo(name)
            return 0
        rows = [_summary(client, name, failures) for name in names]
    if as_json:
        print_json(rows)
    else:
        columns = ["TOPIC", "PARTITIONS", "OFFSETS", "SIZE"]
        print_table(columns, [[row[column.lower()] for column in columns] for row in rows])
    return failures.code


def _summary(client: KafkaConsumer, name: str, failures: Failures) -> dict[str, Any]:
    rows = partitions_of(client, name, failures)
    known = [row for row in rows if row["log_end_offset"] is not None]
    return {
        "topic": name,
        "partitions": len(rows),
        "offsets": sum(row["log_end_offset"] - row["log_start_offset"] for row in known),
        "size": sum(row["size"] for row in rows),
    }


def partitions_of(client: KafkaConsumer, name: str, failures: Failures) -> list[dict[str, Any]]:
    """What each partition of a topic holds; of one that cannot be read the offsets are `None`."""
    from brokerless import TopicPartition

    rows = []
    for number in sorted(client.partitions_for_topic(name)):
        partition = TopicPartition(name, number)
        begin = end = None
        with failures.of(partition):
            begin = client.beginning_offsets([partition])[partition]
            end = client.end_offsets([partition])[partition]
        rows.append(
            {
                "topic": name,
                "partition": number,
                "log_start_offset": begin,
                "log_end_offset": end,
                "size": _size(f"{name}-{number}"),
            }
        )
    return rows


def _size(folder: str) -> int:
    """Bytes of the logs."""
    logs = Path(default_directory(), folder).glob("*.log")
    total = 0
    for log in logs:
        try:
            total += log.stat().st_size
        except OSError:  # noqa: PERF203 - deleted just now
            continue
    return total


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="TOPIC...", type=TEXT)
@click.option("-p", "--partitions", type=COUNT, help="How many it has.")
@click.option(
    "-c",
    "--config",
    "settings",
    type=SETTING,
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, by Kafka's name; may be repeated.",
)
@click.option("--if-not-exists", is_flag=True, help="A topic that is there is no error.")
@directory_option
def create(
    names: Sequence[str],
    partitions: int | None,
    settings: Sequence[tuple[str, str]],
    if_not_exists: bool,
) -> None:
    """Create topics; the directory too, if there is none.

    If one of several cannot be created, none is.
    """
    from brokerless.admin import NewTopic

    check_not_internal(names)
    twice = sorted({it for it in names if names.count(it) > 1})
    if twice:
        raise click.UsageError(f"topic '{twice[0]}' is named twice")
    configs = settings_once(settings)
    wanted = [NewTopic(it, partitions or -1, -1, topic_configs=configs) for it in names]
    check_new_topics(wanted, if_not_exists=if_not_exists)
    with admin(make=True) as client:
        for topic in wanted:
            if _create(client, topic, if_not_exists):
                click.echo(f"Created topic {topic.name}.")


def _create(client: KafkaAdminClient, topic: NewTopic, if_not_exists: bool) -> bool:
    """Whether it was not there."""
    from brokerless.errors import TopicAlreadyExistsError

    try:
        client.create_topics([topic])
    except TopicAlreadyExistsError:
        if not if_not_exists:
            raise
        return False
    return True


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="TOPIC...", type=TOPIC)
@click.option("--if-exists", is_flag=True, help="A topic that is not there is no error.")
@directory_option
def delete(names: Sequence[str], if_exists: bool) -> None:
    """Delete topics with all their records. Nothing is asked."""
    check_not_internal(names)
    if if_exists and not Path(default_directory()).exists():
        return
    with admin() as client:
        known = client.list_topics()
        for name in _once(names):
            if name not in known and if_exists:
                continue
            check_topic(name, known)
        for name in _once(names):
            if name in known:
                client.delete_topics([name])
                click.echo(f"Deleted topic {name}.")


@click.command()
@click.argument("name", type=TOPIC, metavar="TOPIC")
@click.option(
    "-p",
    "--partition",
    "numbers",
    type=NUMBER,
    multiple=True,
    help="Only this partition; may be repeated.",
)
@click.option(
    "--before",
    "place",
    type=PLACE,
    metavar="PLACE",
    default="latest",
    show_default=True,
    help="Only the records before it: an offset, -N for all but the last N, or @TIME.",
)
@json_option("Print a JSON array.")
@directory_option
def purge(name: str, numbers: Sequence[int], place: Place, as_json: bool) -> int:
    """Delete the records of TOPIC, and keep the topic. Nothing is asked.

    Offsets go on where they were.
    """
    from brokerless import TopicPartition

    failures = Failures()
    starts = {}
    with admin() as client, consumer(exclude_internal_topics=False) as reader:
        check_topic(name, reader.topics())
        there = reader.partitions_for_topic(name)
        check_partitions(name, numbers, there)
        for number in sorted(set(numbers) or there):
            with failures.of(TopicPartition(name, number)):
                starts[number] = _purge(client, reader, TopicPartition(name, number), place)
    rows = [
        {"topic": name, "partition": number, "log_start_offset": start}
        for number, start in starts.items()
    ]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ["TOPIC", "PARTITION", "LOG-START-OFFSET"]
        print_table(columns, [list(row.values()) for row in rows])
    return failures.code


def _purge(
    client: KafkaAdminClient, reader: KafkaConsumer, partition: TopicPartition, place: Place
) -> int:
    """Delete the records before the place, and give where the log starts now."""
    # What lies before the start is gone already.
    is_offset = place.kind == "offset"
    before = place.number if is_offset else offset_of(reader, partition, place)
    start: int = client.delete_records({partition: before})[partition]["low_watermark"]
    return start
