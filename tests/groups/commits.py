"""Who may commit what, and when."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata
from member import Member, usual
from sharing import COOPERATIVE
from stage import Stage, scenario


def offsets(partition: Any, offset: int, metadata: str = "") -> dict[Any, Any]:
    """What `commit` takes: kafka-python 2 and 3 know the leader epoch."""
    return {partition: OffsetAndMetadata(offset, metadata, -1)}


def in_listener(member: Member, what: str, partitions: set[Any]) -> None:
    if what == "revoked" and partitions:
        member.attempt("commits", member.consumer.commit)


@scenario
def commit_in_the_listener(stage: Stage) -> None:
    stage.topic("orders", 2, records=3)
    stage.member("a", "orders", hook=in_listener)
    stage.settle("a joins")
    stage.member("b", "orders", hook=in_listener)
    stage.settle("b joins")
    stage.note("committed", stage.committed())


@scenario
def commit_in_the_listener_cooperative(stage: Stage) -> None:
    stage.topic("orders", 2, records=3)
    stage.member("a", "orders", hook=in_listener, **COOPERATIVE)
    stage.settle("a joins")
    stage.member("b", "orders", hook=in_listener, **COOPERATIVE)
    stage.settle("b joins")
    stage.note("committed", stage.committed())


@scenario
def commit_async_in_the_listener(stage: Stage) -> None:
    def hook(member: Member, what: str, partitions: set[Any]) -> None:
        if what == "revoked" and partitions:
            member.consumer.commit_async()

    stage.topic("orders", 2, records=3)
    stage.member("a", "orders", hook=hook)
    stage.settle("a joins")
    stage.member("b", "orders", hook=hook)
    stage.settle("b joins")
    stage.note("committed", stage.committed())


@scenario
def commit_in_an_async_listener(stage: Stage) -> None:
    try:
        from kafka import AsyncConsumerRebalanceListener
    except ImportError:  # kafka-python 2
        return

    class Listener(AsyncConsumerRebalanceListener):
        def __init__(self, member: Member) -> None:
            self._member = member

        async def on_partitions_revoked(self, revoked: set[Any]) -> None:
            self._member.tell("revoked", self._member.place.plain(set(revoked)))
            if revoked:
                await self._member.consumer.commit_async()
                self._member.tell("commits", "ok")

        async def on_partitions_assigned(self, assigned: set[Any]) -> None:
            self._member.tell("assigned", self._member.place.plain(set(assigned)))

    stage.topic("orders", 2, records=3)
    stage.member("a", "orders", listener=Listener)
    stage.settle("a joins")
    stage.member("b", "orders", listener=Listener)
    stage.settle("b joins")
    stage.note("committed", stage.committed())


@scenario
def commit_before_the_first_poll(stage: Stage) -> None:
    stage.topic("orders", 2, records=1)
    one = stage.place.partition("orders-0")
    a = stage.member("a", "orders")
    stage.attempt("commit of nothing", a.consumer.commit)
    stage.attempt("commit", a.consumer.commit, offsets(one, 1))
    stage.attempt("position", a.consumer.position, one)
    stage.attempt("committed", a.consumer.committed, one)
    stage.settle("a joins")
    stage.attempt("commit after it joined", a.consumer.commit, offsets(one, 1))
    stage.attempt("committed", a.consumer.committed, one)


@scenario
def commit_with_neither_topics_nor_partitions(stage: Stage) -> None:
    stage.topic("orders", 2, records=1)
    a = stage.member("a")
    one = stage.place.partition("orders-0")
    stage.attempt("commit", a.consumer.commit)
    stage.attempt("commit of an offset", a.consumer.commit, offsets(one, 1))
    stage.attempt("committed", a.consumer.committed, one)


@scenario
def commit_of_what_is_not_owned(stage: Stage) -> None:
    stage.topic("orders", 2, records=3)
    stage.topic("words", 1, records=3)
    place = stage.place
    a = stage.member("a", "orders")
    stage.settle("a joins")
    b = stage.member("b", "orders")
    stage.settle("b joins")
    theirs = next(iter(b.consumer.assignment()))
    mine = next(iter(a.consumer.assignment()))
    stage.attempt("of another's partition", a.consumer.commit, offsets(theirs, 1))
    stage.attempt(
        "of a topic not subscribed", a.consumer.commit, offsets(place.partition("words-0"), 2)
    )
    stage.attempt("past the end", a.consumer.commit, offsets(mine, 1000))
    stage.settle("still", still=True)


@scenario
def commit_of_what_cannot_be(stage: Stage) -> None:
    stage.topic("orders", 1, records=3)
    a = stage.member("a", "orders")
    stage.settle("a joins")
    mine = stage.place.partition("orders-0")
    none = TopicPartition(mine.topic, 9)
    nowhere = TopicPartition(stage.place.topic("nowhere"), 0)
    stage.attempt("offset below zero", a.consumer.commit, offsets(mine, -1))
    stage.attempt("committed", a.consumer.committed, mine)
    stage.attempt("offset far below zero", a.consumer.commit, offsets(mine, -7))
    stage.attempt("committed", a.consumer.committed, mine)
    stage.attempt("an unknown partition", lambda: a.consumer.commit(offsets(none, 1), 1500))
    stage.attempt("an unknown topic", lambda: a.consumer.commit(offsets(nowhere, 1), 1500))
    stage.attempt("a number", a.consumer.commit, {mine: 1})
    stage.attempt("a tuple", a.consumer.commit, {("orders", 0): OffsetAndMetadata(1, "", -1)})
    stage.attempt("nothing at all", a.consumer.commit, {})
    stage.attempt("long metadata", a.consumer.commit, offsets(mine, 1, "x" * 5000))
    stage.attempt("good metadata", a.consumer.commit, offsets(mine, 2, "what I did"))
    stage.attempt("committed", lambda: a.consumer.committed(mine, metadata=True))
    stage.attempt("committed of an unknown partition", a.consumer.committed, none)
    stage.attempt("committed of an unknown topic", a.consumer.committed, nowhere)
    stage.attempt("committed of a string", a.consumer.committed, "orders")
    stage.settle("still", still=True)


@scenario
def commit_while_the_group_rebalances(stage: Stage) -> None:
    during(stage, {})


@scenario
def commit_while_a_cooperative_group_rebalances(stage: Stage) -> None:
    during(stage, COOPERATIVE)


def during(stage: Stage, strategy: dict[str, Any]) -> None:
    stage.topic("orders", 2, records=3)
    a = stage.member("a", "orders", **strategy)
    stage.settle("a joins")
    one = stage.place.partition("orders-0")
    a.asleep = True
    b = stage.member("b", "orders", **strategy)
    stage.steps("b asks to join", 1)
    stage.attempt("a commits", a.consumer.commit, offsets(one, 1))
    stage.attempt("b commits", b.consumer.commit, offsets(one, 2))
    a.asleep = False
    stage.settle("a polls again")
    stage.attempt("a commits", a.consumer.commit, offsets(one, 3))


@scenario
def commit_by_a_stranger(stage: Stage) -> None:
    """A consumer that uses assign() with the group's id."""
    stage.topic("orders", 1, records=3)
    one = stage.place.partition("orders-0")
    a = stage.member("a", "orders")
    stage.settle("a joins")
    stranger = KafkaConsumer(**usual(stage.place, "stranger", {}))
    stranger.assign([one])
    stage.attempt("the stranger commits", stranger.commit, offsets(one, 1))
    stage.attempt("the stranger is told", stranger.committed, one)
    stage.attempt("the stranger polls", lambda: sum(map(len, stranger.poll(2000).values())))
    stage.attempt("the stranger commits what it read", stranger.commit)
    stage.close(a)
    stage.attempt("the stranger commits to an empty group", stranger.commit, offsets(one, 2))
    stage.member("b", "orders")
    stage.settle("b joins")
    stage.note("b is at", stage.members[0].positions())
    stage.attempt("the stranger commits again", stranger.commit, offsets(one, 1))
    stage.attempt("the stranger closes", stranger.close)


