"""`make interop`: Kafka's own tools, broker and consumers beside brokerless.

1. brokerless writes a directory; `DumpLogSegments` finds nothing wrong in any file of it.
2. A broker and brokerless keep each other out of a directory.
3. A real broker starts on what brokerless wrote: a real consumer is given the same records
   and the same committed offsets. The broker goes on in the same logs.
4. brokerless takes the directory back and gives what the real consumer was given.
5. brokerless opens the golden directories read-only and gives exactly what is beside them.
6. The assignors of Kafka's Java clients still answer what the Rust tests hold ours to.
7. `brokerless dump` prints of each file what `DumpLogSegments` prints.
8. The scripts of `tests/groups` on a real broker give the histories that are recorded.
9. A real broker describes its settings as is recorded in `tests/data/settings`.
10. A real broker compacts and deletes of our files what is recorded in `tests/data/cleaning`.
11. Of a broker's own logs, with transactions, both leave the same; each goes on with the other's.

`--keep` leaves the directories where they are and prints where. `--write-assignments` writes
anew what the Java clients answer, and does nothing else; so does `python tests/interop/settings.py
--write` with what a broker says of its settings.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cleaning
import dump
import dumped
import golden
import groups
import kafka
import kafka.admin
import lived
import observe
import settings
import written
from broker import Broker, KafkaProgramError, java

import brokerless
import brokerless.admin
import brokerless.errors

if TYPE_CHECKING:
    from collections.abc import Callable

HOLDER = """
import sys, brokerless
producer = brokerless.KafkaProducer(bootstrap_servers=sys.argv[1])
producer.send(sys.argv[2], b"held").get(10)
print("held", flush=True)
sys.stdin.read()
"""


class WrongError(Exception):
    """What was found wrong, a line each."""

    def __init__(self, found: list[str]) -> None:
        more = [f"... and {len(found) - 20} more"] if len(found) > 20 else []
        super().__init__("\n".join(found[:20] + more))


def expect_nothing(found: list[str]) -> None:
    if found:
        raise WrongError(found)


class Interop:
    """One directory on its way from brokerless to a real broker and back."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.ours = work / "ours"
        self.theirs = work / "theirs"
        self.rows: list[observe.Row] = []

    def we_write(self) -> None:
        written.write(self.ours)
        self.rows = written.observed(brokerless, str(self.ours))
        expect_nothing(written.missing(self.rows))

    def kafka_dumps_every_file(self) -> None:
        paths = dump.files(self.ours)
        printed = dump.dump(paths)
        records = sum(row["is"] == "record" for row in self.rows)
        expect_nothing(dump.complaints(printed))
        expect_nothing([f"dumped no {codec}" for codec in written.CODECS - dump.codecs(printed)])
        if dump.records(printed) < records:
            raise WrongError([f"{dump.records(printed)} records dumped, {records} read"])
        print(f"   {len(paths)} files, {dump.batches(printed)} batches, {records} records")

    def kafka_decodes_committed_offsets(self) -> None:
        logs = [path for path in dump.files(self.ours) if "__consumer_offsets" in str(path)]
        printed = dump.dump([path for path in logs if path.suffix == ".log"], "--offsets-decoder")
        expect_nothing(dump.complaints(printed))
        wanted = {
            (row["group"], row["topic"], row["partition"]): (row["offset"], row["metadata"])
            for row in self.rows
            if row["is"] == "committed"
        }
        given = {place: tuple(value) for place, value in dump.committed(printed).items()}
        if given != wanted:
            raise WrongError([f"decoded: {given}", f"committed: {wanted}"])

    def a_broker_stays_out_while_we_are_in(self) -> None:
        directory = self.work / "shared"
        broker = Broker(directory)
        broker.format()
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(directory), "held"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"held\n":
                raise WrongError(["the holding process did not get in"])
            said = broker.refuses()
        finally:
            holder.communicate()
        if "lock" not in said.lower():
            raise WrongError(["the broker refused, but not because of the lock:", said])

    def we_stay_out_while_a_broker_is_in(self) -> None:
        directory = self.work / "busy"
        broker = Broker(directory)
        broker.format()
        with broker:
            try:
                brokerless.KafkaProducer(bootstrap_servers=str(directory)).send("t", b"v").get(10)
            except brokerless.errors.KafkaError as refused:
                print(f"   {type(refused).__name__}: {refused}")
            else:
                raise WrongError(["brokerless opened a directory that a broker has open"])

    def a_broker_starts_on_our_logs(self) -> None:
        broker = self._adopted()
        with broker:
            given = written.observed(kafka, broker.address)
            expect_nothing(observe.differences(without_offsets_log(self.rows), given))
            written.continue_with(kafka, broker.address)
            self.rows = written.observed(kafka, broker.address)

    def we_take_the_directory_back(self) -> None:
        given = written.observed(brokerless, str(self.theirs))
        expect_nothing(observe.differences(self.rows, given))

    def _adopted(self) -> Broker:
        """A broker that has our topics in its metadata and our logs in its directory.

        The topics' ids are the controller's: they are the one thing taken from its files.
        """
        partitions = written.offsets_partitions(self.ours)
        broker = Broker(self.theirs, {"offsets.topic.num.partitions": str(partitions)})
        broker.format()
        with broker:
            written.create_topics(kafka, broker.address)
        for folder in written.folders(self.ours):
            target = self.theirs / folder.name
            metadata = (target / "partition.metadata").read_bytes()
            shutil.rmtree(target)
            shutil.copytree(folder, target)
            (target / "partition.metadata").write_bytes(metadata)
        for checkpoint in self.ours.glob("*-checkpoint"):
            shutil.copy(checkpoint, self.theirs)
        return broker


