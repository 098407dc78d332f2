"""`brokerless groups`: list, describe, reset and delete consumer groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.app import Lazy
from brokerless.cli.clients import admin, check_partitions, check_topic, consumer
from brokerless.cli.ending import FAILED, FailedError, note, say
from brokerless.cli.failures import Failures
from brokerless.cli.options import (
    DURATION,
    GROUP,
    MOMENT,
    OFFSET,
    SHIFT,
    TOPIC_PARTITIONS,
    directory_option,
    json_option,
    read_only_option,
)
from brokerless.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokerless import KafkaAdminClient, KafkaConsumer, TopicPartition
    from brokerless.cli.options import Partitions

__all__ = ["delete", "describe", "groups", "list_groups", "reset"]


@click.group(
    cls=Lazy,
    places={
        "list": "brokerless.cli.groups:list_groups",
        "describe": "brokerless.cli.groups:describe",
        "reset": "brokerless.cli.groups:reset",
        "delete": "brokerless.cli.groups:delete",
    },
)
@directory_option
def groups() -> None:
    """List, describe, reset and delete consumer groups."""


@click.command()
@click.option("-l", "--long", "as_table", is_flag=True, help="Print a table with their states.")
@json_option("Print a JSON array.")
@read_only_option
@directory_option
def list_groups(as_table: bool, as_json: bool, read_only: bool) -> None:
    """Print the names of all groups: those with members, and those with offsets."""
    with admin(read_only=read_only) as client:
        rows = [
            {"group": it["group_id"], "type": it["group_type"], "state": it["group_state"]}
            for it in sorted(client.list_groups(), key=lambda it: str(it["group_id"]))
        ]
    if as_json:
        print_json(rows)
    elif as_table:
        print_table(["GROUP", "TYPE", "STATE"], [list(row.values()) for row in rows])
    else:
        for row in rows:
            click.echo(row["group"])


COLUMNS = (
    *("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"),
    *("CONSUMER-ID", "HOST", "CLIENT-ID"),
)


@click.command()
@click.argument("names", nargs=-1, type=GROUP, metavar="[GROUP]...")
@json_option("Print a JSON array, with the process id of each member too.")
@read_only_option
@directory_option
def describe(names: Sequence[str], as_json: bool, read_only: bool) -> int:
    """Print how far GROUPs are, or all groups: Kafka's table.

    A group without members is said to have none, on the standard error output. A group that is
    not there is an error; the others are printed all the same.
    """
    failures = Failures()
    with (
        admin(read_only=read_only) as client,
        consumer(exclude_internal_topics=False, read_only=read_only) as reader,
    ):
        known = [it["group_id"] for it in client.list_groups()]
        missing = [name for name in names if name not in known]
        wanted = [name for name in dict.fromkeys(names or sorted(known)) if name in known]
        described = client.describe_groups(wanted)
        ends = _Ends(reader, failures)
        rows = {name: _rows(client, ends, name, described[name]) for name in wanted}
    if as_json:
        print_json([row for found in rows.values() for row in found])
    else:
        for number, (name, found) in enumerate(rows.items()):
            _note(name, described[name]["group_state"])
            if found:
                if number:
                    click.echo()
                keys = [_key(column) for column in COLUMNS]
                print_table(COLUMNS, [[row[key] for key in keys] for row in found])
    for name in missing:
        say(f"there is no group '{name}'")
    return FAILED if missing else failures.code


def _key(column: str) -> str:
    return column.lower().replace("-", "_")


def _note(name: str, state: str) -> None:
    if state == "Empty":
        note(f"Consumer group '{name}' has no active members.")
    elif state != "Stable":
        note(f"Warning: Consumer group '{name}' is rebalancing.")


def _rows(
    client: KafkaAdminClient, ends: _Ends, name: str, group: dict[str, Any]
) -> list[dict[str, Any]]:
    """A row for each partition that has an owner or an offset, and each member without any."""
    from brokerless import TopicPartition

    committed = client.list_group_offsets(name)[name]
    owners: dict[TopicPartition, dict[str, Any]] = {}
    idle = []
    for member in group["members"]:
        assigned = member["member_assignment"] or {"assigned_partitions": []}
        owned = [
            TopicPartition(topic["topic"], number)
            for topic in assigned["assigned_partitions"]
            for number in topic["partitions"]
        ]
        owners |= dict.fromkeys(owned, member)
        if not owned:
            idle.append(member)
    partitions = sorted({*committed, *owners})
    rows = []
    for partition in partitions:
        found = committed.get(partition)
        current = None if found is None or found.offset < 0 else found.offset
        end = ends.of(partition)
        lag = None if current is None or end is None else max(0, end - current)
        rows.append(_row(name, partition, (current, end, lag), owners.get(partition)))
    return rows + [_row(name, None, (None, None, None), member) for member in idle]


def _row(
    group: str,
    partition: TopicPartition | None,
    offsets: tuple[int | None, int | None, int | None],
    member: dict[str, Any] | None,
) -> dict[str, Any]:
    current, end, lag = offsets
    return {
        "group": group,
        "topic": partition and partition.topic,
        "partition": None if partition is None else partition.partition,
        "current_offset": current,
        "log_end_offset": end,
        "lag": lag,
        "consumer_id": member and member["member_id"],
        "host": member and member["client_host"],
        "client_id": member and member["client_id"],
        "process_id": member and member["process_id"],
    }


class _Ends:
    """Where partitions end, each asked for once; `None` if it is gone, or cannot be read."""

    def __init__(self, reader: KafkaConsumer, failures: Failures) -> None:
        self._reader, self._failures = reader, failures
        self._topics = reader.topics()
        self._found: dict[TopicPartition, int | None] = {}

    def of(self, partition: TopicPartition) -> int | None:
        if partition not in self._found:
            self._found[partition] = self._look(partition)
        return self._found[partition]

    def _look(self, partition: TopicPartition) -> int | None:
        if partition.topic not in self._topics:
            return None
        if partition.partition not in self._reader.partitions_for_topic(partition.topic):
            return None
        ends: dict[TopicPartition, int] = {}
        with self._failures.of(partition):
            ends = self._reader.end_offsets([partition])
        return ends.get(partition)


@click.command()
@click.argument("names", nargs=-1, required=True, type=GROUP, metavar="GROUP...")
@directory_option
def delete(names: Sequence[str]) -> int:
    """Delete GROUPs with all they have committed. Nothing is asked.

    A group that has members is not deleted.
    """
    failed = False
    with admin() as client:
        for name, outcome in client.delete_groups(dict.fromkeys(names)).items():
            if outcome == "OK":
                click.echo(f"Deleted group {name}.")
            else:
                failed = True
                say(_why(name, outcome))
    return FAILED if failed else 0


def _why(name: str, outcome: str) -> str:
    known = {
        "GroupIdNotFoundError": f"there is no group '{name}'",
        "NonEmptyGroupError": f"group '{name}' has members: stop them first",
    }
    return known.get(outcome, f"group '{name}' cannot be deleted: {outcome}")


@click.command()
@click.argument("name", type=GROUP, metavar="GROUP")
@click.option(
    "--topic",
    "topics",
    type=TOPIC_PARTITIONS,
    multiple=True,
    metavar="TOPIC[:N,...]",
    help="Only this topic, or these of its partitions; may be repeated.",
)
@click.option("--all-topics", is_flag=True, help="Every topic the group has committed for.")
@click.option("--to-earliest", is_flag=True, help="To the oldest record there is.")
@click.option("--to-latest", is_flag=True, help="To the end.")
@click.option("--to-current", is_flag=True, help="To what is committed, or else to the end.")
@click.option("--to-offset", type=OFFSET, metavar="N", help="To this offset.")
@click.option(
    "--to-datetime", type=MOMENT, metavar="TIME", help="To the first record as late as that."
)
@click.option("--shift-by", type=SHIFT, metavar="N", help="So many records on, or back (-N).")
@click.option(
    "--by-duration",
    type=DURATION,
    metavar="DURATION",
    help="To the first record of so long ago: PT10M, P1D, or 10m.",
)
@click.option("--execute", is_flag=True, help="Do it; without this it is only shown.")
@json_option("Print a JSON array.")
@directory_option
def reset(
    name: str,
    topics: Sequence[Partitions],
    all_topics: bool,
    execute: bool,
    as_json: bool,
    **given: Any,
) -> int:
    r"""Set the offsets that GROUP has committed. Without --execute it is only shown.

    What lies outside of the log becomes its nearer end. A group that has members is refused:
    they would commit over it.

    \b
    Examples:
      brokerless groups reset billing --to-earliest --topic orders
      brokerless groups reset billing --shift-by -10 --all-topics --execute
      brokerless groups reset billing --to-datetime 2026-01-31T12:00:00 --topic orders:0,2
    """
    from brokerless.errors.broker import NoError

    rule = _rule(given)
    if bool(topics) == all_topics:
        raise click.UsageError("give --topic or --all-topics")
    with admin() as client:
        _refuse_live(client, name)
        partitions = _partitions(client, name, topics)
        specs = {partition: _spec(client, name, partition, *rule) for partition in partitions}
        done = client.reset_group_offsets(name, specs, validate_only=not execute)
    rows = []
    failures = []
    for partition, outcome in sorted(done.items()):
        topic, number = partition
        if outcome["error"] is not NoError:
            failures.append(f"{topic}-{number}: {outcome['error'].__name__}")
        else:
            found = {"topic": topic, "partition": number, "new_offset": outcome["offset"]}
            rows.append({"group": name, **found})
    if as_json:
        print_json(rows)
    elif rows:
        columns = ["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]
        print_table(columns, [list(row.values()) for row in rows])
    if not execute:
        note("Nothing is changed without --execute.")
    for failure in failures:
        say(failure)
    return FAILED if failures else 0


_RULES = (
    *("to_earliest", "to_latest", "to_current", "to_offset", "to_datetime"),
    *("shift_by", "by_duration"),
)


def _rule(given: dict[str, Any]) -> tuple[str, int]:
    """The one rule that was given, and its number."""
    # 0 is a number, and not the absence of a flag.
    chosen = [
        (rule, given[rule])
        for rule in _RULES
        if given[rule] is not None and given[rule] is not False
    ]
    if len(chosen) != 1:
        options = ", ".join(f"--{rule.replace('_', '-')}" for rule in _RULES)
        raise click.UsageError(f"give one of {options}")
    return chosen[0]


def _refuse_live(client: KafkaAdminClient, name: str) -> None:
    members = client.describe_groups([name])[name]["members"]
    if members:
        one = len(members) == 1
        many = "1 member: stop it" if one else f"{len(members)} members: stop them"
        raise FailedError(f"group '{name}' has {many} first")


def _partitions(
    client: KafkaAdminClient, name: str, topics: Sequence[Partitions]
) -> list[TopicPartition]:
    """The partitions that were named, or all that the group has committed for."""
    from brokerless import TopicPartition

    if not topics:
        found = sorted(client.list_group_offsets(name)[name])
        if not found:
            raise FailedError(f"there is no group '{name}', or it has committed nothing")
        return found
    with consumer(exclude_internal_topics=False) as reader:
        known = reader.topics()
        wanted = []
        for topic, numbers in topics:
            check_topic(topic, known)
            there = reader.partitions_for_topic(topic)
            check_partitions(topic, numbers, there)
            wanted += [TopicPartition(topic, number) for number in sorted(numbers or there)]
    return wanted


def _spec(
    client: KafkaAdminClient, name: str, partition: TopicPartition, rule: str, number: int
) -> Any:
    """The rule as the admin client has it."""
    from brokerless.admin import OffsetShift
    from brokerless.isolation import OffsetSpec, OffsetTimestamp

    committed = client.list_group_offsets({name: [partition]})[name][partition].offset
    if rule in ("to_current", "shift_by") and committed < 0:
        if rule == "shift_by":
            where = f"{partition.topic}-{partition.partition}"
            raise FailedError(f"group '{name}' has committed nothing for {where}")
        return OffsetSpec.LATEST
    specs = {
        "to_earliest": OffsetSpec.EARLIEST,
        "to_latest": OffsetSpec.LATEST,
        "to_current": OffsetShift(0),
        "to_offset": number,
        "to_datetime": OffsetTimestamp(number),
        "shift_by": OffsetShift(number),
        "by_duration": OffsetTimestamp(number),
    }
    return specs[rule]
