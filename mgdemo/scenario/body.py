"""Steps in a row, half compiled: what each does and how long, and the marks between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mgdemo.scenario.nodes import Node


@dataclass
class Body:
    """An action for each step, in order, and how long it takes in `mgdemo.scenario.times.UNIT`s.

    What an action is, the compiler knows. `marks` stand before the step of their number, after all steps if
    there is none. `early`: how much the first step is shorter if nothing comes before it.
    """

    actions: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    total: int = 0
    early: int = 0
    marks: list[tuple[int, Node]] = field(default_factory=list)

    def add(self, other: Body, times: int = 1) -> None:
        """Append another one, a number of times."""
        if not self.actions:
            self.early = other.early
        first, size = len(self.actions), len(other.actions)
        self.marks += [(first + i * size + at, mark) for i in range(times) for at, mark in other.marks]
        self.actions += other.actions * times
        self.lengths += other.lengths * times
        self.total += other.total * times
