"""What the admin client does and says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient, NewPartitions
from kafka.structs import OffsetAndMetadata
from stage import Stage, Unavailable, scenario

try:
    from kafka.admin import MemberToRemove, OffsetSpec, OffsetTimestamp
except ImportError:  # kafka-python 2
    MemberToRemove = None

UNEQUAL = {
    "documentation",
    "error_message",
    "host",
    "log_dir",
    "member_id",
    "port",
    "process_id",
    "topic_id",
    "total_bytes",
    "usable_bytes",
}
"""What cannot be equal, or is said in other words."""


REPLICAS = "min.insync.replicas"


def known(value: Any) -> Any:
    """A value without what cannot be equal."""
    if isinstance(value, dict):
        known_ones = {key: known(one) for key, one in value.items() if key not in UNEQUAL}
        if isinstance(settings := known_ones.get("configs"), dict):
            # A new cluster sets it by itself.
            known_ones["configs"] = {
                name: settings[name] for name in sorted(settings) if name != REPLICAS
            }
        if isinstance(known_ones.get("error"), str):
            known_ones["error"] = known_ones["error"].split(":")[0]
        return known_ones
    if isinstance(value, list):
        return [known(one) for one in value]
    return value


class Office:
    """An admin client, and what is noted of its calls."""

    def __init__(self, stage: Stage) -> None:
        if MemberToRemove is None:
            raise Unavailable
        self.stage = stage
        self.admin = KafkaAdminClient(bootstrap_servers=stage.place.address)
        self.group = stage.place.topic("group")

    def note(self, what: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        found: list[Any] = [None]

        def told() -> Any:
            found[0] = call(*arguments, **named)
            return known(found[0])

        self.stage.attempt(what, told)
        return found[0]

    def name(self, name: str) -> str:
        return self.stage.place.topic(name)

    def one(self, text: str) -> TopicPartition:
        return self.stage.place.partition(text)

    def resource(self, name: str, configs: Any = None) -> ConfigResource:
        return ConfigResource("topic", self.name(name), configs)

    def produce(self, name: str, partitions: int, records: int) -> None:
        """A topic with so many records in each partition, one a second."""
        self.stage.topic(name, partitions)
        self.admin.alter_configs([self.resource(name, {"retention.ms": "-1"})])
        producer = KafkaProducer(bootstrap_servers=self.stage.place.address, acks="all")
        for partition in range(partitions):
            for number in range(records):
                time = 1000 * (number + 1)
                producer.send(self.name(name), b"", partition=partition, timestamp_ms=time)
        producer.close()

    def close(self) -> None:
        self.admin.close()


def at(offset: int, metadata: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, metadata, -1)


@scenario
def admin_topics(stage: Stage) -> None:
    office = Office(stage)
    admin, name = office.admin, office.name
    create = admin.create_topics
    options = {"num_partitions": 3, "replication_factor": 1, "configs": {"retention.ms": "1000"}}
    office.note("create", create, {name("a"): options, name("b"): {}})
    admin.wait_for_topics([name("a"), name("b")])
    office.note("create what is there", create, [name("a")])
    office.note("create both", create, [name("a"), name("c")], raise_errors=False)
    office.note("a bad name", create, [name("a b")])
    office.note("no partitions", create, {name("d"): {"num_partitions": 0}})
    office.note("no copies", create, {name("d"): {"replication_factor": 0}})
    office.note("an unknown setting", create, {name("d"): {"configs": {"no.such": "1"}}})
    office.note("a bad value", create, {name("d"): {"configs": {"retention.ms": "soon"}}})
    office.note("only checked", create, {name("d"): {"num_partitions": 2}}, validate_only=True)
    office.note("only checked, there", create, [name("a")], validate_only=True)
    bad = {name("d"): {"configs": {"retention.ms": "soon"}}}
    office.note("only checked, bad", create, bad, validate_only=True)
    office.note("nothing", create, [])
    admin.wait_for_topics([name("c")])
    own = [topic for topic in admin.list_topics() if topic.startswith(name(""))]
    stage.note("list", sorted(own))
    office.note("describe", admin.describe_topics, [name("a"), name("none")])
    describe = admin.describe_topic_partitions
    office.note("describe partitions", describe, [name("b"), name("a"), name("none")])
    first = office.note("two of them", describe, [name("a"), name("b")], response_partition_limit=2)
    cursor = first["next_cursor"]
    office.note("the rest", describe, [name("a"), name("b")], cursor=cursor)
    office.note("delete", lambda: admin.delete_topics([name("c")]))
    office.note("delete again", lambda: admin.delete_topics([name("c")]))
    office.note("delete none", lambda: admin.delete_topics([name("none")], raise_errors=False))
    office.close()


@scenario
def admin_partitions(stage: Stage) -> None:
    office = Office(stage)
    admin, name = office.admin, office.name
    stage.topic("orders", 2)

    def create(count: Any, topic: str = "orders", **named: Any) -> dict[str, Any]:
        response = admin.create_partitions({name(topic): count}, **named).to_dict()
        return {key: value for key, value in response.items() if key != "throttle_time_ms"}

    office.note("only checked", create, 4, validate_only=True)
    office.note("more", create, 3)
    office.note("more, as an object", create, NewPartitions(4))
    office.note("as many", create, 4)
    office.note("fewer", create, 1)
    office.note("fewer, only told", create, 1, raise_errors=False)
    office.note("only checked, fewer", create, 1, validate_only=True)
    office.note("of no topic", create, 9, "none")
    office.close()


@scenario
def admin_configs(stage: Stage) -> None:
    office = Office(stage)
    admin, resource = office.admin, office.resource
    stage.topic("orders", 1)
    describe, alter = admin.describe_configs, admin.alter_configs
    found = describe([resource("orders")], config_filter="all")["topic"][office.name("orders")]
    stage.note("all", known({name: found[name] for name in sorted(found) if name != REPLICAS}))
    stage.note("replicas", known(found[REPLICAS]))
    for names in (["segment.bytes", "cleanup.policy"], ["retention.ms"]):
        wanted = [resource("orders", names)]
        office.note("named", describe, wanted, include_synonyms=True, config_filter="all")
    office.note("modified", describe, [resource("orders")])
    office.note("of no topic", describe, [resource("none")], config_filter="all")
    new = {"retention.ms": "5000", "cleanup.policy": ("append", "compact")}
    office.note("only checked", alter, [resource("orders", new)], validate_only=True)
    office.note("modified", describe, [resource("orders")])
    office.note("alter", alter, [resource("orders", new)])
    office.note("modified", describe, [resource("orders")], include_synonyms=True)
    office.note("take from a list", alter, [resource("orders", {"cleanup.policy": (3, "delete")})])
    office.note("delete one", alter, [resource("orders", {"retention.ms": ("delete", None)})])
    office.note("modified", describe, [resource("orders")])
    number = [resource("orders", {"retention.ms": (2, "1")})]
    office.note("append to a number", lambda: classes(alter(number)))
    for what, bad in {
        "an unknown name": {"no.such": "1"},
        "a bad value": {"retention.ms": "soon"},
        "a bad choice": {"cleanup.policy": "burn"},
        "one good and one bad": {"segment.bytes": "2000000", "retention.ms": "-7"},
    }.items():
        wish = [resource("orders", bad)]
        office.note(what, lambda wish=wish: classes(alter(wish)))
    wish = [resource("orders", {"no.such": "1"})]
    office.note("an unknown name, unasked", lambda: classes(alter(wish, raise_on_unknown=False)))
    wish = [resource("none", {"retention.ms": "1"})]
    office.note("alter no topic", alter, wish)
    office.note("alter no topic, unasked", lambda: classes(alter(wish, raise_on_unknown=False)))
    office.note("modified", describe, [resource("orders")])
    office.note("older", alter, [resource("orders", {"retention.ms": "7000"})], incremental=False)
    office.note("reset one", admin.reset_configs, [resource("orders", ["retention.ms"])])
    office.note("reset what was not set", admin.reset_configs, [resource("orders", ["flush.ms"])])
    office.note("reset all", admin.reset_configs, [resource("orders", [])])
    office.note("modified", describe, [resource("orders")])
    found = describe([ConfigResource("group", office.group)], config_filter="all")
    settings = found["group"][office.group]
    stage.note("a group", {name: settings[name]["value"] for name in sorted(settings)})
    office.note("a broker's name", describe, [ConfigResource("broker", "me")])
    office.note("another broker", describe, [ConfigResource("broker", "7")])
    office.close()


def classes(answers: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The class of each error, without its sentence."""
    return {
        kind: {name: said.split(":")[0].split("] ")[-1] for name, said in of.items()}
        for kind, of in answers.items()
    }


