"""Outcomes as a table, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contest import OURS

if TYPE_CHECKING:
    from contest import Goal, Outcome

HEADS = ("what", OURS, "peer", "its figure", "ratio", "target", "half", "verdict")


def figure(value: float, unit: str) -> str:
    """A figure in few digits."""
    if unit.endswith("/s"):
        return f"{value / 1000:,.1f} k{unit}" if value >= 10_000 else f"{value:,.0f} {unit}"
    return f"{value:,.1f} {unit}"


def _goal(outcome: Outcome, goal: Goal) -> tuple[str, ...]:
    ratio = outcome.ratio(goal)
    sign = "<=" if goal.less_is_better else ">="
    unit = outcome.contest.unit
    peer = "-" if goal.peer is None else figure(outcome.median(goal.peer), unit)
    shown = "-" if goal.peer is None else f"{ratio:.2f}"
    return (
        outcome.contest.name,
        figure(outcome.median(OURS), unit),
        goal.peer or "-",
        peer,
        shown,
        f"{sign} {goal.target:g}",
        f"{sign} {goal.half:g}",
        goal.verdict(ratio),
    )


def lines(outcomes: list[Outcome]) -> list[str]:
    """The table."""
    rows = [HEADS, *(_goal(one, goal) for one in outcomes for goal in one.contest.goals)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def as_json(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Every figure of every round."""
    return [
        {
            "name": one.contest.name,
            "unit": one.contest.unit,
            "rounds": one.figures,
            "medians": {name: one.median(name) for name in one.figures},
            "goals": [
                {
                    "peer": goal.peer,
                    "target": goal.target,
                    "ratio": one.ratio(goal),
                    "verdict": goal.verdict(one.ratio(goal)),
                }
                for goal in one.contest.goals
            ],
        }
        for one in outcomes
    ]
