"""`brokerless compact`: the last record of each key stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from brokerless.cli.clients import check_partitions, check_topic, consumer
from brokerless.cli.failures import Failures
from brokerless.cli.options import (
    NUMBER,
    TOPIC,
    directory_option,
    json_option,
)
from brokerless.cli.output import print_json, print_table
from brokerless.location import default_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["compact"]


@click.command(
    epilog="Tombstones and what is younger than min.compaction.lag.ms stay for their time."
)
@click.argument("topic", type=TOPIC)
@click.option(
    "-p",
    "--partition",
    "numbers",
    type=NUMBER,
    multiple=True,
    help="Only this partition; may be repeated.",
)
@json_option("Print a JSON array.")
@directory_option
def compact(topic: str, numbers: Sequence[int], as_json: bool) -> int:
    """Compact TOPIC now, also the records that came last.

    Its cleanup.policy must have compact. Who uses the topic does that by itself when it is due by
    Kafka's rule; others may read and write meanwhile.
    """
    from brokerless import TopicPartition
    from brokerless._brokerless import compact as compact_partition

    failures = Failures()
    with consumer(exclude_internal_topics=False) as client:
        check_topic(topic, client.topics())
        there = client.partitions_for_topic(topic)
        check_partitions(topic, numbers, there)
        rows = []
        for number in sorted(set(numbers) or there):
            with failures.of(TopicPartition(topic, number)):
                before, after, done = compact_partition(default_directory(), topic, number)
                sizes = {"size_before": before, "size_after": after}
                rows.append({"topic": topic, "partition": number, **sizes, "compacted": done})
    if as_json:
        print_json(rows)
    elif rows:
        columns = ["TOPIC", "PARTITION", "SIZE-BEFORE", "SIZE-AFTER"]
        print_table(columns, [list(row.values())[:4] for row in rows])
    return failures.code