@scenario
def admin_groups(stage: Stage) -> None:
    office = Office(stage)
    admin, group = office.admin, office.group
    stage.topic("orders", 2, records=3)
    stage.committed()  # or a new broker has no coordinator yet
    simple = office.name("simple")

    def listed(**filters: Any) -> list[dict[str, Any]]:
        own = (
            one for one in admin.list_groups(**filters) if one["group_id"].startswith(group[:-5])
        )
        return sorted(own, key=lambda one: one["group_id"])

    office.note("none", listed)
    office.note("describe none", admin.describe_groups, [group])
    office.note("a simple one", admin.alter_group_offsets, simple, {office.one("orders-0"): at(1)})
    office.note("describe the simple one", admin.describe_groups, [simple])
    a = stage.member("a", "orders")
    stage.settle("a joins")
    office.note("list", listed)
    office.note("the stable", listed, states_filter=["Stable"])
    office.note("the empty", listed, states_filter=["empty"])
    office.note("the newer", listed, types_filter=["consumer"])
    office.note("describe", admin.describe_groups, [group])
    office.note("delete", admin.delete_groups, [group, simple, office.name("none")])
    a.consumer.commit()
    stage.close(a)
    office.note("describe the empty", admin.describe_groups, [group])
    office.note("list", listed)
    office.note("delete", admin.delete_groups, [group])
    office.note("delete again", admin.delete_groups, [group])
    office.note("list", listed)
    office.note("what it committed", admin.list_group_offsets, group)
    office.close()


