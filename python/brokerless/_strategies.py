"""The ways to share partitions that a consumer offers its group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokerless.assignors import (
    AbstractPartitionAssignor,
    CooperativeStickyAssignor,
    RangePartitionAssignor,
    RebalanceProtocol,
    RoundRobinPartitionAssignor,
    StickyPartitionAssignor,
)
from brokerless.assignors.plan import Target, Task, TaskMember, describe, plan, told
from brokerless.errors.base import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Strategies"]

_KAFKAS: dict[str, type[AbstractPartitionAssignor]] = {
    assignor.name: assignor
    for assignor in (
        RangePartitionAssignor,
        RoundRobinPartitionAssignor,
        StickyPartitionAssignor,
        CooperativeStickyAssignor,
    )
}


class Strategies:
    """What `partition_assignment_strategy` names, best first.

    Kafka's own need no Python: the engine knows them. Classes of the user, also those
    derived from Kafka's, are asked in the thread that polls.
    """

    def __init__(self, given: Any) -> None:
        assignors = [_made(each) for each in _listed(given)]
        self._all: dict[str, Any] = {assignor.name: assignor for assignor in assignors}
        protocol = _common_protocol(assignors)
        # Of each its name, whether it is cooperative, and whether it is the user's own.
        self.offered: list[tuple[str, bool, bool]] = [
            (name, protocol == RebalanceProtocol.COOPERATIVE, _is_own(assignor))
            for name, assignor in self._all.items()
        ]

    def describe(self, topics: Iterable[str]) -> list[tuple[str, bytes]]:
        """Of each of the user's own, what the one that leads is to learn of this member."""
        own = [name for name, _, is_own in self.offered if is_own]
        return [(name, describe(self._all[name], topics)) for name in own]

    def share_out(
        self, name: str, partitions: Mapping[str, int], members: Iterable[Sequence[Any]]
    ) -> list[tuple[str, Target]]:
        """What each member gets by the strategy of that name."""
        task = Task(partitions, [TaskMember(*member) for member in members])
        return [*plan(self._all[name], task).items()]

    def assigned(
        self, name: str, partitions: Iterable[tuple[str, int]], generation: int, user_data: bytes
    ) -> None:
        """This member has got its partitions by the strategy of that name."""
        told(self._all[name], partitions, generation, user_data)


def _listed(given: Any) -> list[Any]:
    if isinstance(given, (list, tuple)):
        return list(given)
    raise SettingError(f"partition_assignment_strategy must be a list, not {given!r}")


def _made(given: Any) -> Any:
    if isinstance(given, str):
        given = _KAFKAS.get(given, given)
    assignor = given() if isinstance(given, type) else given
    if isinstance(getattr(assignor, "name", None), str) and assignor.name:
        return assignor
    raise SettingError(
        f"partition_assignment_strategy takes assignors or their names ({', '.join(_KAFKAS)}), "
        f"not {given!r}"
    )


def _common_protocol(assignors: list[Any]) -> RebalanceProtocol:
    """The best that all of them know."""
    if not assignors:
        raise SettingError("partition_assignment_strategy: a group needs at least one")
    common = set(RebalanceProtocol).intersection(*map(_protocols, assignors))
    if not common:
        names = [assignor.name for assignor in assignors]
        raise SettingError(
            f"Specified partition_assignment_strategy assignors {names} do not support a common"
            " RebalanceProtocol. Mixing EAGER and COOPERATIVE assignors in a single consumer is"
            " not supported."
        )
    return max(common)


def _protocols(assignor: Any) -> list[RebalanceProtocol]:
    # kafka-python 2.x had none of it.
    supported = getattr(assignor, "supported_protocols", None)
    return [RebalanceProtocol.EAGER] if supported is None else supported()


def _is_own(assignor: Any) -> bool:
    return type(assignor) is not _KAFKAS.get(assignor.name)
