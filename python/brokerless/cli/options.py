"""What commands are given: the directory, places in a topic, moments, headers."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from brokerless.errors.base import KafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

    Parameter = click.ParamType[Any]
else:
    Parameter = click.ParamType  # generic since click 8.4 or so

__all__ = [
    "BYTES",
    "COUNT",
    "DURATION",
    "GROUP",
    "HEADER",
    "MOMENT",
    "NUMBER",
    "OFFSET",
    "PLACE",
    "SETTING",
    "SHIFT",
    "TEXT",
    "TOPIC",
    "TOPIC_PARTITIONS",
    "Partitions",
    "Place",
    "check_chosen",
    "directory_option",
    "json_option",
    "read_only_option",
    "settings_once",
]


def whole(text: str) -> int:
    """A whole number in plain digits; Python's may have spaces, underscores and any script's."""
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


class _Whole(click.IntRange):
    """A whole number in plain digits."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Any:
        try:
            return super().convert(whole(str(value)), param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)


# What partitions are numbered and counted with, and offsets.
NUMBER = _Whole(0, (1 << 31) - 1)
COUNT = _Whole(1, (1 << 31) - 1)
MOST = (1 << 63) - 1
OFFSET = _Whole(0, MOST)
SHIFT = _Whole(-MOST, MOST)

Command = TypeVar("Command", bound="Callable[..., Any]")


_CHOSEN = "brokerless.cli.directory"


