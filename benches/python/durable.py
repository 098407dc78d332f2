"""Contests of durable commits: one record at a time each, by one process and by many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contest import OURS, Contest, Goal
from together import OURS_DURABLE, OWN_FDATASYNC, START, all_at_once

import brokerless.admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stage import Stage

COMMITTERS = (1, 2, 4, 8)
ROOM = 64 << 20

OWN_PREALLOCATED = (
    START
    + """
import os
file = os.open(address + "/own-" + number, os.O_WRONLY | os.O_CREAT)
for _ in range(8):
    os.write(file, bytes(1 << 20))
os.fdatasync(file)
position = 0
def one():
    global position
    os.pwrite(file, b"x" * 172, position % (8 << 20))
    position += 172
    os.fdatasync(file)
go(one)
"""
)

SQLITE = (
    START
    + """
import sqlite3
base = sqlite3.connect(address + "/sqlite", timeout=60, isolation_level=None)
base.execute("pragma journal_mode=wal")
base.execute("pragma synchronous=full")
base.execute("create table if not exists log (id integer primary key, value blob)")
value = b"x" * 100
go(lambda: base.execute("insert into log (value) values (?)", (value,)))
"""
)

LMDB = (
    START
    + """
import lmdb
base = lmdb.open(address + "/lmdb", map_size=1 << 30)
value = b"x" * 100
def one():
    with base.begin(write=True) as change:
        with change.cursor() as cursor:
            last = int.from_bytes(cursor.key(), "big") if cursor.last() else 0
        change.put((last + 1).to_bytes(8, "big"), value, append=True)
go(one)
"""
)


def contests(stage: Stage) -> Iterator[Contest]:
    """All contests of durable commits."""
    growing, roomy = stage.directory("growing"), stage.directory("roomy")
    with brokerless.admin.KafkaAdminClient(bootstrap_servers=roomy) as admin:
        settings = {"preallocate": "true", "segment.bytes": str(ROOM)}
        admin.create_topics([brokerless.admin.NewTopic("together", 1, 1, topic_configs=settings)])
    others = stage.directory("others")
    for committers in COMMITTERS:
        scripts = {
            "preallocated": (OURS_DURABLE, roomy),
            OURS: (OURS_DURABLE, growing),
            "own fdatasync each": (OWN_FDATASYNC, growing),
            "own, preallocated": (OWN_PREALLOCATED, roomy),
            "SQLite FULL": (SQLITE, others),
            "LMDB": (LMDB, others),
        }
        runs = {
            name: all_at_once(stage, script, folder, committers)
            for name, (script, folder) in scripts.items()
        }
        goals = [Goal("own fdatasync each", 1), Goal("SQLite FULL", 1), Goal("LMDB", 1)]
        name = f"durable commits of {committers}"
        yield Contest(name, "commits/s", runs, tuple(goals))
        ahead = {OURS: runs["preallocated"], "own": runs["own, preallocated"]}
        yield Contest(f"{name}, preallocated", "commits/s", ahead, (Goal("own", 1),))
