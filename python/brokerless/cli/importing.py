"""`brokerless import`: the records of `brokerless export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.clients import admin, producer
from brokerless.cli.ending import sentence
from brokerless.cli.options import TOPIC, directory_option
from brokerless.cli.output import Progress, counted, total_size
from brokerless.cli.produce import PRODUCER, Sending, serialize
from brokerless.cli.reading import Source, each_line
from brokerless.cli.values import load, parse_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokerless import KafkaAdminClient

__all__ = ["import_records"]


@click.command(
    name="import",
    epilog="Offsets are given anew, in the same order. Nothing is checked for being there already: "
    "what is imported twice is there twice.",
)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--topic", type=TOPIC, help="Import into this topic, whatever the lines name.")
@directory_option
def import_records(files: Sequence[str], topic: str | None) -> None:
    """Send the records of FILES, or of the standard input, as `export` wrote them.

    Keys, values, headers, timestamps and partitions become what they were. A topic that is not
    there is made with as many partitions as it had.
    """
    paths = files or ("-",)
    with (
        admin(make=True) as maker,
        producer(**PRODUCER, value_serializer=serialize) as client,
        Progress(total_size(paths)) as progress,
    ):
        sending = Sending(client)
        for path in paths:
            source = Source(path, progress.advance)
            with source:
                each_line(source, lambda line: _take(line, topic, maker, sending))
        sending.finish()
    if sys.stderr is not None and sys.stderr.isatty():
        click.echo(f"{counted(sending.count, 'record')} imported", err=True)


def _take(line: bytes, topic: str | None, maker: KafkaAdminClient, sending: Sending) -> None:
    given = load(line)
    if given.pop("type", "record") == "topic":
        _make(maker, {**given, **({"topic": topic} if topic else {})})
        return
    record = parse_object(given)
    wanted = topic or record.topic
    if wanted is None:
        raise ValueError("the record has no topic, and there is no --topic")
    sending.one(
        wanted,
        value=record.value,
        key=record.key,
        headers=record.headers,
        partition=record.partition,
        # -1: the record of an old broker, which had none.
        timestamp_ms=None
        if record.timestamp is not None and record.timestamp < 0
        else record.timestamp,
    )


def _make(maker: KafkaAdminClient, given: dict[str, Any]) -> None:
    """Make the topic, unless it is there."""
    from brokerless.admin import NewTopic
    from brokerless.errors import BrokerResponseError

    name, partitions, configs = given.get("topic"), given.get("partitions"), given.get("configs")
    if not isinstance(name, str) or type(partitions) is not int:
        raise ValueError("a line of a topic has its name and its number of partitions")
    if not isinstance(configs or {}, dict):
        raise ValueError("the configs of a topic must be an object")  # noqa: TRY004
    if name not in maker.list_topics():
        try:
            maker.create_topics([NewTopic(name, partitions, -1, topic_configs=configs)])
        except BrokerResponseError as error:
            raise ValueError(sentence(error)) from None
