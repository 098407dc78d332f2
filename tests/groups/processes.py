"""Members in processes of their own, that are killed and stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

from commits import offsets
from member import Event, Member, Place
from sharing import COOPERATIVE
from stage import Stage, scenario

SHORT = {"session_timeout_ms": 3000, "heartbeat_interval_ms": 100}


def serve(pipe: Any, place: tuple[str, str], name: str, topics: list[str], settings: Any) -> None:
    """The member's process: does what it is asked, one thing at a time."""
    member = Member(Place(*place), name, topics, **settings)
    while True:
        what, arguments = pipe.recv()
        pipe.send(getattr(Served(member), what)(*arguments))
        if what == "close":
            return


class Served:
    """What can be asked of a member in another process."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def step(self, timeout_ms: int) -> list[Event]:
        return self._member.step(timeout_ms)

    def assigned(self) -> list[str]:
        return self._member.assigned()

    def membership(self) -> tuple[str, int] | None:
        return self._member.membership()

    def commit(self, partition: str, offset: int) -> None:
        one = self._member.place.partition(partition)
        self._member.attempt("commits", self._member.consumer.commit, offsets(one, offset))

    def close(self) -> list[Event]:
        self._member.close()
        return self._member.taken()


class Remote:
    """A member in a process of its own; looks like `Member` to the stage."""

    def __init__(self, place: Place, name: str, topics: list[str], settings: Any) -> None:
        self.name = name
        self.asleep = False
        self._last: list[Event] = []
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        arguments = (other, (place.address, place.prefix), name, topics, settings)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def step(self, timeout_ms: int) -> Any:
        return self._ask("step", timeout_ms)

    def taken(self) -> Any:
        """What it was told while it closed; all else its steps have given."""
        return self._last

    def assigned(self) -> Any:
        return self._ask("assigned")

    def membership(self) -> Any:
        return self._ask("membership")

    def commit(self, partition: str, offset: int) -> None:
        self._ask("commit", partition, offset)

    def close(self) -> None:
        if self._process.exitcode is None:
            self._last = self._ask("close")
        self._process.join()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.join()

    def signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def _ask(self, what: str, *arguments: Any) -> Any:
        self._pipe.send((what, arguments))
        if not self._pipe.poll(60):
            raise TimeoutError(f"{self.name} does not answer {what}")
        return self._pipe.recv()


def remote(stage: Stage, name: str, **settings: Any) -> Remote:
    member = Remote(stage.place, name, ["orders"], {**SHORT, **settings})
    stage.members.append(member)
    return member


@scenario
def a_process_is_killed(stage: Stage) -> None:
    killing(stage, {})


@scenario
def a_cooperative_process_is_killed(stage: Stage) -> None:
    killing(stage, COOPERATIVE)


def killing(stage: Stage, strategy: dict[str, Any]) -> None:
    stage.topic("orders", 4, records=3)
    stage.member("a", "orders", **SHORT, **strategy)
    stage.settle("a joins")
    b = remote(stage, "b", **strategy)
    stage.settle("b joins")
    b.commit("orders-2", 2)
    stage.settle("b has committed", still=True)
    stage.gone(b)
    b.kill()
    stage.settle("b was killed")
    stage.note("positions of a", stage.members[0].positions())


@scenario
def a_process_is_stopped_past_its_session(stage: Stage) -> None:
    stopping(stage, {})


@scenario
def a_cooperative_process_is_stopped_past_its_session(stage: Stage) -> None:
    stopping(stage, COOPERATIVE)


def stopping(stage: Stage, strategy: dict[str, Any]) -> None:
    stage.topic("orders", 4, records=3)
    stage.member("a", "orders", **SHORT, **strategy)
    stage.settle("a joins")
    b = remote(stage, "b", **strategy)
    stage.settle("b joins")
    b.signal(signal.SIGSTOP)
    b.asleep = True
    stage.settle("b was stopped")
    b.signal(signal.SIGCONT)
    b.commit("orders-2", 2)
    b.asleep = False
    stage.settle("b goes on and commits")


@scenario
def a_static_process_is_killed_and_comes_back(stage: Stage) -> None:
    stage.topic("orders", 4)
    stage.member("a", "orders", group_instance_id="one", session_timeout_ms=10_000)
    stage.settle("a joins")
    b = remote(stage, "b", group_instance_id="two", session_timeout_ms=10_000)
    stage.settle("b joins")
    stage.gone(b)
    b.kill()
    stage.steps("b was killed", 1)
    remote(stage, "b2", group_instance_id="two", session_timeout_ms=10_000)
    stage.settle("b is back")
