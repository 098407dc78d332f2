"""Makes the batches beside this file with kafka-python's own encoder.

    pip install kafka-python crc32c lz4 python-snappy xxhash zstandard
    python tests/data/record/make.py

For every magic and codec that magic knows there is NAME.bin, batches as they lie in a log,
and NAME.txt, what is in them by what the encoder was given:

    batch MAGIC BASE_OFFSET LAST_OFFSET SIZE CODEC TIMESTAMP_TYPE LEADER_EPOCH
          PRODUCER_ID PRODUCER_EPOCH BASE_SEQUENCE TRANSACTIONAL        (in one line)
    record OFFSET TIMESTAMP KEY VALUE [HEADER=VALUE]...

BASE_OFFSET is the offset field. Bytes are `-` for null, else `x` and hexadecimal digits,
repeated N times where `*N` follows.
"""

from __future__ import annotations

import binascii
import struct
from pathlib import Path
from typing import NamedTuple

from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatch, LegacyRecordBatchBuilder

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
NO_LIMIT = 1 << 30
BASE = 1_600_000_000_000


class Input(NamedTuple):
    """What the encoder is given."""

    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    repeated: int = 1
    """How often the value stands in the record."""


ONE = [Input(BASE, b"k", b"v")]
# Every absence there is, and timestamps that go back.
SHAPES = [
    Input(BASE, b"key", b"value"),
    Input(BASE + 5, None, b"no key"),
    Input(BASE - 70, b"no value", None),
    Input(BASE + 1_000_000, None, None),
    Input(BASE, b"", b""),
    Input(BASE, b"\x00\xff" * 40, bytes(range(256))),
]
HEADERS = [
    Input(BASE, b"k", b"v", (("name", b"value"),)),
    Input(BASE, b"k", b"v", (("null", None), ("empty", b""), ("", b"no name"))),
    Input(BASE, None, None, (("twice", b"1"), ("twice", b"2"), ("\u00fcml\u00e4ut", b"\xff"))),
]
# More than one block of xerial, of LZ4 and of zstd.
LONG = [
    Input(BASE + i, b"key %d" % i, b"line %d of a long log\n" % i, repeated=2_500) for i in range(4)
]


def spell(data: bytes | None, repeated: int = 1) -> str:
    if data is None:
        return "-"
    return "x" + data.hex() + (f"*{repeated}" if repeated > 1 else "")


def whole(value: bytes | None, repeated: int) -> bytes | None:
    return None if value is None else value * repeated


def put_crc(batch: bytearray, magic: int) -> None:
    if magic == 2:
        from kafka.record.util import calc_crc32c

        struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    else:
        struct.pack_into(">I", batch, 12, binascii.crc32(batch[16:]))


def set_log_append_time(batch: bytearray, magic: int, timestamp: int) -> None:
    """What a broker does to a batch of a topic with message.timestamp.type=LogAppendTime."""
    batch[22 if magic == 2 else 17] |= 0x08
    struct.pack_into(">q", batch, 35 if magic == 2 else 18, timestamp)
    put_crc(batch, magic)


