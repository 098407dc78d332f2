r"""The `--format` of `brokerless consume`, with kcat's letters.

%t topic    %p partition    %o offset    %T timestamp in milliseconds
%k key      %K its length (-1: null)
%s value    %S its length (-1: null)     %R its length as four bytes
%h headers, as name=value,name=value     %% a percent sign
\n \r \t \\ \0 \xHH
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokerless.cli.options import unescape

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokerless import ConsumerRecord

__all__ = ["NULL", "compile_format"]

NULL = b"NULL"


def compile_format(text: bytes, null: bytes = b"") -> Callable[[ConsumerRecord], bytes]:
    """Make what gives a record its bytes; null keys and values become `null`."""
    letters = _letters(null)
    parts = []
    literal = b""
    rest = text
    while rest:
        before, percent, rest = rest.partition(b"%")
        literal += unescape(before)
        if not percent:
            break
        letter, rest = rest[:1], rest[1:]
        if letter == b"%":
            literal += b"%"
        elif letter in letters:
            if literal:
                parts.append(_constant(literal))
            literal = b""
            parts.append(letters[letter])
        else:
            raise ValueError(f"%{letter.decode(errors='replace')} is unknown")
    if literal:
        parts.append(_constant(literal))
    return lambda record: b"".join([part(record) for part in parts])


def _constant(data: bytes) -> Callable[[ConsumerRecord], bytes]:
    return lambda _: data


def _letters(null: bytes) -> dict[bytes, Callable[[ConsumerRecord], bytes]]:
    return {
        b"t": lambda record: record.topic.encode(),
        b"p": lambda record: b"%d" % record.partition,
        b"o": lambda record: b"%d" % record.offset,
        b"T": lambda record: b"%d" % (-1 if record.timestamp is None else record.timestamp),
        b"k": lambda record: null if record.key is None else record.key,
        b"s": lambda record: null if record.value is None else record.value,
        b"K": lambda record: b"%d" % _length(record.key),
        b"S": lambda record: b"%d" % _length(record.value),
        b"R": lambda record: _length(record.value).to_bytes(4, "big", signed=True),
        b"h": lambda record: b",".join(
            name.encode() + b"=" + (NULL if value is None else value)
            for name, value in record.headers
        ),
    }


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)
