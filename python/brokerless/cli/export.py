"""`brokerless export`: topics as JSON lines, for `brokerless import`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brokerless.cli.clients import admin, check_topic, consumer
from brokerless.cli.consume import CONSUMER
from brokerless.cli.ending import FAILED, FailedError
from brokerless.cli.failures import Failures
from brokerless.cli.jumps import Jumps
from brokerless.cli.options import TOPIC, directory_option, read_only_option
from brokerless.cli.output import Output, Progress
from brokerless.cli.values import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokerless import ConsumerRecord, KafkaConsumer, TopicPartition

    Write = Callable[[bytes], object]

__all__ = ["export"]


@click.command()
@click.argument("topics", nargs=-1, type=TOPIC, metavar="[TOPIC]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default="-",
    help="The file to write, instead of the standard output.",
)
@click.option(
    "--isolation",
    type=click.Choice(["read_uncommitted", "read_committed"]),
    default="read_committed",
    show_default=True,
    help="Whether records of open and aborted transactions count.",
)
@read_only_option
@directory_option
def export(topics: Sequence[str], output: str, isolation: str, read_only: bool) -> int:
    r"""Print all records of TOPICs, or of all topics, as JSON lines.

    What is there when it begins is printed, partition by partition. A topic's first line has
    its number of partitions and its settings; each other line is a record. Bytes that are no
    text are {"base64": "..."}.

    \b
    Examples:
      brokerless export > all.jsonl
      brokerless export orders | zstd > orders.jsonl.zst
      brokerless export --dir old | brokerless import --dir new
    """
    with consumer(
        **CONSUMER,
        auto_offset_reset="earliest",
        isolation_level=isolation,
        allow_auto_create_topics=False,
        read_only=read_only,
        exclude_internal_topics=not topics,
    ) as client:
        known = client.topics()
        for topic in topics:
            check_topic(topic, known)
        names = list(dict.fromkeys(topics)) or sorted(known)
        configs = _configs(names, read_only)
        if output == "-":
            is_whole = _export(client, names, configs, Output(as_json=True).write)
        else:
            with Path(output).open("wb") as file:
                is_whole = _export(client, names, configs, file.write)
    return 0 if is_whole else FAILED


def _configs(names: Sequence[str], read_only: bool) -> dict[str, dict[str, str]]:
    """The settings that were set, of each topic."""
    from brokerless.admin import ConfigResource

    with admin(read_only=read_only) as client:
        found = client.describe_configs([ConfigResource("topic", name) for name in names])
    return {
        name: {setting: facts["value"] for setting, facts in settings.items()}
        for name, settings in found.get("topic", {}).items()
    }


def _export(
    client: KafkaConsumer,
    names: Sequence[str],
    configs: dict[str, dict[str, str]],
    write: Write,
) -> bool:
    """Write what there is, and give whether that was all."""
    from brokerless import TopicPartition

    partitions = [
        TopicPartition(name, number)
        for name in names
        for number in sorted(client.partitions_for_topic(name))
    ]
    failures, jumps = Failures(), Jumps(client)
    limits = {}
    for partition in partitions:
        with failures.of(partition):
            begin = client.beginning_offsets([partition])[partition]
            limits[partition] = (begin, client.end_offsets([partition])[partition])
    with Progress(sum(end - begin for begin, end in limits.values())) as progress:
        for name in names:
            own = [it for it in partitions if it.topic == name]
            write(_topic_line(name, len(own), configs.get(name, {})))
            for partition in own:
                if partition in limits:
                    with failures.of(partition):
                        _partition(client, partition, limits[partition], write, progress, jumps)
    return not (failures.count or jumps.count)


def _topic_line(name: str, partitions: int, configs: dict[str, str]) -> bytes:
    line = {"type": "topic", "topic": name, "partitions": partitions, "configs": configs}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _partition(
    client: KafkaConsumer,
    partition: TopicPartition,
    limits: tuple[int, int],
    write: Write,
    progress: Progress,
    jumps: Jumps,
) -> None:
    at, end = limits
    client.assign([partition])
    client.seek(partition, at)
    jumps.expect(partition, at)
    while at < end:
        polled = client.poll(timeout_ms=500)
        jumps.look(polled)
        found = polled.get(partition, [])
        _check_same(client, partition, (at, end), found)
        write(b"".join([line_of(record) + b"\n" for record in found if record.offset < end]))
        now = client.position(partition) or 0
        progress.advance(now - at)
        at = now


def _check_same(
    client: KafkaConsumer,
    partition: TopicPartition,
    left: tuple[int, int],
    found: Sequence[ConsumerRecord],
) -> None:
    """Refuse what is another topic than the one that was to be read, by its offsets."""
    at, end = left
    now = found[0].offset if found else client.position(partition) or 0
    if now < at or (not found and now == at and client.end_offsets([partition])[partition] < end):
        raise FailedError("somebody deleted the topic before it was read, and made it anew")
