"""Members come and go; who owns what."""

from __future__ import annotations

from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from stage import Stage, scenario

try:
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
except ImportError:  # kafka-python 2
    CooperativeStickyAssignor = None

RANGE = {"partition_assignment_strategy": [RangePartitionAssignor]}
ROUND_ROBIN = {"partition_assignment_strategy": [RoundRobinPartitionAssignor]}
STICKY = {"partition_assignment_strategy": [StickyPartitionAssignor]}
COOPERATIVE = {"partition_assignment_strategy": [CooperativeStickyAssignor]}


@scenario
def one_member(stage: Stage) -> None:
    stage.topic("orders", 3, records=2)
    a = stage.member("a", "orders")
    stage.settle("a joins")
    stage.note("a read", sorted(a.read))
    a.consumer.commit()


@scenario
def a_second_member_joins(stage: Stage) -> None:
    stage.topic("orders", 4)
    stage.member("a", "orders")
    stage.settle("a joins")
    stage.member("b", "orders")
    stage.settle("b joins")


@scenario
def one_of_three_closes(stage: Stage) -> None:
    stage.topic("orders", 5)
    a, b, _ = three(stage)
    stage.close(b)
    stage.settle("b has closed")
    stage.close(a)
    stage.settle("a, that led, has closed")


@scenario
def one_of_three_unsubscribes(stage: Stage) -> None:
    stage.topic("orders", 5)
    _, b, _ = three(stage)
    stage.attempt("b unsubscribes", b.consumer.unsubscribe)
    stage.note("b has", [b.assigned(), b.consumer.subscription()])
    stage.settle("b has unsubscribed")
    stage.attempt("b subscribes again", b.subscribe, "orders")
    stage.settle("b has subscribed again")


@scenario
def more_members_than_partitions(stage: Stage) -> None:
    stage.topic("orders", 2)
    a, _, _ = three(stage)
    stage.close(a)
    stage.settle("a has closed, c takes over")


@scenario
def range_over_two_topics(stage: Stage) -> None:
    come_and_go(stage, RANGE)


@scenario
def round_robin_over_two_topics(stage: Stage) -> None:
    come_and_go(stage, ROUND_ROBIN)


@scenario
def sticky_over_two_topics(stage: Stage) -> None:
    come_and_go(stage, STICKY)


@scenario
def cooperative_sticky_over_two_topics(stage: Stage) -> None:
    come_and_go(stage, COOPERATIVE)


@scenario
def a_cooperative_member_joins(stage: Stage) -> None:
    stage.topic("orders", 4)
    stage.member("a", "orders", **COOPERATIVE)
    stage.settle("a joins")
    stage.member("b", "orders", **COOPERATIVE)
    stage.settle("b joins")


@scenario
def one_of_three_cooperative_unsubscribes(stage: Stage) -> None:
    stage.topic("orders", 6)
    _, b, _ = three(stage, **COOPERATIVE)
    stage.attempt("b unsubscribes", b.consumer.unsubscribe)
    stage.settle("b has unsubscribed")


@scenario
def more_cooperative_members_than_partitions(stage: Stage) -> None:
    stage.topic("orders", 2)
    a, _, _ = three(stage, **COOPERATIVE)
    stage.close(a)
    stage.settle("a has closed, c takes over")


@scenario
def seek_and_pause_across_a_cooperative_rebalance(stage: Stage) -> None:
    across(stage, COOPERATIVE)


@scenario
def seek_and_pause_across_an_eager_rebalance(stage: Stage) -> None:
    across(stage, STICKY)


def across(stage: Stage, strategy: dict[str, object]) -> None:
    stage.topic("orders", 2, records=4)
    a = stage.member("a", "orders", **strategy)
    stage.settle("a joins")
    for one in sorted(a.consumer.assignment()):
        a.consumer.pause(one)
        a.consumer.seek(one, 3)
    stage.note("positions", a.positions())
    stage.member("b", "orders", **strategy)
    stage.settle("b joins")
    stage.note("paused", a.consumer.paused())
    stage.note("positions of a", a.positions())


def three(stage: Stage, **settings: object) -> list[object]:
    members = []
    for name in "abc":
        members.append(stage.member(name, "orders", **settings))
        stage.settle(f"{name} joins")
    return members


def come_and_go(stage: Stage, strategy: dict[str, object]) -> None:
    stage.topic("orders", 5)
    stage.topic("words", 3)
    members = []
    for name in "abc":
        members.append(stage.member(name, "orders", "words", **strategy))
        stage.settle(f"{name} joins")
    stage.close(members[1])
    stage.settle("b has closed")
    stage.member("d", "orders", "words", **strategy)
    stage.settle("d joins")
