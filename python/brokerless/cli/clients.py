"""The clients of the directory that was chosen."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brokerless.cli.ending import FailedError
from brokerless.location import default_directory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokerless import KafkaAdminClient, KafkaConsumer, KafkaProducer

__all__ = [
    "admin",
    "check_not_internal",
    "check_partitions",
    "check_topic",
    "consumer",
    "existing_directory",
    "known_groups",
    "known_topics",
    "producer",
]

# Any of these is in every data directory, ours or a broker's.
_MARKS = (".brokerless-format", "meta.properties", "recovery-point-offset-checkpoint")

_INTERNAL = ("__consumer_offsets", "__transaction_state")


def existing_directory() -> Path:
    """The directory, which must be there: a command that only reads makes none."""
    directory = Path(default_directory())
    if not directory.is_dir():
        raise FailedError(f"there is no directory {directory}")
    if not any((directory / mark).exists() for mark in _MARKS):
        raise FailedError(f"{directory} is no data directory")
    return directory


def producer(**settings: Any) -> KafkaProducer:
    """A producer; the directory is made if there is none."""
    from brokerless import KafkaProducer

    return KafkaProducer(bootstrap_servers=Path(default_directory()), **settings)


def consumer(**settings: Any) -> KafkaConsumer:
    """A consumer of a directory that is there."""
    from brokerless import KafkaConsumer

    return KafkaConsumer(bootstrap_servers=existing_directory(), **settings)


def admin(*, make: bool = False, **settings: Any) -> KafkaAdminClient:
    """An admin client; with `make` the directory is made if there is none."""
    from brokerless import KafkaAdminClient

    directory = Path(default_directory()) if make else existing_directory()
    return KafkaAdminClient(bootstrap_servers=directory, **settings)


def known_topics() -> list[str]:
    """The names there are, for completion: nothing is made and nothing is said."""
    from brokerless.errors.base import KafkaError

    try:
        with admin(read_only=True) as client:
            return client.list_topics()
    except (FailedError, KafkaError, OSError):
        return []


def known_groups() -> list[str]:
    """The groups there are, for completion."""
    from brokerless.errors.base import KafkaError

    try:
        with admin(read_only=True) as client:
            return sorted(str(group["group_id"]) for group in client.list_groups())
    except (FailedError, KafkaError, OSError):
        return []


def check_not_internal(names: Iterable[str]) -> None:
    """Refuse what is brokerless's own."""
    for name in names:
        if name in _INTERNAL:
            raise FailedError(
                f"'{name}' is an internal topic: brokerless makes and keeps it itself"
            )


def check_topic(name: str, known: Iterable[str]) -> None:
    """Say that there is no such topic, if so."""
    known = sorted(known)
    if name in known:
        return
    near = get_close_matches(name, known, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise FailedError(f"there is no topic '{name}' in {default_directory()}{hint}")


def check_partitions(topic: str, numbers: Iterable[int], there: set[int]) -> None:
    """Say that a partition is not there, if so."""
    for number in sorted(numbers):
        if number not in there:
            raise FailedError(f"topic '{topic}' has no partition {number}: it has {len(there)}")