def without_offsets_log(rows: list[observe.Row]) -> list[observe.Row]:
    """The topics of users: a broker may add to its own at any time."""
    return [row for row in rows if not row["topic"].startswith("__")]


def golden_directories(work: Path) -> None:
    for name in golden.NAMES:
        directory = golden.copy(name, work)
        before = golden.fingerprint(directory)
        expect_nothing(golden.differences(brokerless, name, directory, read_only=True))
        if golden.fingerprint(directory) != before:
            raise WrongError([f"{name}: files were changed"])


def dumps(ours: Path, work: Path) -> None:
    expect_nothing(dumped.differences(ours))
    for name in golden.NAMES:
        directory = work / name if (work / name).exists() else golden.copy(name, work)
        expect_nothing(dumped.differences(directory))


def java_assignors(what: str) -> None:
    here = Path(__file__).parent
    golden_file = here.parent / "data" / "groups" / "assignments.txt.gz"
    print(f"   {java(str(here / 'Assignments.java'), what, str(golden_file)).strip()}")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--keep", action="store_true", help="leave the directories")
    arguments.add_argument("--write-assignments", action="store_true", help="golden assignments")
    parsed = arguments.parse_args()
    if parsed.write_assignments:
        java_assignors("write")
        return 0
    keep = parsed.keep
    work = Path(tempfile.mkdtemp(prefix="interop-"))
    interop = Interop(work)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("Kafka's assignors answer as they did", lambda: java_assignors("check")),
        (
            "brokerless gives a golden directory as a real consumer",
            lambda: golden_directories(work),
        ),
        ("brokerless writes a directory", interop.we_write),
        ("DumpLogSegments finds every file in order", interop.kafka_dumps_every_file),
        ("Kafka decodes our committed offsets", interop.kafka_decodes_committed_offsets),
        ("brokerless dumps what DumpLogSegments dumps", lambda: dumps(interop.ours, work)),
        ("a broker stays out while brokerless is in", interop.a_broker_stays_out_while_we_are_in),
        ("brokerless stays out while a broker is in", interop.we_stay_out_while_a_broker_is_in),
        ("a real broker serves what brokerless wrote", interop.a_broker_starts_on_our_logs),
        ("brokerless takes the directory back", interop.we_take_the_directory_back),
        (
            "groups with a real broker do what is recorded",
            lambda: expect_nothing(groups.differences(work)),
        ),
        (
            "a real broker describes its settings as is recorded",
            lambda: expect_nothing(settings.differences(work)),
        ),
        (
            "a real broker leaves of our files what is recorded",
            lambda: expect_nothing(cleaning.differences(work)),
        ),
        (
            "brokerless leaves of a broker's own logs what the broker leaves",
            lambda: expect_nothing(lived.differences(work)),
        ),
    ]
    failed = sum(not passes(name, step) for name, step in steps)
    if keep:
        print(f"directories: {work}")
    else:
        shutil.rmtree(work)
    print("interop: all in order" if not failed else f"interop: {failed} of {len(steps)} failed")
    return min(failed, 1)


def passes(name: str, step: Callable[[], None]) -> bool:
    started = time.monotonic()
    try:
        step()
    except (WrongError, KafkaProgramError, OSError, brokerless.errors.KafkaError) as wrong:
        print(f"FAILED {name}\n{wrong}")
        return False
    print(f"ok {name} ({time.monotonic() - started:.1f} s)")
    return True


if __name__ == "__main__":
    sys.exit(main())