def _choose_directory(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from brokerless.cli.directory import choose
    from brokerless.errors.base import SettingError

    try:
        choose(value)
    except SettingError as error:
        raise click.UsageError(str(error.args[0])) from None
    ctx.meta[_CHOSEN] = True
    if not isinstance(ctx.command, click.Group):
        check_chosen(ctx, ctx.command.name)


def check_chosen(ctx: click.Context, command: str | None) -> None:
    """Refuse a `--dir` that is no folder, except for the command that tells what is there."""
    if command == "where" or _CHOSEN not in ctx.meta:
        return
    from brokerless.cli.directory import check_folder
    from brokerless.errors.base import SettingError

    try:
        check_folder()
    except SettingError as error:
        raise click.UsageError(str(error.args[0])) from None


def directory_option(command: Command) -> Command:
    """Give the command `--dir`."""
    return click.option(
        "--dir",
        metavar="DIR",
        expose_value=False,
        is_eager=True,
        callback=_choose_directory,
        type=click.Path(),
        help="The data directory, instead of $BROKERLESS_DIR or the default one.",
    )(command)


def json_option(what: str) -> Callable[[Command], Command]:
    """Give the command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def read_only_option(command: Command) -> Command:
    """Give the command `--read-only`, which it names where the directory cannot be written to."""

    @wraps(command)
    def hinting(*args: Any, **given: Any) -> Any:
        try:
            return command(*args, **given)
        except KafkaError as error:
            # A member of a group writes.
            if error.args and given.get("group") is None:
                hint = str(error.args[0]).replace("or open it read-only", "or give --read-only")
                error.args = (hint, *error.args[1:])
            raise

    return click.option(
        "--read-only",
        is_flag=True,
        help="Change and lock nothing: for the directory of a stopped broker, or a copy.",
    )(cast("Command", hinting))


class _Text(Parameter):
    """Text, which bytes that are no UTF-8 are not."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(text).decode(errors="backslashreplace")
            self.fail(f"'{shown}' is no UTF-8", param, ctx)
        return text


TEXT = _Text()


class _Topic(_Text):
    """The name of a topic."""

    name = "topic"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from brokerless.cli.clients import known_topics

        hide = not incomplete.startswith("_")
        return [
            CompletionItem(name)
            for name in known_topics()
            if name.startswith(incomplete) and not (hide and name.startswith("__"))
        ]


TOPIC = _Topic()


class _Group(_Text):
    """The name of a group."""

    name = "group"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from brokerless.cli.clients import known_groups

        return [CompletionItem(name) for name in known_groups() if name.startswith(incomplete)]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("a group has a name that is not empty", param, ctx)
        return super().convert(value, param, ctx)


GROUP = _Group()

# A topic, and of its partitions those that are named; none are all.
Partitions = tuple[str, frozenset[int]]


class _TopicPartitions(_Topic):
    """`topic`, or `topic:0,2`."""

    name = "topic"

    def convert(  # type: ignore[override]
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Partitions:
        if isinstance(value, tuple):
            return value
        topic, separator, rest = super().convert(value, param, ctx).partition(":")
        numbers = rest.split(",") if separator else []
        if not topic or not all(it.isascii() and it.isdigit() for it in numbers):
            self.fail(f"{value!r} is not of the form TOPIC or TOPIC:0,1", param, ctx)
        return topic, frozenset(map(int, numbers))


TOPIC_PARTITIONS = _TopicPartitions()


class _Bytes(Parameter):
    r"""Text with the escapes \n, \t, \r, \0, \\ and \xHH."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        try:
            return value if isinstance(value, bytes) else unescape(os.fsencode(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.?)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0", b"\\": b"\\"}


def unescape(text: bytes) -> bytes:
    """Replace the escapes; `ValueError` names one that is unknown."""

    def one(match: re.Match[bytes]) -> bytes:
        what: bytes = match[1]
        if what[:1] == b"x" and len(what) > 1:
            return bytes([int(what[1:], 16)])
        if what not in _ESCAPED:
            shown = what.decode(errors="replace")
            raise ValueError(f"\\{shown} is unknown: there are \\n, \\t, \\r, \\0, \\\\ and \\xHH")
        return _ESCAPED[what]

    return _ESCAPE.sub(one, text)


BYTES = _Bytes()


class _Header(Parameter):
    """`name=value`; without `=` the value is null."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, bytes | None]:
        if isinstance(value, tuple):
            return value
        name, separator, rest = str(value).partition("=")
        if not name:
            self.fail(f"{value!r} has no name before the '='", param, ctx)
        return TEXT.convert(name, param, ctx), os.fsencode(rest) if separator else None


HEADER = _Header()


class _Setting(Parameter):
    """`name=value`, of a topic's setting."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, separator, rest = TEXT.convert(value, param, ctx).partition("=")
        if not (name and separator):
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name.strip(), rest.strip()


SETTING = _Setting()


def settings_once(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The settings, each of which is given once."""
    names = [name for name, _ in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise click.UsageError(f"setting '{twice[0]}' is given twice")
    return dict(given)


class _Moment(Parameter):
    """A point in time, as milliseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return moment(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_AGO = re.compile(r"-(\d+)(ms|s|m|h|d)")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(text: str) -> int:
    """Milliseconds since 1970: given as such, as ISO 8601, or as `-10m`, ten minutes ago.

    Without a zone it is UTC, as in Kafka's tools.
    """
    if text.isascii() and text.isdigit():
        if int(text) > MOST:
            raise ValueError(f"{text} is too late")
        return int(text)
    if ago := _AGO.fullmatch(text):
        return _before_now(int(ago[1]) * _UNITS[ago[2]])
    try:
        given = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", _whole_fraction(text)))
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: give milliseconds, 2026-01-31T12:00:00Z, or -10m"
        ) from None
    if given.tzinfo is None:
        given = given.replace(tzinfo=timezone.utc)
    return (given - _EPOCH) // timedelta(milliseconds=1)


def _before_now(milliseconds: int) -> int:
    return max(0, time.time_ns() // 1_000_000 - milliseconds)


def _whole_fraction(text: str) -> str:
    """Python 3.10 wants three or six digits behind the point."""
    return re.sub(r"\.(\d+)", lambda match: f".{match[1]:0<6.6}", text)


MOMENT = _Moment()

_ISO = re.compile(
    r"P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)


class _Duration(Parameter):
    """A duration before now, as the point in time; `PT10M`, or `10m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if _AGO.fullmatch(f"-{value}"):
            return moment(f"-{value}")
        found = _ISO.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no duration: give PT10M, P1D, or 10m", param, ctx)
        days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
        try:
            length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        except OverflowError:
            length = timedelta.max
        return _before_now(length // timedelta(milliseconds=1))


DURATION = _Duration()


class Place(NamedTuple):
    """Where to begin in a partition."""

    kind: str
    """`earliest`, `latest`, `offset`, `before-end` or `time`."""
    number: int = 0


class _Place(Parameter):
    """`5`, `-5` (before the end), `@time`, `earliest` or `latest`."""

    name = "place"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Place:
        if isinstance(value, Place):
            return value
        if value in ("earliest", "beginning"):
            return Place("earliest")
        if value in ("latest", "end"):
            return Place("latest")
        try:
            if value.startswith("@"):
                return Place("time", moment(value[1:]))
            number = whole(value)
        except ValueError as error:
            reason = f": {error}" if value.startswith("@") else ""
            self.fail(
                f"{value!r} is no place{reason}; give an offset, -N for the last N, @time, "
                "earliest or latest",
                param,
                ctx,
            )
        if abs(number) > MOST:
            self.fail(f"there is no offset {number}", param, ctx)
        if value.startswith("-"):
            return Place("before-end", -number)
        return Place("offset", number)


PLACE = _Place()