@scenario
def admin_members(stage: Stage) -> None:
    office = Office(stage)
    admin, group = office.admin, office.group
    stage.topic("orders", 2, records=3)
    a = stage.member("a", "orders")
    stage.settle("a joins")

    def remove(*members: Any) -> list[Any]:
        return list(admin.remove_group_members(group, members).values())

    member = a.consumer.group_metadata().member_id
    office.note("take out a", remove, MemberToRemove(member), MemberToRemove("nobody"))
    stage.attempt("a commits", a.consumer.commit, {office.one("orders-0"): at(1)})
    office.note("describe", admin.describe_groups, [group])
    stage.settle("a polls again")
    office.note("by an unknown instance", remove, MemberToRemove(None, "i"))
    stage.close(a)
    b = stage.member("b", "orders", group_instance_id="i")
    stage.settle("b joins")
    office.note("by both, another", remove, MemberToRemove("nobody", "i"))
    office.note("by its instance", remove, MemberToRemove(None, "i"))
    stage.settle("b polls again")
    both = MemberToRemove(b.consumer.group_metadata().member_id, "i", "a reason")
    office.note("by both", remove, both)
    stage.settle("b polls again")
    stage.close(b)
    gone = [MemberToRemove("nobody")]
    office.note("of no group", admin.remove_group_members, office.name("none"), gone)
    office.close()


@scenario
def admin_offsets(stage: Stage) -> None:
    office = Office(stage)
    admin, group, one = office.admin, office.group, office.one
    office.produce("orders", 2, 6)
    office.produce("words", 1, 2)
    stage.committed()  # or a new broker has no coordinator yet
    none = one("none-0")
    first, words = one("orders-0"), one("words-0")
    alter, reset = admin.alter_group_offsets, admin.reset_group_offsets
    office.note("of no group", admin.list_group_offsets, group)
    office.note("delete of no group", admin.delete_group_offsets, group, [first])
    office.note("alter", alter, group, {first: at(2, "by hand"), words: at(1), none: at(1)})
    office.note("too much metadata", alter, group, {first: at(2, "x" * 5000)})
    office.note("behind the end", alter, group, {one("orders-1"): at(99)})
    office.note("all", admin.list_group_offsets, group)
    office.note("named", admin.list_group_offsets, {group: [first, none]})
    office.note("two groups", admin.list_group_offsets, [group, office.name("none")])
    for what, spec in {
        "to the beginning": OffsetSpec.EARLIEST,
        "to the end": OffsetSpec.LATEST,
        "to the youngest": OffsetSpec.MAX_TIMESTAMP,
        "to a time before all": OffsetTimestamp(1),
        "to a time between": OffsetTimestamp(2500),
        "to a time behind all": OffsetTimestamp(9_999_999_999_999),
        "to an offset": 3,
        "to an offset behind the end": 99,
        "to an offset below zero": -1,
    }.items():
        office.note(what, reset, group, {first: spec})
    office.note("of no topic", reset, group, {none: 1})
    office.note("nonsense", reset, group, {first: "earliest"})
    office.note("where nothing is committed", reset, office.name("new"), {words: 1})
    office.note("all", admin.list_group_offsets, group)
    a = stage.member("a", "orders")
    stage.settle("a joins")
    office.note("alter a live one", alter, group, {first: at(1), none: at(1)})
    office.note("reset a live one", reset, group, {first: OffsetSpec.EARLIEST})
    office.note("delete of a live one", admin.delete_group_offsets, group, [first, words, none])
    stage.close(a)
    office.note("delete", admin.delete_group_offsets, group, [first, none])
    office.note("delete what is gone", admin.delete_group_offsets, group, [first])
    office.note("all", admin.list_group_offsets, group)
    office.close()


