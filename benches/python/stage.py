"""What the contests share: a folder, a mock cluster, and how long they may take."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

MOCK = """
import sys, confluent_kafka
producer = confluent_kafka.Producer(
    {"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0}
)
(broker,) = producer.list_topics(timeout=10).brokers.values()
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""
"""librdkafka's mock cluster, in a process of its own as a broker is. It ends with its input."""


@dataclass
class Stage:
    """One run of the benches."""

    quick: bool
    folder: Path
    mock: str
    stack: ExitStack

    @property
    def rounds(self) -> int:
        """How many rounds count."""
        return 2 if self.quick else 5

    @property
    def seconds(self) -> float:
        """How long a turn of a rate may take."""
        return 0.15 if self.quick else 0.4

    @property
    def samples(self) -> int:
        """How many latencies a turn takes."""
        return 300 if self.quick else 1000

    def directory(self, name: str) -> str:
        """A directory for brokerless, or a folder for another."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def enter(self, context: Any) -> Any:
        """Closes `context` when the run ends."""
        return self.stack.enter_context(context)


def opened(stack: ExitStack, quick: bool) -> Stage:
    """A stage whose folder and mock cluster are gone after `stack`."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="brokerless-bench-"))
    mock = subprocess.Popen(
        [sys.executable, "-c", MOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(mock.communicate)
    assert mock.stdout is not None
    return Stage(quick, Path(folder), mock.stdout.readline().strip(), stack)
