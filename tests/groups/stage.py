"""A stage for consumers of one group, and the history of what happens to them.

The scripts are written for kafka-python and know nothing of who answers. All members are
polled at once, each by a thread of its own, until nothing happens any more; only then does
the script go on. A history is a list of scenes, in JSON's types:

    scene     what the script did
    told      per member, what its listener was told and what its poll raised, in order;
              `revoked again`: the same, once or many times more
    assigned  per member, what it owned when all was quiet again
    stable    every member that is in the group says so, and names the same generation
    moved     that generation is a later one than in the scene before
    shared    partitions that a member was told to own before another was told to let go, and
              the two members

    note      something the script found out
    gave      and what it was: a value, or the name of the exception's class

    end       committed offsets and metadata, per partition

What cannot be equal is not told: ids of members, the numbers of generations, times.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from member import Event, Member, Place, outcome, usual

PATIENCE = 20.0
"""Seconds for something to begin to happen."""

STEADY = ("stable", "moved")

LONGEST = 30.0
"""Seconds until a scene is ended though it is not quiet."""


class Unavailable(Exception):  # noqa: N818
    """This kafka-python has not what the scenario is about."""


class Stage:
    """One scenario: its topics, its members, its history."""

    def __init__(self, address: str, prefix: str, poll: int, quiet: float) -> None:
        self.place = Place(address, prefix)
        self.history: list[dict[str, Any]] = []
        self.members: list[Any] = []
        self._poll = poll
        self._quiet = quiet
        self._threads = ThreadPoolExecutor(16)
        self._topics: dict[str, int] = {}
        self._generation = -1
        self._held: dict[str, str] = {}
        self._shared: list[list[str]] = []
        self._scene: dict[str, list[Event]] = {}

    # What scripts do.

    def topic(self, name: str, partitions: int, records: int = 0) -> None:
        """Makes a topic, with some records in each partition."""
        self._admin(lambda a: a.create_topics([NewTopic(self.place.topic(name), partitions, 1)]))
        self._topics[name] = partitions
        if records:
            self.produce(name, records)

    def produce(self, name: str, records: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self.place.address, acks="all")
        for partition in range(self._topics[name]):
            for number in range(records):
                producer.send(self.place.topic(name), b"%d" % number, partition=partition)
        producer.flush()
        producer.close()

    def grow(self, name: str, partitions: int) -> None:
        """Gives a topic more partitions."""
        wanted = {self.place.topic(name): NewPartitions(partitions)}
        self._admin(lambda admin: admin.create_partitions(wanted))
        self._topics[name] = partitions

    def member(self, name: str, *topics: str, **options: Any) -> Any:
        """A new member; it joins when it is polled."""
        if None in options.get("partition_assignment_strategy", ()):
            raise Unavailable
        member = Member(self.place, name, topics, **options)
        self.members.append(member)
        return member

    def gone(self, member: Any) -> None:
        """The member is no more, and nobody could tell it."""
        self.members.remove(member)
        self._held = {one: name for one, name in self._held.items() if name != member.name}

    def settle(self, scene: str, *, still: bool = False) -> None:
        """Polls all until nothing happens any more; a scene of the history.

        `still`: nothing need happen at all.
        """
        begun = time.monotonic()
        last, something = begun, still
        before = self._state()
        while time.monotonic() - begun < LONGEST:
            if self._round():
                last, something = time.monotonic(), True
            state = self._state()
            if state != before:
                before, last, something = state, time.monotonic(), True
            quiet = time.monotonic() - last > (self._quiet if something else PATIENCE)
            if quiet and not any(m and m[0] == "rebalancing" for m in self._memberships()):
                break
        self._end_scene(scene)

    def steps(self, scene: str, seconds: float, *, unsteady: bool = False) -> None:
        """Polls all for a time, without waiting for quiet. `unsteady`: it never will be."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._round()
        self._end_scene(scene)
        if unsteady:
            self.history[-1] = {k: v for k, v in self.history[-1].items() if k not in STEADY}

    def note(self, what: str, value: Any) -> Any:
        self.history.append({"note": what, "gave": self.place.plain(value)})
        return value

    def attempt(self, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
        """Notes what a call gives or raises. What listeners are told in it comes before."""
        given = outcome(self.place, what, call, *arguments)
        told = {m.name: events for m in self.members if (events := m.taken())}
        self._hold(told)
        row: dict[str, Any] = {"note": what, "gave": given}
        if told:
            row["told"] = {name: [event[1:] for event in told[name]] for name in told}
        self.history.append(row)
        return given

    def close(self, member: Any, *arguments: Any, **named: Any) -> None:
        """Closes a member, as a note; it is off the stage then."""
        self.attempt(f"{member.name} closes", lambda: member.close(*arguments, **named))
        self.members.remove(member)

    def committed(self, name: str = "reader") -> dict[str, Any]:
        """What the group has committed, as a consumer of no partition is told."""
        consumer = KafkaConsumer(**usual(self.place, name, {}))
        found = {}
        for topic, partitions in sorted(self._topics.items()):
            for number in range(partitions):
                one = TopicPartition(self.place.topic(topic), number)
                value = consumer.committed(one, metadata=True)
                if value is not None:
                    found[self.place.plain(one)] = self.place.plain(value)
        consumer.close()
        return found

    def end(self) -> None:
        """Closes whoever is left, in order, and tells what is committed."""
        for member in list(self.members):
            self.close(member)
        self.history.append({"end": self.committed()})

    def clear(self) -> None:
        """After a script that failed: nothing of it may stay."""
        self._threads.shutdown()
        for member in self.members:
            outcome(self.place, "clears", member.close)

    # How.

    def _admin(self, work: Callable[[Any], Any]) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.place.address)
        work(admin)
        admin.close()

    def _awake(self) -> list[Any]:
        return [member for member in self.members if not member.asleep]

    def _state(self) -> list[object]:
        return [self._assigned(), self._memberships()]

    def _memberships(self) -> list[tuple[str, int] | None]:
        return [member.membership() for member in self._awake()]

    def _assigned(self) -> dict[str, list[str]]:
        return {member.name: member.assigned() for member in self._awake()}

    def _round(self) -> bool:
        """Every member polls once, all at the same time. Whether there is news."""
        polls = {m.name: self._threads.submit(m.step, self._poll) for m in self._awake()}
        told = {name: poll.result() for name, poll in polls.items()}
        self._hold(told)
        news = [self._tell(name, events) for name, events in told.items()]
        return any(news)

    def _tell(self, name: str, events: list[Event]) -> bool:
        """Whether it is news: the same again and again is not."""
        told = self._scene.setdefault(name, [])
        news = False
        for _, what, about in events:
            again = [f"{what} again", about]
            if told and told[-1] in ([what, about], again):
                told[-1] = again
                continue
            told.append([what, about])
            news = True
        return news

    def _hold(self, told: dict[str, list[Event]]) -> None:
        """Follows who owns what, by what the listeners were told and when."""
        happened = [(*event, name) for name, events in told.items() for event in events]
        happened.sort(key=lambda event: event[0])
        for _, what, about, name in happened:
            for partition in about if what in ("assigned", "revoked", "lost") else ():
                other = self._held.get(partition, name)
                if what == "assigned":
                    self._held[partition] = name
                    if other != name:
                        self._shared.append([partition, *sorted((other, name))])
                elif other == name:
                    self._held.pop(partition, None)

    def _end_scene(self, scene: str) -> None:
        shared, self._shared = self._shared, []
        told = {name: events for name, events in sorted(self._scene.items()) if events}
        self._scene = {}
        row: dict[str, Any] = {"scene": scene, "told": told, "assigned": self._assigned()}
        joined = [one for one in self._memberships() if one and one[0] != "unjoined"]
        generations = [generation for _, generation in joined]
        if generations:
            row["stable"] = len(set(joined)) == 1 and joined[0][0] == "stable"
            row["moved"] = max(generations) > self._generation
            self._generation = max(generations)
        if shared:
            row["shared"] = sorted(shared)
        self.history.append(row)


Script = Callable[[Stage], None]

SCRIPTS: dict[str, Script] = {}
"""Every scenario by its name, in order."""


def scenario(script: Script) -> Script:
    SCRIPTS[script.__name__] = script
    return script


def play(name: str, address: str, nonce: str, poll: int, quiet: float) -> list[dict[str, Any]]:
    """Runs a scenario; gives its history. `nonce` makes its names new ones."""
    stage = Stage(address, f"{name}{nonce}", poll, quiet)
    try:
        SCRIPTS[name](stage)
        stage.end()
    finally:
        stage.clear()
    return stage.history
