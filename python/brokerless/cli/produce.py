"""`brokerless produce`: lines become records."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from brokerless.cli.clients import (
    check_new_topics,
    check_partitions,
    is_data_directory,
    producer,
)
from brokerless.cli.ending import FailedError, say, sentence
from brokerless.cli.options import (
    BYTES,
    HEADER,
    NUMBER,
    TOPIC,
    directory_option,
)
from brokerless.cli.output import Progress, counted, total_size
from brokerless.cli.reading import Source, each_place, lines_of
from brokerless.cli.values import parse_line
from brokerless.errors.base import KafkaError
from brokerless.location import default_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from brokerless import KafkaProducer
    from brokerless.errors import BrokerResponseError

__all__ = ["PRODUCER", "Sending", "produce", "serialize"]

# Larger batches than a program's: few, and well compressed. A line of a slow input still goes
# at once. How large a record may be, its topic says.
PRODUCER = {
    "linger_ms": 5,
    "batch_size": 512 * 1024,
    "buffer_memory": 1 << 33,
    "max_request_size": (1 << 31) - 1,
}

# A value that is null also where there is no key, which the producer takes for a mistake.
NULL = object()


def serialize(value: Any) -> bytes | None:
    """Make `NULL` null."""
    return None if value is NULL else value


CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Lines(NamedTuple):
    """How lines are read, and what all records have."""

    separator: bytes | None
    key: bytes | None
    empty_is_null: bool
    headers: list[tuple[str, bytes | None]]
    partition: int | None


@click.command(epilog="Nothing that was sent is lost, also after Ctrl-C.")
@click.argument("topic", type=TOPIC)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("-k", "--key", type=BYTES, help="The key of every record.")
@click.option(
    "-K",
    "--key-separator",
    type=BYTES,
    metavar="TEXT",
    help="A line is a key, this text, and a value.",
)
@click.option("--json", "as_json", is_flag=True, help="A line is a record as JSON: see above.")
@click.option(
    "-H",
    "--header",
    "headers",
    type=HEADER,
    multiple=True,
    help="A header of every record; may be repeated.",
)
@click.option("-p", "--partition", type=NUMBER, help="The partition.")
@click.option("-z", "--compression", type=click.Choice(CODECS), default="none", show_default=True)
@click.option(
    "--acks",
    type=click.Choice(["all", "1", "0"]),
    default="all",
    show_default=True,
    help="When a record counts as sent: on the disk, written, or taken.",
)
@click.option("-Z", "--null", "empty_is_null", is_flag=True, help="Empty values become null.")
@click.option(
    "-D",
    "--delimiter",
    type=BYTES,
    default="\\n",
    show_default=True,
    metavar="TEXT",
    help="What ends a record.",
)
@click.option("--whole", is_flag=True, help="Each file is one record.")
@directory_option
def produce(
    topic: str,
    files: Sequence[str],
    as_json: bool,
    compression: str,
    acks: str,
    delimiter: bytes,
    whole: bool,
    **given: Any,
) -> None:
    r"""Send each line of FILES, or of the standard input, to TOPIC.

    With --json a line is an object with any of key, value, headers ([[name, value], ...]),
    partition and timestamp (milliseconds), as `consume --json` prints it; bytes that are no
    text are {"base64": "..."}.

    \b
    Examples:
      brokerless produce orders access.log
      echo 'customer-7:{"total": 12}' | brokerless produce orders -K :
      tail -f access.log | brokerless produce orders -z zstd
    """
    lines = Lines(
        given["key_separator"],
        given["key"],
        given["empty_is_null"],
        list(given["headers"]),
        given["partition"],
    )
    if whole and not files:
        raise click.UsageError("--whole needs FILES; - is the standard input")
    source_of = click.get_current_context().get_parameter_source
    if whole and source_of("delimiter") is not ParameterSource.DEFAULT:
        raise click.UsageError("give --whole or --delimiter, not both")
    _check(as_json, whole, lines, delimiter)
    settings: dict[str, Any] = {
        **PRODUCER,
        "acks": acks if acks == "all" else int(acks),
        "compression_type": None if compression == "none" else compression,
    }
    if as_json or lines.empty_is_null:
        settings["value_serializer"] = serialize
    paths = files or ("-",)
    if not is_data_directory(Path(default_directory())):
        _check_target(topic, lines.partition)  # before it is made
    with producer(**settings) as client, Progress(total_size(paths)) as progress:
        _check_target(topic, lines.partition)
        sending = Sending(client)
        with _earlier_failures(sending):
            for path in paths:
                with Source(path, progress.advance) as source:
                    if as_json:
                        _send_json(sending, topic, source, lines)
                    else:
                        _send_lines(sending, topic, source, lines, None if whole else delimiter)
        sending.finish()
    if sys.stderr is not None and sys.stderr.isatty():
        click.echo(f"{counted(sending.count, 'record')} sent", err=True)


def _check(as_json: bool, whole: bool, lines: Lines, delimiter: bytes) -> None:
    if not delimiter:
        raise click.UsageError("--delimiter is empty")
    if lines.separator == b"":
        raise click.UsageError("--key-separator is empty")
    if lines.separator is not None and lines.key is not None:
        raise click.UsageError("give --key or --key-separator, not both")
    if as_json and (whole or lines.separator is not None or lines.key is not None):
        raise click.UsageError("with --json the key is in the line, and a line is a record")


def _check_target(topic: str, partition: int | None) -> None:
    """Refuse what no record could be sent to, also if there will be none; nothing is made."""
    from brokerless.admin import NewTopic

    (count,) = check_new_topics([NewTopic(topic)], if_not_exists=True)
    check_partitions(topic, [partition or 0], set(range(count)))


@contextlib.contextmanager
def _earlier_failures(sending: Sending) -> Iterator[None]:
    """Of what ends the input, say before it what failed of the lines that were under way."""
    try:
        yield
    except (FailedError, KafkaError, OSError) as error:
        try:
            sending.finish()
        except (FailedError, KafkaError) as earlier:
            if earlier.args != error.args:
                say(sentence(earlier))
        raise


class Place(NamedTuple):
    """Where records stand in the input."""

    name: str
    first: int | None
    """The line of the first; of a record that is a whole file there is none."""

    def failed(self, error: KafkaError) -> FailedError:
        """Say which of the records it was, and why."""
        # Of several sent in one call it says how many went well.
        at = "" if self.first is None else f", line {self.first + getattr(error, '_sent', 0)}"
        return FailedError(f"{self.name}{at}: {sentence(error)}")


class Sending:
    """Sends, notices the first failure early, and counts."""

    # So many calls may be under way, and so many bytes, before one is waited for.
    MOST = 1000
    MOST_BYTES = 32 << 20

    def __init__(self, client: KafkaProducer) -> None:
        self._client = client
        # Of each call what it sent in bytes, and what the caller knows it by.
        self._futures: deque[tuple[Any, int, Any]] = deque()
        self._bytes = 0
        self.count = 0

    def many(self, topic: str, values: Sequence[Any], place: Place, **what: Any) -> None:
        """Send the values of these lines."""
        from brokerless.errors import BrokerResponseError

        size = sum(len(value) for value in values if value is not NULL)
        try:
            future = self._client.send_many(topic, values, **what)
        except BrokerResponseError as error:
            raise place.failed(error) from None
        self._await(future, size, place)
        self.count += len(values)

    def one(self, topic: str, value: bytes | None, place: Any = None, **record: Any) -> None:
        """Send a record; `ValueError` says why there can be no such record."""
        from brokerless.errors import BrokerResponseError

        try:
            future = self._client.send(topic, NULL if value is None else value, **record)
        except BrokerResponseError as error:
            self._refuse(error, place)
            return
        self.count += 1
        self._await(future, len(value or b""), place)

    def finish(self) -> None:
        """Wait for all."""
        self._client.flush()
        while self._futures:
            self._settle_first()

    def _refuse(self, error: BrokerResponseError, place: Any) -> None:
        """A record could not be sent at all."""
        raise ValueError(sentence(error)) from None

    def _settle(self, future: Any, place: Any) -> None:
        """Wait for what was sent."""
        try:
            future.get()
        except KafkaError as error:
            raise place.failed(error) from None

    def _await(self, future: Any, size: int, place: Any = None) -> None:
        self._futures.append((future, size, place))
        self._bytes += size
        while self._futures and (self._is_much() or self._futures[0][0].is_done):
            self._settle_first()

    def _settle_first(self) -> None:
        # After Ctrl-C it is still to be waited for.
        future, size, place = self._futures[0]
        self._settle(future, place)
        self._futures.popleft()
        self._bytes -= size

    def _is_much(self) -> bool:
        return len(self._futures) > self.MOST or self._bytes > self.MOST_BYTES


def _send_lines(
    sending: Sending, topic: str, source: Source, lines: Lines, delimiter: bytes | None
) -> None:
    what: dict[str, Any] = {"headers": lines.headers or None, "partition": lines.partition}
    before = 0
    for found in [[source.all()]] if delimiter is None else lines_of(source, delimiter):
        values: list[Any] = list(found)
        if lines.separator is not None:
            keys, values = _keyed(found, lines.separator)
            what["keys"] = keys
        elif lines.key is not None:
            what["keys"] = [lines.key] * len(values)
        if lines.empty_is_null:
            values = [value or NULL for value in values]
        if values:
            place = Place(source.name, None if delimiter is None else before + 1)
            sending.many(topic, values, place, **what)
        before += len(values)
        if len(values) < len(found):
            shown = (lines.separator or b"").decode(errors="backslashreplace")
            said = f"there is no {shown!r} between key and value"
            raise FailedError(f"{source.name}, line {before + 1}: {said}")


def _keyed(found: Sequence[bytes], separator: bytes) -> tuple[list[bytes], list[Any]]:
    """Keys and values of the lines before the first that has no separator."""
    keys: list[bytes] = []
    values: list[Any] = []
    for line in found:
        key, separated, value = line.partition(separator)
        if not separated:
            break
        keys.append(key)
        values.append(value)
    return keys, values


def _send_json(sending: Sending, topic: str, source: Source, lines: Lines) -> None:
    def send(line: bytes, place: tuple[str, int]) -> None:
        record = parse_line(line)
        sending.one(
            topic,
            place=Place(*place),
            value=record.value or None if lines.empty_is_null else record.value,
            key=record.key,
            headers=[*record.headers, *lines.headers],
            partition=lines.partition if record.partition is None else record.partition,
            timestamp_ms=record.timestamp,
        )

    each_place(source, send)
