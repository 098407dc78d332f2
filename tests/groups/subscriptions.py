"""What members subscribe to, and what a subscription refuses."""

from __future__ import annotations

import re

from kafka import KafkaConsumer, TopicPartition
from member import usual
from sharing import COOPERATIVE, ROUND_ROBIN, STICKY
from stage import Stage, scenario

ATTENTIVE = {"metadata_max_age_ms": 300}
"""For members that must notice a new topic or partition."""


@scenario
def different_subscriptions(stage: Stage) -> None:
    different(stage, {})


@scenario
def different_subscriptions_round_robin(stage: Stage) -> None:
    different(stage, ROUND_ROBIN)


@scenario
def different_subscriptions_sticky(stage: Stage) -> None:
    different(stage, STICKY)


@scenario
def different_subscriptions_cooperative(stage: Stage) -> None:
    different(stage, COOPERATIVE)


def different(stage: Stage, strategy: dict[str, object]) -> None:
    """The first, that leads, knows all topics: else kafka-python shares out what it knows."""
    stage.topic("orders", 3)
    stage.topic("words", 4)
    stage.member("b", "orders", "words", **strategy)
    stage.settle("b joins for both")
    stage.member("a", "orders", **strategy)
    stage.settle("a joins for orders")
    stage.member("c", "words", **strategy)
    stage.settle("c joins for words")


@scenario
def a_pattern_and_a_new_topic(stage: Stage) -> None:
    matching(stage, "a", {})


@scenario
def a_cooperative_pattern_and_a_new_topic(stage: Stage) -> None:
    matching(stage, "a", COOPERATIVE)


@scenario
def two_with_a_pattern_and_a_new_topic(stage: Stage) -> None:
    matching(stage, "ab", {})


def matching(stage: Stage, names: str, strategy: dict[str, object]) -> None:
    stage.topic("orders", 2)
    stage.topic("other", 2)
    pattern = f"^{re.escape(stage.place.prefix)}[.]or.*"
    for name in names:
        stage.member(name, pattern=pattern, **ATTENTIVE, **strategy)
        stage.settle(f"{name} joins")
    stage.topic("orchids", 2)
    stage.settle("a new topic matches")


@scenario
def new_partitions(stage: Stage) -> None:
    growing(stage, {})


@scenario
def new_partitions_cooperative(stage: Stage) -> None:
    growing(stage, COOPERATIVE)


def growing(stage: Stage, strategy: dict[str, object]) -> None:
    stage.topic("orders", 2)
    for name in "ab":
        stage.member(name, "orders", **ATTENTIVE, **strategy)
        stage.settle(f"{name} joins")
    stage.grow("orders", 5)
    stage.settle("orders has five partitions")


@scenario
def another_subscription(stage: Stage) -> None:
    resubscribing(stage, {})


@scenario
def another_subscription_cooperative(stage: Stage) -> None:
    resubscribing(stage, COOPERATIVE)


def resubscribing(stage: Stage, strategy: dict[str, object]) -> None:
    stage.topic("orders", 2)
    stage.topic("words", 2)
    a = stage.member("a", "orders", **strategy)
    stage.settle("a joins for orders")
    stage.attempt("a wants words", a.subscribe, "words")
    stage.note("before it polls", [a.assigned(), a.consumer.subscription()])
    stage.settle("a wants words")
    stage.attempt("a wants both", a.subscribe, "orders", "words")
    stage.settle("a wants both")
    stage.attempt("a wants both again", a.subscribe, "orders", "words")
    stage.settle("a wants both again", still=True)


@scenario
def subscribe_and_assign_exclude_each_other(stage: Stage) -> None:
    stage.topic("orders", 2)
    topic = stage.place.topic("orders")
    one = TopicPartition(topic, 0)
    a = stage.member("a", "orders")
    stage.attempt("assign after subscribe", a.consumer.assign, [one])
    stage.settle("a joins")
    stage.attempt("assign after it joined", a.consumer.assign, [one])
    stage.attempt("a pattern after topics", lambda: a.consumer.subscribe(pattern="x.*"))
    stage.attempt("both", lambda: a.consumer.subscribe([topic], pattern="x.*"))
    stage.attempt("neither", a.consumer.subscribe)
    stage.attempt("a string", a.consumer.subscribe, topic)
    stage.attempt("a set", a.consumer.subscribe, {topic})
    stage.attempt("a number", a.consumer.subscribe, [1])
    stage.attempt("nothing", a.consumer.subscribe, [None])
    stage.attempt("an empty name", a.consumer.subscribe, [""])
    stage.attempt("two dots", a.consumer.subscribe, [".."])
    stage.attempt("a bad name", a.consumer.subscribe, ["a b"])
    stage.attempt("a bad listener", lambda: a.consumer.subscribe([topic], listener=object()))
    stage.note("still subscribed", a.consumer.subscription())
    stage.settle("after all that", still=True)
    stage.attempt("unsubscribe", a.consumer.unsubscribe)
    stage.attempt("unsubscribe again", a.consumer.unsubscribe)
    stage.attempt("assign after unsubscribe", a.consumer.assign, [one])
    stage.attempt("subscribe after assign", a.consumer.subscribe, [topic])
    stage.note("assigned", a.consumer.assignment())
    stage.attempt("assign nothing", a.consumer.assign, [])
    stage.attempt("subscribe after assigning nothing", a.subscribe, "orders")
    stage.settle("a joins again")


@scenario
def without_a_group(stage: Stage) -> None:
    stage.topic("orders", 2, records=1)
    a = stage.member("a", "orders", group_id=None)
    one = stage.place.partition("orders-0")
    stage.settle("a is alone")
    stage.attempt("commit", a.consumer.commit)
    stage.attempt("committed", a.consumer.committed, one)
    if hasattr(a.consumer, "group_metadata"):
        stage.note("group", a.consumer.group_metadata().group_id)


@scenario
def iteration_ends_by_its_timeout(stage: Stage) -> None:
    stage.topic("orders", 2, records=3)
    topic = stage.place.topic("orders")
    settings = {"consumer_timeout_ms": 2000, "enable_auto_commit": True}
    consumer = KafkaConsumer(topic, **usual(stage.place, "a", settings))
    stage.note("read", sorted(f"{record.partition}@{record.offset}" for record in consumer))
    stage.note("read again", [record.offset for record in consumer])
    stage.note("assigned", consumer.assignment())
    consumer.close()
    stage.attempt("next of a closed one", lambda: next(consumer, "the end"))
    stage.attempt("poll of a closed one", consumer.poll)


@scenario
def group_metadata(stage: Stage) -> None:
    stage.topic("orders", 1)
    a = stage.member("a", "orders", group_instance_id=None)

    def found() -> list[object]:
        if not hasattr(a.consumer, "group_metadata"):
            return []
        told = a.consumer.group_metadata()
        state = str(getattr(told.state, "name", told.state)).strip("<>").lower()
        named = told.member_id.split("-")[0] if told.member_id else told.member_id
        return [told.group_id, told.generation_id, named, told.group_instance_id, state]

    stage.note("before it polls", found())
    stage.settle("a joins")
    stage.note("joined", found())
    stage.attempt("a unsubscribes", a.consumer.unsubscribe)
    stage.note("unsubscribed", found())