class Golden:
    """One pair of files."""

    def __init__(self, magic: int, codec: str) -> None:
        self.magic = magic
        self.codec = codec
        self.data = bytearray()
        self.lines: list[str] = []
        self.offset = 1_000

    def add(
        self, inputs: list[Input], *, appended: int | None = None, transaction: bool = False
    ) -> None:
        """Adds `inputs` as one batch, appended at that time, if any, by the broker's clock."""
        if self.magic == 2:
            self._add_v2(inputs, appended, transaction)
        elif self.codec == "none":
            for one in inputs:
                self._add_legacy([one], appended)
        else:
            self._add_legacy(inputs, appended)

    def _add_v2(self, inputs: list[Input], appended: int | None, transaction: bool) -> None:
        producer = (4_711, 3, 17) if transaction else (-1, -1, -1)
        builder = DefaultRecordBatchBuilder(
            2, CODECS.index(self.codec), transaction, *producer, NO_LIMIT
        )
        for i, one in enumerate(inputs):
            value = whole(one.value, one.repeated)
            builder.append(i, one.timestamp, one.key, value, list(one.headers))
        batch = bytearray(builder.build())
        struct.pack_into(">q", batch, 0, self.offset)
        struct.pack_into(">i", batch, 12, 7)
        if appended is not None:
            set_log_append_time(batch, 2, appended)
        # kafka-python leaves a batch uncompressed that would not become smaller.
        codec = CODECS[batch[22] & 7]
        last = self.offset + len(inputs) - 1
        facts = f"7 {producer[0]} {producer[1]} {producer[2]} {int(transaction)}"
        self._note(self.offset, last, batch, codec, appended, facts)
        self._note_records(inputs, appended)
        self._check(DefaultRecordBatch(bytes(batch)), inputs)
        self._end(inputs, batch)

    def _add_legacy(self, inputs: list[Input], appended: int | None) -> None:
        builder = LegacyRecordBatchBuilder(self.magic, CODECS.index(self.codec), NO_LIMIT)
        for i, one in enumerate(inputs):
            relative = self.magic == 1 and self.codec != "none"
            offset = i if relative else self.offset + i
            builder.append(offset, one.timestamp, one.key, whole(one.value, one.repeated))
        batch = bytearray(builder.build())
        last = self.offset + len(inputs) - 1
        struct.pack_into(">q", batch, 0, last)
        if self.magic == 1 and self.codec != "none":
            # The broker gives the wrapper the largest timestamp.
            struct.pack_into(">q", batch, 18, max(one.timestamp for one in inputs))
            put_crc(batch, 1)
        if appended is not None:
            set_log_append_time(batch, 1, appended)
        self._note(last, last, batch, self.codec, appended, "-1 -1 -1 -1 0")
        self._note_records(inputs, appended)
        self._check(LegacyRecordBatch(bytes(batch), self.magic), inputs)
        self._end(inputs, batch)

    def _note(
        self, base: int, last: int, batch: bytearray, codec: str, appended: int | None, facts: str
    ) -> None:
        time = "CreateTime" if appended is None else "LogAppendTime"
        self.lines.append(f"batch {self.magic} {base} {last} {len(batch)} {codec} {time} {facts}")

    def _note_records(self, inputs: list[Input], appended: int | None) -> None:
        for i, one in enumerate(inputs):
            timestamp = one.timestamp if appended is None else appended
            words = ["record", str(self.offset + i), str(-1 if self.magic == 0 else timestamp)]
            words += [spell(one.key), spell(one.value, one.repeated)]
            words += [f"{spell(name.encode())}={spell(value)}" for name, value in one.headers]
            self.lines.append(" ".join(words))

    def _check(self, batch: DefaultRecordBatch | LegacyRecordBatch, inputs: list[Input]) -> None:
        """kafka-python itself reads what it wrote."""
        assert batch.validate_crc()
        read = [(record.offset, record.key, record.value) for record in batch]
        assert read == [
            (self.offset + i, one.key, whole(one.value, one.repeated))
            for i, one in enumerate(inputs)
        ]

    def _end(self, inputs: list[Input], batch: bytearray) -> None:
        self.data += batch
        self.offset += len(inputs) + 3  # as if compaction had removed some

    def write(self, folder: Path) -> None:
        path = folder / f"v{self.magic}-{self.codec}"
        path.with_suffix(".bin").write_bytes(self.data)
        path.with_suffix(".txt").write_text("\n".join(self.lines) + "\n", encoding="ascii")


def make(magic: int, codec: str) -> Golden:
    golden = Golden(magic, codec)
    golden.add(ONE)
    golden.add(SHAPES)
    if magic > 0:
        golden.add(SHAPES, appended=BASE + 9_999)
    if magic == 2:
        golden.add(HEADERS)
        golden.add(SHAPES * 3, transaction=True)
    if codec != "none":
        golden.add(LONG)
    return golden


def main() -> None:
    for magic in range(3):
        for codec in CODECS if magic == 2 else CODECS[:4]:
            make(magic, codec).write(Path(__file__).parent)


if __name__ == "__main__":
    main()
