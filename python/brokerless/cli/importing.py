"""`brokerless import`: the records of `brokerless export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.clients import admin, check_name, producer
from brokerless.cli.ending import FAILED, FailedError, say, sentence
from brokerless.cli.intake import Intake
from brokerless.cli.options import TOPIC, directory_option
from brokerless.cli.output import Progress, total_size
from brokerless.cli.produce import PRODUCER, serialize
from brokerless.cli.reading import Source, each_place
from brokerless.cli.values import load, parse_object
from brokerless.errors.base import KafkaError

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
def import_records(files: Sequence[str], topic: str | None) -> int:
    """Send the records of FILES, or of the standard input, as `export` wrote them.

    Keys, values, headers, timestamps and partitions become what they were. A topic that is not
    there is made with as many partitions as it had. A record that its topic refuses is said, and
    left out; a line that is no record ends the import.
    """
    if topic is not None:
        check_name(topic)
    paths = files or ("-",)
    with (
        admin(make=True) as maker,
        producer(**PRODUCER, value_serializer=serialize) as client,
        Progress(total_size(paths)) as progress,
    ):
        intake = Intake(client)
        try:
            for path in paths:
                source = Source(path, progress.advance)
                with source:
                    each_place(source, lambda line, place: _take(line, place, topic, maker, intake))
        except KeyboardInterrupt:
            intake.finish()
            say(intake.summary())
            raise
        except (FailedError, KafkaError, OSError) as error:
            intake.finish()
            raise FailedError(f"{sentence(error)}; {intake.summary()}") from None
        intake.finish()
    if intake.refused:
        say(intake.summary())
    elif sys.stderr is not None and sys.stderr.isatty():
        click.echo(intake.summary(), err=True)
    return FAILED if intake.refused else 0


def _take(
    line: bytes, place: tuple[str, int], topic: str | None, maker: KafkaAdminClient, intake: Intake
) -> None:
    given = load(line)
    kind = given.pop("type", "record")
    if kind not in ("topic", "record"):
        raise ValueError("the type of a line is 'topic', or it is a record and has none")
    if kind == "topic":
        _make(maker, {**given, **({"topic": topic} if topic else {})})
        return
    record = parse_object(given)
    wanted = topic or record.topic
    if wanted is None:
        raise ValueError("the record has no topic, and there is no --topic")
    intake.take(place, wanted, record)


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
