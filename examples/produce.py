"""Send the lines of files to a topic, each under a key.

    brokerless run examples/produce.py                  # Python's own library
    brokerless run examples/produce.py some.log         # files
    brokerless run examples/produce.py ~/project        # all text files of a folder

A plain kafka-python program. The key of a line is the name of its file, or, if there
is only one file, the first word of the line; so the lines of a key stay in order.
"""

import argparse
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

SERVERS = "localhost:9092"


def files(paths: list[Path]) -> list[Path]:
    """The files themselves, and all text files below the folders."""
    if not paths:
        return sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for path in paths:
        if not path.exists():
            raise SystemExit(f"{path}: no such file or folder")
    return [file for path in paths for file in ([path] if path.is_file() else below(path))]


def below(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and is_text(p))


def is_text(path: Path) -> bool:
    if any(part.startswith(".") and part.strip(".") for part in path.parts):
        return False
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(1024)
    except OSError:
        return False


def lines(paths: list[Path]) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of every line, as they are in the files."""
    found = files(paths)
    for file in found:
        name = str(file).encode() if len(found) > 1 else None
        with file.open("rb") as content:
            for line in content:
                yield name or first_word(line), line


def first_word(line: bytes) -> bytes:
    return line.split(maxsplit=1)[0] if line.strip() else b""


def create(topic: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=SERVERS)
    try:
        admin.create_topics([NewTopic(topic, partitions, replication_factor=1)])
    except TopicAlreadyExistsError:
        pass  # go on with what is there
    finally:
        admin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Send the lines of files to a topic.")
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--topic", default="lines")
    parser.add_argument("--partitions", type=int, default=3)
    parser.add_argument("--compression", choices=["gzip", "snappy", "lz4", "zstd"])
    args = parser.parse_args()
    files(args.paths)  # they exist, or else nothing is created

    create(args.topic, args.partitions)
    producer = KafkaProducer(bootstrap_servers=SERVERS, compression_type=args.compression)
    start, count, size = time.perf_counter(), 0, 0
    for key, value in lines(args.paths):
        producer.send(args.topic, key=key, value=value)
        count += 1
        size += len(value)
    producer.flush()
    seconds = time.perf_counter() - start
    producer.close()
    print(
        f"sent {count:,} records, {size / 1e6:.1f} MB in {seconds:.2f} s:"
        f" {count / seconds:,.0f} records/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
