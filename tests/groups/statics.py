"""Members with a `group.instance.id`, and members that do not poll."""

from __future__ import annotations

import time

from commits import offsets
from stage import Stage, scenario

SHORT = {"session_timeout_ms": 3000, "heartbeat_interval_ms": 100}


@scenario
def a_static_member_restarts_in_time(stage: Stage) -> None:
    stage.topic("orders", 4)
    stage.member("a", "orders", group_instance_id="one")
    stage.settle("a joins")
    b = stage.member("b", "orders", group_instance_id="two")
    stage.settle("b joins")
    stage.close(b)
    stage.steps("b has closed", 1)
    stage.member("b2", "orders", group_instance_id="two")
    stage.settle("b is back")


@scenario
def a_static_member_does_not_come_back(stage: Stage) -> None:
    stage.topic("orders", 4)
    stage.member("a", "orders", group_instance_id="one", **SHORT)
    stage.settle("a joins")
    b = stage.member("b", "orders", group_instance_id="two", **SHORT)
    stage.settle("b joins")
    stage.close(b)
    stage.settle("b's session has ended")


@scenario
def a_static_member_unsubscribes(stage: Stage) -> None:
    stage.topic("orders", 4)
    stage.member("a", "orders", group_instance_id="one")
    stage.settle("a joins")
    b = stage.member("b", "orders", group_instance_id="two")
    stage.settle("b joins")
    stage.attempt("b unsubscribes", b.consumer.unsubscribe)
    stage.steps("b has unsubscribed", 1)
    stage.attempt("b subscribes again", b.subscribe, "orders")
    stage.settle("b has subscribed again")


@scenario
def a_static_id_used_twice(stage: Stage) -> None:
    stage.topic("orders", 2, records=2)
    one = stage.place.partition("orders-0")
    a = stage.member("a", "orders", group_instance_id="one")
    stage.settle("a joins")
    stage.member("a2", "orders", group_instance_id="one")
    a.asleep = True
    stage.settle("another joins with its id")
    stage.note("the older has", a.assigned())
    stage.attempt("the older commits", a.consumer.commit, offsets(one, 1))
    stage.attempt("the older polls", a.consumer.poll, 200)
    stage.attempt("the older polls again", a.consumer.poll, 200)
    stage.note("the older has", a.assigned())
    a.asleep = False
    stage.steps("both poll", 2)


@scenario
def static_and_dynamic_members(stage: Stage) -> None:
    """Two only: kafka-python's range forgets static ones with a dynamic one between them."""
    stage.topic("orders", 5)
    stage.member("c", "orders")
    stage.settle("c joins")
    stage.member("b", "orders", group_instance_id="two")
    stage.settle("b joins, static")


@scenario
def a_member_does_not_poll_in_time(stage: Stage) -> None:
    stage.topic("orders", 2, records=2)
    one = stage.place.partition("orders-0")
    a = stage.member("a", "orders", max_poll_interval_ms=3000, session_timeout_ms=2500)
    stage.settle("a joins")
    stage.member("b", "orders")
    stage.settle("b joins")
    a.asleep = True
    stage.settle("a does not poll")
    stage.note("a has", a.assigned())
    stage.attempt("a commits", a.consumer.commit, offsets(one, 1))
    a.asleep = False
    stage.settle("a polls again")


@scenario
def an_evicted_member_closes(stage: Stage) -> None:
    stage.topic("orders", 1)
    a = stage.member("a", "orders", max_poll_interval_ms=1500, session_timeout_ms=1500)
    stage.settle("a joins")
    a.asleep = True
    time.sleep(3)
    stage.note("a has", a.assigned())
