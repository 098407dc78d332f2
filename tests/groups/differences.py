"""Where a group here does not do what kafka-python and a broker do, and why.

`tests/python/test_group_scenarios.py` expects exactly these differences from the histories of
`tests/data/histories`, and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["ON_PURPOSE", "OTHERWISE", "Difference"]


@dataclass(frozen=True)
class Difference:
    """One value of one row of a history."""

    at: str
    """The scene or note, or `end`."""
    key: str
    theirs: Any
    ours: Any
    """None: the row has no such key."""
    why: str
    which: int = 0
    """Of the rows of this name."""


ALONE = """Without a group kafka-python 3 tells the listener nothing of what comes, and at the
end that all is lost. Here it is told of both as in a group."""
AT_ONCE = "kafka-python asks again until its time is up; here the answer is known."
CLOSES = "kafka-python 2 tells its listener nothing at close. Version 3 does, and so do we."
COMMITS = """kafka-python 3 cannot commit in a listener that is no coroutine: that runs in its
I/O thread. Version 2 can, and so can we."""
DISAGREE = """Here it is refused before it joins: nothing is revoked for that, and it is no
member."""
FENCED = """kafka-python 3 only stops the heartbeats of the older one, whose polls then give
nothing, for ever. Here it hears of it, as with Kafka's Java client."""
FORGETS = """Another may have had the partition in between. So what comes back is read from what
was committed, as with Kafka's Java client and kafka-python 2."""
LENIENT = "Here what is meant by it is clear, or is looked up."
NAMES = "Here a bad name is Kafka's own InvalidTopicError, as wherever a topic is named."
NEGATIVE = """A broker takes offsets below zero, and then says that nothing was committed.
Kafka's Java client refuses to make them, and so do we."""
NO_BROKER = "There is no broker whose settings could forbid it."
OWNER = """A broker takes commits of any partition from any member. Here only its owner may
commit: a zombie cannot undo what its successor has committed."""
RAISES = """Here a listener that raised is not asked again: the rebalance goes on, and the poll
that ends it raises. kafka-python raises first, and then tells an eager one a second time."""
REFUSED = """kafka-python 2 and Kafka's Java client refuse it as soon, kafka-python 3 when it
joins or never."""
STEPS = """Here the generation steps when somebody asks to join, with a broker when all have
answered."""
TWICE = """kafka-python's leader looks at the topics again when it has shared them out, and then
shares them out again."""
UNSUBSCRIBES = """kafka-python tells the listener nothing of unsubscribe(), not even that what it
had is gone. Kafka's Java client does, and so do we: there is no other place to finish the work."""

