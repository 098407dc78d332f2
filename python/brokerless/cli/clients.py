"""The clients of the directory that was chosen."""

from __future__ import annotations

from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brokerless.cli.ending import FailedError, sentence
from brokerless.cli.interrupts import importing
from brokerless.errors.base import KafkaError
from brokerless.location import default_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from brokerless import KafkaAdminClient, KafkaConsumer, KafkaProducer, NewTopic

__all__ = [
    "admin",
    "check_name",
    "check_new_topics",
    "check_not_internal",
    "check_partitions",
    "check_topic",
    "consumer",
    "existing_directory",
    "is_data_directory",
    "known_groups",
    "known_topics",
    "mute_when_gone",
    "producer",
    "unless_gone",
    "wrong_arguments",
]

# Any of these is in every data directory, ours or a broker's.
_MARKS = (".brokerless-format", "meta.properties", "recovery-point-offset-checkpoint")

_INTERNAL = ("__consumer_offsets", "__transaction_state")


def existing_directory() -> Path:
    """The directory, which must be there: a command that only reads makes none."""
    directory = Path(default_directory())
    if is_data_directory(directory):
        return directory
    mute_when_gone()
    if not directory.is_dir():
        raise FailedError(f"there is no directory {directory}")
    raise FailedError(f"{directory} is no data directory")


@contextmanager
def unless_gone() -> Iterator[None]:
    """Of what fails once the directory is gone, say that it is gone."""
    try:
        yield
    except KafkaError:
        existing_directory()
        raise


@cache
def mute_when_gone() -> None:
    """Once the directory is gone the command says that, and the engine nothing more of it."""
    import logging

    directory = Path(default_directory())
    if logging.lastResort is not None:
        logging.lastResort.addFilter(lambda _: is_data_directory(directory))


def is_data_directory(directory: Path) -> bool:
    """Whether it is one, of a broker or ours."""
    return any((directory / mark).exists() for mark in _MARKS)


def producer(**settings: Any) -> KafkaProducer:
    """A producer; the directory is made if there is none."""
    with importing():
        from brokerless import KafkaProducer

    return KafkaProducer(bootstrap_servers=Path(default_directory()), **settings)


def consumer(**settings: Any) -> KafkaConsumer:
    """A consumer of a directory that is there."""
    with importing():
        from brokerless import KafkaConsumer

    return KafkaConsumer(bootstrap_servers=existing_directory(), **settings)


def admin(*, make: bool = False, **settings: Any) -> KafkaAdminClient:
    """An admin client; with `make` the directory is made if there is none."""
    with importing():
        from brokerless import KafkaAdminClient

    directory = Path(default_directory()) if make else existing_directory()
    return KafkaAdminClient(bootstrap_servers=directory, **settings)


@contextmanager
def wrong_arguments() -> Iterator[None]:
    """Names and settings that cannot be were given as arguments."""
    from brokerless.errors import (
        InvalidConfigurationError,
        InvalidTopicError,
        KafkaConfigurationError,
    )

    try:
        yield
    except (InvalidConfigurationError, InvalidTopicError, KafkaConfigurationError) as error:
        raise click.UsageError(sentence(error)) from None


def check_name(topic: str) -> None:
    """Refuse what no topic can be called."""
    from brokerless._brokerless import check_topic

    with wrong_arguments():
        check_topic(topic)


def check_new_topics(topics: Sequence[NewTopic], *, if_not_exists: bool) -> list[int]:
    """Check topics before anything is made, and give how many partitions each has or will have."""
    from brokerless._brokerless import check_topic

    _check_collisions([it.name for it in topics])
    if not is_data_directory(Path(default_directory())):
        with wrong_arguments():
            return [check_topic(it.name, _count(it), it.topic_configs) for it in topics]
    with admin() as client, wrong_arguments():
        return [_checked(client, topic, if_not_exists) for topic in topics]


def _check_collisions(names: Sequence[str]) -> None:
    """Refuse names that differ by periods and underscores only, as Kafka does."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.replace(".", "_"), name)
        if other != name:
            said = f"topics '{other}' and '{name}' collide: '.' and '_' count as the same"
            raise click.UsageError(said)


def _count(topic: NewTopic) -> int | None:
    return None if topic.num_partitions == -1 else topic.num_partitions


def _checked(client: KafkaAdminClient, topic: NewTopic, if_not_exists: bool) -> int:
    from brokerless.errors import TopicAlreadyExistsError

    try:
        checked = client.create_topics([topic], validate_only=True)
    except TopicAlreadyExistsError:
        if not if_not_exists:
            raise
        (found,) = client.describe_topics([topic.name])
        return len(found["partitions"])
    count: int = checked.topics[0]["num_partitions"]
    return count


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
