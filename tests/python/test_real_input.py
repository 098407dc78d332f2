"""Real files go in and come out unchanged, with every codec."""

import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brokerless import ConsumerRecord, KafkaAdminClient, KafkaProducer, NewTopic

Read = Callable[..., list[ConsumerRecord]]

FOLDERS = [parent / "shared" / "data" for parent in Path(__file__).resolve().parents[2:5]]
FOLDER = next((folder for folder in FOLDERS if folder.is_dir()), None)
FILES = [
    "apache_access.log",
    "nginx_plus.ndjson",
    "windows_events.zip",
    "zeek_apt29.ndjson",
]


def content(path: Path) -> bytes:
    """What is in a file; of an archive, its one member."""
    if path.suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return archive.read(member)


def lines(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Key and value: each line under what it begins with."""
    for line in content(path).splitlines(keepends=True):
        yield line.split(maxsplit=1)[0][:40], line


@pytest.mark.skipif(FOLDER is None, reason="no folder shared/data beside the project")
@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_comes_out_as_it_went_in(read: Read, name: str, codec: str | None) -> None:
    assert FOLDER is not None
    sent = list(lines(FOLDER / name))
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("file", 4, 1)])
    with KafkaProducer(compression_type=codec, acks=1) as producer:
        futures = [
            producer.send("file", value, key=key, headers=[("line", b"%d" % number)])
            for number, (key, value) in enumerate(sent)
        ]

    records = read("file", max_poll_records=10_000)

    # Byte for byte: put together by the number of the line.
    together = sorted(records, key=lambda r: int(r.headers[0][1] or b""))
    assert b"".join(r.value for r in together) == content(FOLDER / name)
    # Key for key: each key whole, in order, in the one partition that was said.
    by_key = defaultdict(list)
    for key, value in sent:
        by_key[key].append(value)
    got = defaultdict(list)
    for record in records:
        got[record.key].append(record.value)
    assert got == by_key
    places = [(f.value.partition, f.value.offset) for f in futures if f.value]
    assert places == [(r.partition, r.offset) for r in together]
