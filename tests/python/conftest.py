"""What the tests share: a directory of their own, and programs run as processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brokerless import ConsumerRecord, KafkaAdminClient, KafkaConsumer, NewTopic, TopicPartition

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that every `host:port` means in this test and its processes."""
    data = tmp_path / "data"
    monkeypatch.setenv("BROKERLESS_DIR", str(data))
    return data


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `brokerless run ARGS` and gives what it printed."""

    def run(*args: object, timeout: float = 60, **options: object) -> object:
        return subprocess.run(
            [sys.executable, "-m", "brokerless", "run", *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "error"},
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run  # type: ignore[return-value]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a program into a file and gives its path."""

    def write(source: str, name: str = "program.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    return write


@pytest.fixture
def topic() -> str:
    """A topic with three partitions."""
    with KafkaAdminClient() as admin:
        admin.create_topics([NewTopic("t", num_partitions=3, replication_factor=1)])
    return "t"


Read = Callable[..., list[ConsumerRecord]]


@pytest.fixture
def read() -> Read:
    """Reads a topic from beginning to end, in the order of partitions."""

    def read(topic: str, **settings: object) -> list[ConsumerRecord]:
        with KafkaConsumer(**{"auto_offset_reset": "earliest", **settings}) as consumer:
            numbers = sorted(consumer.partitions_for_topic(topic))
            parts = [TopicPartition(topic, number) for number in numbers]
            consumer.assign(parts)
            ends = consumer.end_offsets(parts)
            records = []
            while any((consumer.position(part) or 0) < ends[part] for part in parts):
                polled = consumer.poll(timeout_ms=5000)
                assert polled, "poll gave nothing though there is something"
                records += [record for found in polled.values() for record in found]
        return sorted(records, key=lambda record: (record.partition, record.offset))

    return read


Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `brokerless ARGS` as a shell does, and gives what it printed."""

    def command(*args: object, timeout: float = 60, **options: object) -> object:
        return subprocess.run(
            [sys.executable, "-m", "brokerless", *map(str, args)],
            **{  # type: ignore[call-overload]
                "stdin": None if "input" in options else subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "cwd": tmp_path,
                "timeout": timeout,
                "check": False,
                **options,
            },
        )

    return command  # type: ignore[return-value]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `brokerless ARGS` beside the test, and ends it with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: object, **options: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "brokerless", *map(str, args)],
            **{  # type: ignore[call-overload]
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "cwd": tmp_path,
                **options,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