ON_PURPOSE: dict[str, list[Difference]] = {
    "a_listener_raises_in_lost": [
        Difference(
            "a polls again",
            "told",
            {
                "a": [
                    ["lost", ["orders-0"]],
                    ["raised", "KafkaError from BadDayError"],
                    ["revoked", []],
                    ["assigned", ["orders-0"]],
                ],
                "b": [["revoked", ["orders-0"]], ["assigned", []]],
            },
            {
                "a": [
                    ["lost", ["orders-0"]],
                    ["assigned", ["orders-0"]],
                    ["raised", "KafkaError from BadDayError"],
                ],
                "b": [["revoked", ["orders-0"]], ["assigned", []]],
            },
            RAISES,
        ),
    ],
    "a_listener_raises_in_revoked": [
        Difference(
            "b joins",
            "told",
            {
                "a": [
                    ["revoked", ["orders-0", "orders-1"]],
                    ["raised", "KafkaError from BadDayError"],
                    ["revoked", ["orders-0", "orders-1"]],
                    ["assigned", ["orders-0"]],
                ],
                "b": [["revoked", []], ["assigned", ["orders-1"]]],
            },
            {
                "a": [
                    ["revoked", ["orders-0", "orders-1"]],
                    ["assigned", ["orders-0"]],
                    ["raised", "KafkaError from BadDayError"],
                ],
                "b": [["revoked", []], ["assigned", ["orders-1"]]],
            },
            RAISES,
        ),
    ],
    "a_listener_raises_in_unsubscribe": [
        Difference(
            "a unsubscribes", "gave", "ok", "raised KafkaError from BadDayError", UNSUBSCRIBES
        ),
        Difference(
            "a unsubscribes",
            "told",
            None,
            {"a": [["revoked", ["orders-0", "orders-1"]]]},
            UNSUBSCRIBES,
        ),
        Difference(
            "b joins",
            "shared",
            [["orders-0", "a", "b"], ["orders-1", "a", "b"]],
            None,
            UNSUBSCRIBES,
        ),
    ],
    "a_listener_that_asks": [
        Difference(
            "a closes",
            "told",
            None,
            {
                "a": [
                    ["revoked", ["orders-0"]],
                    ["assignment", ["orders-0"]],
                    ["position", 2],
                    ["committed", "ok"],
                    ["paused", []],
                ]
            },
            CLOSES,
        ),
    ],
    "a_static_id_used_twice": [
        Difference("the older polls", "gave", {}, "raised FencedInstanceIdError", FENCED),
        Difference(
            "the older polls", "told", None, {"a": [["lost", ["orders-0", "orders-1"]]]}, FENCED
        ),
        Difference("the older polls again", "gave", {}, "raised FencedInstanceIdError", FENCED),
        Difference("the older has", "gave", ["orders-0", "orders-1"], [], FENCED, which=1),
        Difference(
            "both poll", "told", {}, {"a": [["raised again", "FencedInstanceIdError"]]}, FENCED
        ),
        Difference(
            "both poll",
            "assigned",
            {"a": ["orders-0", "orders-1"], "a2": ["orders-0", "orders-1"]},
            {"a": [], "a2": ["orders-0", "orders-1"]},
            FENCED,
        ),
        Difference(
            "a closes", "told", {"a": [["revoked", ["orders-0", "orders-1"]]]}, None, FENCED
        ),
    ],
    "a_static_member_unsubscribes": [
        Difference(
            "b unsubscribes",
            "told",
            None,
            {"b": [["revoked", ["orders-2", "orders-3"]]]},
            UNSUBSCRIBES,
        ),
    ],
    "another_subscription": [
        Difference(
            "a wants words",
            "told",
            {
                "a": [
                    ["revoked", ["orders-0", "orders-1"]],
                    ["assigned", ["words-0", "words-1"]],
                    ["revoked", ["words-0", "words-1"]],
                    ["assigned", ["words-0", "words-1"]],
                ]
            },
            {"a": [["revoked", ["orders-0", "orders-1"]], ["assigned", ["words-0", "words-1"]]]},
            TWICE,
            which=1,
        ),
    ],
    "auto_commit_on_unsubscribe": [
        Difference(
            "a unsubscribes", "told", None, {"a": [["revoked", ["orders-0"]]]}, UNSUBSCRIBES
        ),
    ],
    "commit_in_the_listener": [
        Difference(
            "a closes", "told", None, {"a": [["revoked", ["orders-0"]], ["commits", "ok"]]}, CLOSES
        ),
        Difference(
            "b closes", "told", None, {"b": [["revoked", ["orders-1"]], ["commits", "ok"]]}, CLOSES
        ),
    ],
    "commit_in_the_listener_cooperative": [
        Difference(
            "b joins",
            "told",
            {
                "a": [["revoked", ["orders-1"]], ["commits", "raised RuntimeError"]],
                "b": [["assigned", ["orders-1"]]],
            },
            {
                "a": [["revoked", ["orders-1"]], ["commits", "ok"]],
                "b": [["assigned", ["orders-1"]]],
            },
            COMMITS,
        ),
        Difference("committed", "gave", {}, {"orders-0": [3, ""], "orders-1": [3, ""]}, COMMITS),
        Difference(
            "a closes",
            "told",
            {"a": [["revoked", ["orders-0"]], ["commits", "raised RuntimeError"]]},
            {"a": [["revoked", ["orders-0"]], ["commits", "ok"]]},
            COMMITS,
        ),
        Difference(
            "b closes",
            "told",
            {"b": [["revoked", ["orders-1"]], ["commits", "raised RuntimeError"]]},
            {"b": [["revoked", ["orders-1"]], ["commits", "ok"]]},
            COMMITS,
        ),
        Difference("end", "end", {}, {"orders-0": [3, ""], "orders-1": [3, ""]}, COMMITS),
    ],
    "commit_of_what_cannot_be": [
        Difference("offset below zero", "gave", "ok", "raised IllegalArgumentError", NEGATIVE),
        Difference("offset far below zero", "gave", "ok", "raised IllegalArgumentError", NEGATIVE),
        Difference(
            "an unknown partition",
            "gave",
            "raised KafkaTimeoutError",
            "raised UnknownTopicOrPartitionError",
            AT_ONCE,
        ),
        Difference(
            "an unknown topic",
            "gave",
            "raised KafkaTimeoutError",
            "raised UnknownTopicOrPartitionError",
            AT_ONCE,
        ),
        Difference("a number", "gave", "raised TypeError", "ok", LENIENT),
        Difference(
            "a tuple", "gave", "raised TypeError", "raised UnknownTopicOrPartitionError", LENIENT
        ),
    ],
    "commit_of_what_is_not_owned": [
        Difference("of another's partition", "gave", "ok", "raised CommitFailedError", OWNER),
        Difference("of a topic not subscribed", "gave", "ok", "raised CommitFailedError", OWNER),
        Difference(
            "end",
            "end",
            {"orders-0": [1000, ""], "orders-1": [1, ""], "words-0": [2, ""]},
            {"orders-0": [1000, ""]},
            OWNER,
        ),
    ],
    "commit_while_a_cooperative_group_rebalances": [
        Difference("b asks to join", "moved", False, True, STEPS),
        Difference(
            "b commits",
            "gave",
            "raised RebalanceInProgressError",
            "raised CommitFailedError",
            OWNER,
        ),
        Difference("a polls again", "moved", True, False, STEPS),
    ],
    "constructors_that_refuse": [
        Difference("an empty instance", "gave", "ok", "raised KafkaConfigurationError", REFUSED),
        Difference(
            "an instance that is a number", "gave", "ok", "raised KafkaConfigurationError", REFUSED
        ),
        Difference("an empty group", "gave", "ok", "raised KafkaConfigurationError", REFUSED),
        Difference("an unknown reset", "gave", "ok", "raised KafkaConfigurationError", REFUSED),
    ],
    "different_subscriptions_round_robin": [
        Difference(
            "b closes",
            "told",
            None,
            {"b": [["revoked", ["orders-1", "words-0", "words-2"]]]},
            CLOSES,
        ),
        Difference(
            "a closes", "told", None, {"a": [["revoked", ["orders-0", "orders-2"]]]}, CLOSES
        ),
        Difference("c closes", "told", None, {"c": [["revoked", ["words-1", "words-3"]]]}, CLOSES),
    ],
    "group_metadata": [
        Difference(
            "a unsubscribes", "told", None, {"a": [["revoked", ["orders-0"]]]}, UNSUBSCRIBES
        ),
    ],
    "joins_that_are_refused": [
        Difference(
            "a session too short",
            "gave",
            "raised InvalidSessionTimeoutError",
            ["orders-0", "orders-1"],
            NO_BROKER,
        ),
        Difference(
            "a session too long",
            "gave",
            "raised InvalidSessionTimeoutError",
            ["orders-0", "orders-1"],
            NO_BROKER,
        ),
        Difference(
            "an empty group",
            "gave",
            "raised InvalidGroupIdError",
            "raised KafkaConfigurationError",
            REFUSED,
        ),
        Difference(
            "an empty instance",
            "gave",
            ["orders-0", "orders-1"],
            "raised KafkaConfigurationError",
            REFUSED,
        ),
    ],
    "one_of_three_cooperative_unsubscribes": [
        Difference(
            "b unsubscribes",
            "told",
            None,
            {"b": [["revoked", ["orders-3", "orders-4"]]]},
            UNSUBSCRIBES,
        ),
        Difference(
            "b has unsubscribed",
            "shared",
            [["orders-3", "b", "a"], ["orders-4", "b", "c"]],
            None,
            UNSUBSCRIBES,
        ),
    ],
    "one_of_three_unsubscribes": [
        Difference(
            "b unsubscribes",
            "told",
            None,
            {"b": [["revoked", ["orders-2", "orders-3"]]]},
            UNSUBSCRIBES,
        ),
        Difference(
            "b has unsubscribed",
            "shared",
            [["orders-2", "b", "a"], ["orders-3", "b", "c"]],
            None,
            UNSUBSCRIBES,
        ),
    ],
    "seek_and_pause_across_an_eager_rebalance": [
        Difference("paused", "gave", ["orders-0"], [], FORGETS),
        Difference("positions of a", "gave", {"orders-0": 3}, {"orders-0": 4}, FORGETS),
    ],
    "strategies_that_do_not_agree": [
        Difference(
            "b joins with round-robin",
            "told",
            {"b": [["revoked", []], ["raised again", "InconsistentGroupProtocolError"]]},
            {"b": [["raised again", "InconsistentGroupProtocolError"]]},
            DISAGREE,
        ),
        Difference("b joins with round-robin", "stable", False, True, DISAGREE),
        Difference("c joins with cooperative-sticky", "stable", False, True, DISAGREE),
    ],
    "subscribe_and_assign_exclude_each_other": [
        Difference("a string", "gave", "raised TypeError", "ok", LENIENT),
        Difference("a set", "gave", "raised TypeError", "ok", LENIENT),
        Difference("an empty name", "gave", "raised ValueError", "raised InvalidTopicError", NAMES),
        Difference("two dots", "gave", "raised ValueError", "raised InvalidTopicError", NAMES),
        Difference("a bad name", "gave", "raised ValueError", "raised InvalidTopicError", NAMES),
    ],
    "two_with_a_pattern_and_a_new_topic": [
        Difference(
            "a closes", "told", None, {"a": [["revoked", ["orchids-0", "orders-0"]]]}, CLOSES
        ),
        Difference(
            "b closes", "told", None, {"b": [["revoked", ["orchids-1", "orders-1"]]]}, CLOSES
        ),
    ],
    "without_a_group": [
        Difference(
            "a is alone", "told", {}, {"a": [["assigned", ["orders-0", "orders-1"]]]}, ALONE
        ),
        Difference(
            "a closes",
            "told",
            {"a": [["lost", ["orders-0", "orders-1"]]]},
            {"a": [["revoked", ["orders-0", "orders-1"]]]},
            ALONE,
        ),
    ],
}

OTHERWISE = {
    "cooperative_sticky_over_two_topics",
    "sticky_over_two_topics",
}
"""Scenarios where a member gets other partitions, but as many. Which ones hangs on the order of a
hash table of topics in Kafka's Java assignor: here they are exactly Kafka's, kafka-python's are
its own. The histories here are in `tests/data/histories/here`."""