@scenario
def admin_records(stage: Stage) -> None:
    office = Office(stage)
    admin, one = office.admin, office.one
    office.produce("orders", 2, 6)
    first, second, none = one("orders-0"), one("orders-1"), one("none-0")

    def offsets(spec: Any, partition: TopicPartition = first) -> list[int]:
        found = admin.list_partition_offsets({partition: spec})[partition]
        return [found.offset, found.timestamp, found.leader_epoch]

    for what, spec in {
        "earliest": OffsetSpec.EARLIEST,
        "latest": OffsetSpec.LATEST,
        "the youngest": OffsetSpec.MAX_TIMESTAMP,
        "earliest here": OffsetSpec.EARLIEST_LOCAL,
        "latest elsewhere": OffsetSpec.LATEST_TIERED,
        "a time before all": 1,
        "a time between": 2500,
        "a time behind all": 9_999_999_999_999,
        "no such place": -7,
    }.items():
        office.note(what, offsets, spec)
    office.note("of no topic", offsets, OffsetSpec.LATEST, none)
    delete = admin.delete_records
    office.note("delete some", delete, {first: 4})
    office.note("delete fewer", delete, {first: 2})
    office.note("earliest", offsets, OffsetSpec.EARLIEST)
    office.note("delete too many", delete, {first: 7})
    office.note("delete below zero", delete, {first: -5})
    office.note("delete all", delete, {second: -1})
    office.note("earliest", offsets, OffsetSpec.EARLIEST, second)
    office.note("of no topic", delete, {none: 1})
    office.note("several bad ones", delete, {first: 99, second: 99})
    admin.alter_configs([office.resource("orders", {"cleanup.policy": "compact"})])
    office.note("of a compacted topic", delete, {first: 5})
    a = stage.member("a", "orders")
    stage.settle("a joins")
    stage.note("a has read", sorted(a.read))
    stage.close(a)
    office.close()


@scenario
def admin_cluster(stage: Stage) -> None:
    office = Office(stage)
    admin, one, name = office.admin, office.one, office.name
    office.produce("orders", 2, 1)
    stage.topic("empty", 1)
    first, second, none = one("orders-0"), one("orders-1"), one("none-0")
    cluster = admin.describe_cluster()
    office.note("the cluster", lambda: {**cluster, "cluster_id": bool(cluster["cluster_id"])})
    office.note("log dirs", lambda: sorted_dirs(admin.describe_log_dirs([name("orders")])))
    elect = admin.elect_leaders
    office.note("elect", lambda: plain(elect(0, {name("orders"): [0, 1]})))
    office.note("elect nobody", lambda: plain(elect(0, {name("none"): [0]}, raise_errors=False)))
    office.note("elect for no topic", elect, 0, {name("none"): [0]})
    office.note("elect in no way", elect, "somehow", {name("orders"): [0]})
    move = admin.alter_partition_reassignments
    office.note("move", move, {first: [1], second: None, none: [1]})
    office.note("move away", move, {first: [7]})
    office.note("move nowhere", move, {first: []})
    office.note("on the move", admin.list_partition_reassignments)
    folder = admin.describe_log_dirs()[0]["log_dirs"][0]["log_dir"]
    places = {(name("orders"), 0, 1): folder, (name("orders"), 1, 1): "/elsewhere"}
    office.note("to another folder", lambda: list(admin.alter_replica_log_dirs(places).values()))
    office.note("transactions", admin.list_transactions)
    office.note("hanging transactions", admin.find_hanging_transactions)
    office.note("producers", admin.describe_producers, [one("empty-0")])
    office.note("producers of no topic", admin.describe_producers, [none])
    office.note("an unknown feature", admin.update_features, {"foo": 1})
    office.note("another broker", admin.describe_log_dirs, brokers=[7])
    office.close()


def plain(response: Any) -> Any:
    """A response without its versions."""
    response = response.to_dict()
    response.pop("throttle_time_ms", None)
    return response


def sorted_dirs(brokers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for broker in brokers:
        for folder in broker["log_dirs"]:
            for topic in folder["topics"]:
                topic["partitions"].sort(key=lambda one: one["partition_index"])
    return brokers
