"""Contests: the same thing done by brokerless and by its peers, and what is due.

The contestants of a contest take turns, round by round, so that a slow moment of the machine
hits all of them. The first round warms up and does not count; medians of the others do.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = "brokerless"


@dataclass(frozen=True)
class Goal:
    """What is due: ours against a peer's figure, or against 1 if there is no peer."""

    peer: str | None
    target: float
    less_is_better: bool = False

    @property
    def half(self) -> float:
        """Half of the target; of a latency twice."""
        return self.target * 2 if self.less_is_better else self.target / 2

    def verdict(self, ratio: float) -> str:
        """Whether the target is met, or at least half of it."""
        if self.less_is_better:
            return self._word(ratio <= self.target, ratio <= self.half)
        return self._word(ratio >= self.target, ratio >= self.half)

    @staticmethod
    def _word(met: bool, half: bool) -> str:
        return "met" if met else "half" if half else "MISSED"


@dataclass(frozen=True)
class Contest:
    """`runs` gives, by contestant, what one turn measures. Without goals it only informs."""

    name: str
    unit: str
    runs: dict[str, Callable[[], float]]
    goals: tuple[Goal, ...]


@dataclass
class Outcome:
    """The medians of a contest."""

    contest: Contest
    figures: dict[str, list[float]] = field(default_factory=dict)

    def median(self, contestant: str) -> float:
        """The median of the rounds that count."""
        return statistics.median(self.figures[contestant])

    def ratio(self, goal: Goal) -> float:
        """Ours to the peer's."""
        peer = 1.0 if goal.peer is None else self.median(goal.peer)
        return self.median(OURS) / peer


def hold(contest: Contest, rounds: int) -> Outcome:
    """All rounds of a contest."""
    outcome = Outcome(contest, {name: [] for name in contest.runs})
    for number in range(rounds + 1):
        for name, run in contest.runs.items():
            figure = run()
            if number > 0:
                outcome.figures[name].append(figure)
    return outcome


class Rate:
    """Things a second. Each turn does as many as take about `seconds`, as the last one told."""

    def __init__(
        self, run: Callable[[int], float], start: int, seconds: float, most: int = 1 << 40
    ) -> None:
        self._run = run
        self._count = start
        self._seconds = seconds
        self._most = most

    def __call__(self) -> float:
        took = self._run(self._count)
        rate = self._count / took
        self._count = max(1, min(int(rate * self._seconds), self._most, self._count * 20))
        return rate


def percentile(samples: list[float], share: float) -> float:
    """The sample that `share` of all are not above."""
    return sorted(samples)[min(int(len(samples) * share), len(samples) - 1)]
