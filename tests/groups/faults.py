"""Listeners and strategies that raise, strategies that make nonsense, settings that contradict."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer
from kafka.coordinator.assignors.range import RangePartitionAssignor
from member import Hook, Member, usual
from sharing import COOPERATIVE, RANGE, ROUND_ROBIN, STICKY, CooperativeStickyAssignor
from stage import Stage, scenario


class BadDayError(Exception):
    """What the scripts raise."""


def raising(*whats: str) -> Hook:
    """Raises the first time that it is told each of these of some partitions."""
    left = list(whats)

    def hook(member: Member, what: str, partitions: set[Any]) -> None:
        if what in left and partitions:
            left.remove(what)
            raise BadDayError(what)

    return hook


@scenario
def a_listener_raises_in_assigned(stage: Stage) -> None:
    listeners(stage, "assigned", {})


@scenario
def a_listener_raises_in_revoked(stage: Stage) -> None:
    listeners(stage, "revoked", {})


@scenario
def a_cooperative_listener_raises_in_assigned(stage: Stage) -> None:
    listeners(stage, "assigned", COOPERATIVE)


@scenario
def a_cooperative_listener_raises_in_revoked(stage: Stage) -> None:
    listeners(stage, "revoked", COOPERATIVE)


def listeners(stage: Stage, what: str, strategy: dict[str, Any]) -> None:
    stage.topic("orders", 2)
    stage.member("a", "orders", hook=raising(what), **strategy)
    stage.settle("a joins")
    stage.member("b", "orders", **strategy)
    stage.settle("b joins")


@scenario
def a_listener_raises_at_close(stage: Stage) -> None:
    stage.topic("orders", 2)
    a = stage.member("a", "orders", hook=raising("revoked"))
    stage.settle("a joins")
    stage.close(a)
    stage.member("b", "orders")
    stage.settle("b joins")


@scenario
def a_listener_raises_in_unsubscribe(stage: Stage) -> None:
    stage.topic("orders", 2)
    a = stage.member("a", "orders", hook=raising("revoked"))
    stage.settle("a joins")
    stage.attempt("a unsubscribes", a.consumer.unsubscribe)
    stage.member("b", "orders")
    stage.settle("b joins")


@scenario
def a_listener_raises_in_lost(stage: Stage) -> None:
    stage.topic("orders", 1)
    timeouts = {"max_poll_interval_ms": 1500, "session_timeout_ms": 1500}
    a = stage.member("a", "orders", hook=raising("lost"), **timeouts)
    stage.settle("a joins")
    a.asleep = True
    stage.member("b", "orders")
    stage.settle("a does not poll, b joins")
    a.asleep = False
    stage.settle("a polls again")


def assignor(make: Any) -> dict[str, Any]:
    """A strategy written by the user: what range says, then changed by `make`."""

    class Custom(RangePartitionAssignor):
        name = "custom"

        @classmethod
        def assign(cls, cluster: Any, members: Any) -> Any:
            return make(RangePartitionAssignor.assign(cluster, members))

    return {"partition_assignment_strategy": [Custom]}


def topic_of(assignments: dict[str, Any]) -> str:
    return str(next(a.assignment[0][0] for a in assignments.values() if a.assignment))


def to(assignments: dict[str, Any], **wanted: list[tuple[str, list[int]]]) -> dict[str, Any]:
    """The same members with other partitions, by the member's name."""
    kind = type(next(iter(assignments.values())))
    return {
        member: kind(0, wanted[member.split("-")[0]], b"")
        for member in assignments
        if member.split("-")[0] in wanted
    }


@scenario
def a_strategy_written_by_the_user(stage: Stage) -> None:
    def first_takes_all(given: dict[str, Any]) -> dict[str, Any]:
        names = sorted(member.split("-")[0] for member in given)
        topic = topic_of(given)
        return to(given, **{n: [(topic, [0, 1, 2])] if n == names[0] else [] for n in names})

    stage.topic("orders", 3)
    custom = assignor(first_takes_all)
    a = stage.member("a", "orders", **custom)
    stage.settle("a joins")
    stage.member("b", "orders", **custom)
    stage.settle("b joins")
    stage.close(a)
    stage.settle("a has closed")


@scenario
def a_strategy_that_raises(stage: Stage) -> None:
    bad = [False]

    def moody(given: dict[str, Any]) -> dict[str, Any]:
        if bad[0]:
            bad[0] = False
            raise BadDayError
        return given

    stage.topic("orders", 2)
    stage.member("a", "orders", **assignor(moody))
    stage.settle("a joins")
    bad[0] = True
    stage.member("b", "orders", **assignor(moody))
    stage.settle("b joins, the strategy raises once")


@scenario
def a_strategy_that_raises_at_once(stage: Stage) -> None:
    def bad(given: dict[str, Any]) -> dict[str, Any]:
        raise BadDayError

    stage.topic("orders", 2)
    a = stage.member("a", "orders", **assignor(bad))
    stage.steps("a asks to join", 2)
    stage.close(a)
    stage.member("b", "orders", **RANGE)
    stage.settle("b joins")


def nonsense(stage: Stage, make: Any) -> None:
    stage.topic("orders", 2)
    wrong = [False]
    custom = assignor(lambda given: make(given) if wrong[0] else given)
    stage.member("a", "orders", **custom)
    stage.settle("a joins")
    wrong[0] = True
    b = stage.member("b", "orders", **custom)
    stage.steps("b joins, the strategy makes nonsense", 3, unsteady=True)
    wrong[0] = False
    stage.close(b)
    stage.settle("b has closed, the strategy makes sense again")


