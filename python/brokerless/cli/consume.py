"""`brokerless consume`: records become lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.clients import (
    check_partitions,
    check_topic,
    consumer,
    existing_directory,
    mute_when_gone,
    unless_gone,
)
from brokerless.cli.commits import Commits
from brokerless.cli.ending import FailedError
from brokerless.cli.failures import Failures
from brokerless.cli.format import NULL, compile_format
from brokerless.cli.jumps import Jumps
from brokerless.cli.options import (
    BYTES,
    GROUP,
    NUMBER,
    PLACE,
    TOPIC,
    Place,
    directory_option,
    json_option,
    read_only_option,
)
from brokerless.cli.output import Output
from brokerless.cli.polling import Polling
from brokerless.cli.values import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from brokerless import ConsumerRecord, KafkaConsumer, TopicPartition

__all__ = ["CONSUMER", "Ends", "consume", "offset_of"]

# Of a poll, and milliseconds until the next look at whether all is read.
CONSUMER = {"max_poll_records": 20_000, "fetch_max_bytes": 64 << 20}
PAUSE_MS = 500


@click.command(
    epilog="With --group what was printed is committed, never what was not: after a crash some "
    "records may come again, none is lost."
)
@click.argument("topic", type=TOPIC)
@click.option("--from-beginning", is_flag=True, help="Begin with the oldest record there is.")
@click.option(
    "-o",
    "--offset",
    "place",
    type=PLACE,
    metavar="PLACE",
    help="Begin there, in each partition: N, -N for the last N, @TIME (milliseconds, ISO 8601, "
    "or -10m), earliest or latest.",
)
@click.option("-n", "--max-records", "most", type=click.IntRange(0), help="End after so many.")
@click.option(
    "-e", "--exit-at-end", is_flag=True, help="End when all that was there at the start is read."
)
@click.option("-g", "--group", type=GROUP, help="Read as a member of this group, and commit.")
@click.option(
    "-p",
    "--partition",
    "numbers",
    type=NUMBER,
    multiple=True,
    help="Only this partition; may be repeated.",
)
@json_option("Print each record as a JSON object in a line.")
@click.option("-f", "--format", "text", type=click.UNPROCESSED, help="How to print: see above.")
@click.option(
    "-K",
    "--key-separator",
    type=BYTES,
    metavar="TEXT",
    help="Print the key and this text before the value.",
)
@click.option(
    "-D",
    "--delimiter",
    type=BYTES,
    default="\\n",
    show_default=True,
    metavar="TEXT",
    help="What ends a record.",
)
@click.option("-Z", "--null", is_flag=True, help="Print null keys and values as NULL.")
@click.option(
    "--isolation",
    type=click.Choice(["read_uncommitted", "read_committed"]),
    default="read_uncommitted",
    show_default=True,
    help="Whether records of open and aborted transactions count.",
)
@read_only_option
@directory_option
def consume(topic: str, **given: Any) -> int:
    r"""Print the records of TOPIC, from now on and until Ctrl-C.

    --format takes kcat's letters, and prints no line end of its own:

    \b
      %t topic    %p partition    %o offset    %T timestamp in milliseconds
      %k key      %K its length (-1: null)
      %s value    %S its length (-1: null)     %R its length as four bytes
      %h headers, as name=value,name=value     %% a percent sign
      \n \r \t \\ \0 \xHH

    \b
    Examples:
      brokerless consume orders --from-beginning --exit-at-end
      brokerless consume orders -o -10 -e -f '%T %k=%s\n'
      brokerless consume orders -o @-10m --json | jq .value
      brokerless consume orders --group billing
    """
    emit = _emitter(given)
    _check(given)
    output, failures = Output(as_json=given["as_json"]), Failures()
    if not given["exit_at_end"]:  # a look at what is there need not wait for the import
        mute_when_gone()
    reset = "earliest" if given["from_beginning"] else "latest"
    with (
        consumer(
            **CONSUMER,
            group_id=given["group"],
            enable_auto_commit=False,
            # What was asked for by number is there or an error; later, what is there next.
            auto_offset_reset="earliest" if given["place"] else reset,
            isolation_level=given["isolation"],
            exclude_internal_topics=False,
            allow_auto_create_topics=False,
            read_only=given["read_only"],
        ) as client,
        unless_gone(),
    ):
        check_topic(topic, client.topics())
        _begin(client, topic, given["place"], given["numbers"], given["group"], failures)
        if client.subscription() or client.assignment():
            polling = Polling(client, failures)
            _print(
                client,
                polling,
                topic,
                given["most"],
                given["exit_at_end"],
                given["group"],
                emit,
                output,
            )
    return failures.code


def _check(given: Mapping[str, Any]) -> None:
    if given["group"] is not None and (given["place"] or given["numbers"] or given["read_only"]):
        raise click.UsageError(
            "--group decides where to read: give no --offset, --partition or --read-only with it"
        )
    if given["read_only"] and not given["exit_at_end"]:
        raise click.UsageError(
            "--read-only shows what is there now and nothing that comes: give --exit-at-end with it"
        )
    if given["key_separator"] is not None and (given["as_json"] or given["text"] is not None):
        raise click.UsageError("give --key-separator, --json or --format, not several")
    if given["from_beginning"] and given["place"]:
        raise click.UsageError("give --from-beginning or --offset, not both")


def _emitter(given: Mapping[str, Any]) -> Callable[[ConsumerRecord], bytes]:
    """What gives each record its bytes."""
    null = NULL if given["null"] else b""
    separator, end = given["key_separator"], given["delimiter"]
    if given["as_json"]:
        if given["text"] is not None:
            raise click.UsageError("give --json or --format, not both")
        return lambda record: line_of(record) + b"\n"
    if given["text"] is not None:
        try:
            return compile_format(given["text"].encode(errors="surrogateescape"), null)
        except ValueError as error:
            raise click.UsageError(f"--format: {error}") from None
    if separator is None:
        return lambda record: (null if record.value is None else record.value) + end
    return lambda record: b"".join(
        (
            null if record.key is None else record.key,
            separator,
            null if record.value is None else record.value,
            end,
        )
    )


def _begin(
    client: KafkaConsumer,
    topic: str,
    place: Place | None,
    numbers: Sequence[int],
    group: str | None,
    failures: Failures,
) -> None:
    if group is not None or not (place or numbers):
        client.subscribe([topic])
        return
    from brokerless import TopicPartition

    there = client.partitions_for_topic(topic)
    check_partitions(topic, numbers, there)
    wanted = [TopicPartition(topic, number) for number in sorted(set(numbers) or there)]
    if place is None:
        client.assign(wanted)
        return
    begins = {}
    for partition in wanted:
        with failures.of(partition):
            begins[partition] = offset_of(client, partition, place)
    client.assign(list(begins))
    for partition, offset in begins.items():
        client.seek(partition, offset)


def offset_of(client: KafkaConsumer, partition: TopicPartition, place: Place) -> int:
    """The offset of the place in a partition."""
    begin = client.beginning_offsets([partition])[partition]
    if place.kind == "earliest":
        return begin
    end = client.end_offsets([partition])[partition]
    if place.kind == "before-end":
        return max(begin, end - place.number)
    if place.kind == "time":
        found = client.offsets_for_times({partition: place.number})[partition]
        return end if found is None else found.offset
    if place.kind == "offset" and not begin <= place.number <= end:
        raise FailedError(f"there is no offset {place.number}: it has {begin} to {end}")
    return place.number if place.kind == "offset" else end


class Ends:
    """Where each partition ended when it was first seen."""

    def __init__(self, client: KafkaConsumer, polling: Polling) -> None:
        self._client = client
        self._polling = polling
        self._ends: dict[TopicPartition, int] = {}

    def look(self) -> None:
        """See what is new; before it is printed, which may take long."""
        self._ends |= self._polling.ends(self._polling.working() - self._ends.keys())

    def are_reached(self, *, is_quiet: bool) -> bool:
        """Whether all that is assigned is read; where nothing comes, whether it can be."""
        client = self._client
        if not client.assignment():
            return self._has_nothing()
        self.look()
        working = self._polling.working()
        behind = {it for it in working if (client.position(it) or 0) < self._ends[it]}
        if is_quiet:
            self._check_same(behind)
        return not behind

    def _check_same(self, partitions: set[TopicPartition]) -> None:
        """An end goes back only where it is another topic's."""
        for partition, end in self._polling.ends(partitions).items():
            if end < self._ends[partition]:
                raise FailedError(
                    f"somebody deleted topic '{partition.topic}' before it was read, and made it "
                    "anew"
                )

    def _has_nothing(self) -> bool:
        """Whether it is a member that others left nothing for."""
        standing = self._client._standing()  # noqa: SLF001
        return standing is not None and standing[2]


def _print(
    client: KafkaConsumer,
    polling: Polling,
    topic: str,
    most: int | None,
    exit_at_end: bool,
    group: str | None,
    emit: Callable[[ConsumerRecord], bytes],
    output: Output,
) -> None:
    left = most
    ends, jumps = Ends(client, polling), Jumps(client)
    commits = None if group is None else Commits(client, polling)
    while left is None or left > 0:
        wanted = CONSUMER["max_poll_records"]
        polled = polling.poll(PAUSE_MS, wanted if left is None else min(left, wanted))
        if exit_at_end:
            ends.look()
        if commits is not None:
            commits.expect(jumps)
        jumped = jumps.look(polled)
        if commits is not None:
            commits.begin(polled)
        records = [record for found in polled.values() for record in found]
        if records:
            output.write(b"".join(map(emit, records)))
            left = None if left is None else left - len(records)
        else:
            output.check_reader()
            existing_directory()
            if topic not in client.topics():
                raise FailedError(f"topic '{topic}' is gone: somebody deleted it")
        if commits is not None and (records or jumped):
            commits.printed()
        if polling.is_over() or (exit_at_end and ends.are_reached(is_quiet=not records)):
            return
