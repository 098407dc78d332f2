"""Batches, mutated at random, and what kafka-python's decoder makes of each: a line a case.

`python decoder.py COUNT SEED LONGEST` prints them; `tests/decoder.rs` holds ours beside them.

A line is the batch in hexadecimal, and `refused` or the records: offset, timestamp, key, value and
headers, `-` for null.
"""

import random
import struct
import sys
import zlib
from pathlib import Path

from crc32c import crc32c
from kafka.record import MemoryRecords

GOLDEN = Path(__file__).parents[1] / "data" / "record"
EDGES = [0, 1, -1, -2, 6, 127, 128, 65_536, 2**31 - 1, -(2**31)]


def golden(longest: int) -> list[bytes]:
    batches = []
    for path in sorted(GOLDEN.glob("*.bin")):
        data = path.read_bytes()
        while data:
            size = 12 + struct.unpack(">i", data[8:12])[0]
            batches.append(data[:size])
            data = data[size:]
    return [batch for batch in batches if len(batch) <= longest]


def mutate(batch: bytearray, dice: random.Random) -> None:
    at = dice.randrange(min(len(batch), 100) if dice.random() < 0.5 else len(batch))
    kind = dice.randrange(6)
    if kind == 0:
        batch[at] ^= 1 << dice.randrange(8)
    elif kind == 1:
        batch[at] = dice.randrange(256)
    elif kind == 2:
        del batch[max(at, 62) :]
    elif kind == 3:
        batch.insert(at, dice.randrange(256))
    elif kind == 4:
        batch[at : at + 4] = struct.pack(">i", dice.choice(EDGES))
    else:
        batch[at:at] = batch[at : at + dice.randrange(64)]


def repair(batch: bytearray) -> None:
    """Lets size and checksum fit, so that what lies behind them is reached."""
    batch[8:12] = struct.pack(">i", len(batch) - 12)
    if batch[16] == 2:
        batch[17:21] = struct.pack(">I", crc32c(bytes(batch[21:])))
    elif batch[16] < 2:
        batch[12:16] = struct.pack(">I", zlib.crc32(bytes(batch[16:])))


def case(batches: list[bytes], dice: random.Random) -> bytes:
    batch = bytearray(dice.choice(batches))
    for _ in range(dice.choice([0, 1, 1, 1, 2, 4])):
        mutate(batch, dice)
    if dice.random() < 0.9 and len(batch) > 61:
        repair(batch)
    return bytes(batch)


def text(data: bytes | None) -> str:
    return "-" if data is None else "=" + bytes(data).hex()


def answer(batch: bytes) -> str:
    try:
        records = MemoryRecords(batch)
        first = records.next_batch()
        if first is None or records.has_next() or records.size_in_bytes() != len(batch):
            return "refused"
        if not first.validate_crc():
            return "refused"
        rows = []
        for record in first:
            headers = ",".join(f"{text(k.encode())}:{text(v)}" for k, v in record.headers)
            stamp = -1 if record.timestamp is None else record.timestamp
            rows.append(
                f"{record.offset} {stamp} {text(record.key)} {text(record.value)} [{headers}]"
            )
        return "|".join(rows) or "none"
    except Exception as error:  # noqa: BLE001 - whatever it raises, it refuses
        return f"refused {type(error).__name__}"


def main() -> None:
    count, seed, longest = map(int, sys.argv[1:])
    dice = random.Random(seed)
    batches = golden(longest)
    for _ in range(count):
        batch = case(batches, dice)
        print(batch.hex(), answer(batch), sep="\t")


if __name__ == "__main__":
    main()