@scenario
def a_strategy_that_gives_to_two(stage: Stage) -> None:
    nonsense(stage, lambda g: to(g, a=[(topic_of(g), [0, 1])], b=[(topic_of(g), [0, 1])]))


@scenario
def a_strategy_that_forgets_a_partition(stage: Stage) -> None:
    nonsense(stage, lambda g: to(g, a=[(topic_of(g), [0])], b=[]))


@scenario
def a_strategy_that_forgets_a_member(stage: Stage) -> None:
    nonsense(stage, lambda g: to(g, a=[(topic_of(g), [0, 1])]))


@scenario
def a_strategy_that_gives_an_unknown_partition(stage: Stage) -> None:
    nonsense(stage, lambda g: to(g, a=[(topic_of(g), [0, 1])], b=[(topic_of(g), [77])]))


@scenario
def a_strategy_that_gives_an_unsubscribed_topic(stage: Stage) -> None:
    nonsense(stage, lambda g: to(g, a=[(topic_of(g), [0, 1])], b=[("elsewhere", [0])]))


@scenario
def a_strategy_that_gives_nothing(stage: Stage) -> None:
    nonsense(stage, lambda g: None)


@scenario
def a_strategy_that_gives_to_a_stranger(stage: Stage) -> None:
    nonsense(stage, lambda g: {**g, "nobody": next(iter(g.values()))})


@scenario
def strategies_that_do_not_agree(stage: Stage) -> None:
    stage.topic("orders", 2)
    stage.member("a", "orders", **RANGE)
    stage.settle("a joins with range")
    b = stage.member("b", "orders", **ROUND_ROBIN)
    stage.steps("b joins with round-robin", 2)
    stage.close(b)
    c = stage.member("c", "orders", **COOPERATIVE)
    stage.steps("c joins with cooperative-sticky", 2)
    stage.close(c)
    both = [*ROUND_ROBIN["partition_assignment_strategy"], *RANGE["partition_assignment_strategy"]]
    stage.member("d", "orders", partition_assignment_strategy=both)
    stage.settle("d joins with round-robin and range")


@scenario
def constructors_that_refuse(stage: Stage) -> None:
    stage.topic("orders", 2)
    eager = RANGE["partition_assignment_strategy"]
    cases: dict[str, dict[str, Any]] = {
        "heartbeat as long as the session": {
            "session_timeout_ms": 10_000,
            "heartbeat_interval_ms": 10_000,
        },
        "heartbeat longer than the session": {
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 9000,
        },
        "the same without a group": {
            "group_id": None,
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 9000,
        },
        "heartbeat of half a session": {
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 3000,
        },
        "session longer than the poll interval": {
            "session_timeout_ms": 10_000,
            "max_poll_interval_ms": 5000,
        },
        "fetch wait longer than a request": {
            "fetch_max_wait_ms": 40_000,
        },
        "request longer than idle": {"request_timeout_ms": 600_000},
        "no strategy": {"partition_assignment_strategy": []},
        "eager and cooperative": {
            "partition_assignment_strategy": [*eager, CooperativeStickyAssignor]
        },
        "two eager ones": {
            "partition_assignment_strategy": [*eager, *STICKY["partition_assignment_strategy"]]
        },
        "an instance without a group": {"group_id": None, "group_instance_id": "one"},
        "an empty instance": {"group_instance_id": ""},
        "an instance that is a dot": {"group_instance_id": "."},
        "an instance with a space": {"group_instance_id": "a b"},
        "an instance that is a number": {"group_instance_id": 1},
        "a very long instance": {"group_instance_id": "x" * 250},
        "an empty group": {"group_id": ""},
        "an unknown setting": {"session_timeout": 1},
        "an unknown isolation level": {"isolation_level": "read_all"},
        "an unknown reset": {"auto_offset_reset": "middle"},
    }
    for what, settings in cases.items():
        stage.attempt(what, construct, stage, settings)


def construct(stage: Stage, settings: dict[str, Any]) -> None:
    KafkaConsumer(stage.place.topic("orders"), **usual(stage.place, "a", settings)).close()


@scenario
def joins_that_are_refused(stage: Stage) -> None:
    """What only shows when the member is polled: the broker allows 500 ms to 30 minutes."""
    stage.topic("orders", 2)
    cases: dict[str, dict[str, Any]] = {
        "a session too short": {"session_timeout_ms": 100, "heartbeat_interval_ms": 20},
        "a session too long": {"session_timeout_ms": 2_000_000},
        "an empty group": {"group_id": ""},
        "an empty instance": {"group_instance_id": ""},
        "an instance with a space": {"group_instance_id": "a b"},
    }
    for number, (what, settings) in enumerate(cases.items()):
        group = stage.place.topic(f"group-{number}")
        stage.attempt(what, join, stage, {"group_id": group, **settings})


def join(stage: Stage, settings: dict[str, Any]) -> list[str]:
    topic = stage.place.topic("orders")
    consumer = KafkaConsumer(topic, **usual(stage.place, "a", settings))
    try:
        consumer.poll(timeout_ms=3000)
        return list(stage.place.plain(set(consumer.assignment())))
    finally:
        consumer.close()