@scenario
def auto_commit_on_close(stage: Stage) -> None:
    auto = {"enable_auto_commit": True, "auto_commit_interval_ms": 600_000}
    stage.topic("orders", 1, records=3)
    a = stage.member("a", "orders", **auto)
    stage.settle("a joins")
    stage.note("while it lives", stage.committed())
    stage.close(a)
    stage.note("closed", stage.committed())
    stage.produce("orders", 2)
    b = stage.member("b", "orders", **auto)
    stage.settle("b joins")
    stage.note("b read", b.read)
    stage.close(b, autocommit=False)
    stage.note("closed without", stage.committed())


@scenario
def auto_commit_on_a_rebalance(stage: Stage) -> None:
    auto = {"enable_auto_commit": True, "auto_commit_interval_ms": 600_000}
    stage.topic("orders", 2, records=3)
    stage.member("a", "orders", **auto)
    stage.settle("a joins")
    b = stage.member("b", "orders", **auto)
    stage.settle("b joins")
    stage.note("b read", b.read)
    stage.note("committed", stage.committed())


@scenario
def auto_commit_on_unsubscribe(stage: Stage) -> None:
    auto = {"enable_auto_commit": True, "auto_commit_interval_ms": 600_000}
    stage.topic("orders", 1, records=3)
    a = stage.member("a", "orders", **auto)
    stage.settle("a joins")
    stage.attempt("a unsubscribes", a.consumer.unsubscribe)
    stage.note("committed", stage.committed())


@scenario
def auto_commit_by_time(stage: Stage) -> None:
    stage.topic("orders", 1, records=3)
    stage.member("a", "orders", enable_auto_commit=True, auto_commit_interval_ms=200)
    stage.settle("a joins")
    stage.steps("a goes on", 1)
    stage.note("committed", stage.committed())


@scenario
def a_with_block_that_raises(stage: Stage) -> None:
    auto = {"enable_auto_commit": True, "auto_commit_interval_ms": 600_000}
    stage.topic("orders", 1, records=3)

    def block() -> None:
        with KafkaConsumer(stage.place.topic("orders"), **usual(stage.place, "a", auto)) as a:
            while not a.poll(500):
                pass
            raise ValueError

    stage.attempt("the block", block)
    stage.note("committed", stage.committed())


@scenario
def a_listener_that_seeks(stage: Stage) -> None:
    def hook(member: Member, what: str, partitions: set[Any]) -> None:
        if what == "assigned":
            for one in sorted(partitions):
                member.attempt("seeks", member.consumer.seek, one, 2)

    stage.topic("orders", 1, records=4)
    a = stage.member("a", "orders", hook=hook)
    stage.settle("a joins")
    stage.note("a read", a.read)


@scenario
def a_listener_that_asks(stage: Stage) -> None:
    """What a listener is told when it asks its consumer."""

    def hook(member: Member, what: str, partitions: set[Any]) -> None:
        if partitions:
            consumer = member.consumer
            one = min(partitions)
            member.attempt("assignment", consumer.assignment)
            member.attempt("position", consumer.position, one)
            member.attempt("committed", consumer.committed, one)
            member.attempt("paused", consumer.paused)

    stage.topic("orders", 1, records=2)
    a = stage.member("a", "orders", hook=hook)
    stage.settle("a joins")
    stage.close(a)
