"""Steps in a row, half compiled: what each does and how long, the marks between them, the ways back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mgdemo.scenario.nodes import Node, Source
from mgdemo.scenario.times import UNIT


@dataclass(frozen=True, eq=False)
class Written:
    """A mark as it is written. returns_to: the node of that field, if it has one."""

    source: Source
    node: Node
    returns_to: Node | None = None


@dataclass
class Body:
    """An action for each step, in order, and how long it takes in `mgdemo.scenario.times.UNIT`s.

    What an action is, the compiler knows. `marks`, and the pairs of places in `returns`, stand before the
    step of their number, after all steps if there is none. `early`: how much the first step is shorter if
    nothing comes before it.
    """

    actions: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    total: int = 0
    early: int = 0
    marks: list[tuple[int, Written]] = field(default_factory=list)
    returns: list[tuple[int, int]] = field(default_factory=list)

    def add(self, other: Body, times: int = 1) -> None:
        """Append another one, a number of times."""
        if not self.actions:
            self.early = other.early
        first, size = len(self.actions), len(other.actions)
        starts = range(first, first + times * size, size) if size else (first,)
        if other.marks:
            self.marks += [(start + at, mark) for start in starts for at, mark in other.marks]
        if other.returns:
            self.returns += [(start + a, start + b) for start in starts for a, b in other.returns]
        self.actions += other.actions * times
        self.lengths += other.lengths * times
        self.total += other.total * times

    def there_and_back(self, opposite: Callable[[int], int]) -> Body:
        """These steps, then the opposite of each from the last to the first.

        Times are rounded to whole frames, so that the way back is as long as the way there, frame by frame;
        therefore a block in it has always 12 frames. Marks are passed again on the way back, but for one at
        its beginning.
        """
        size, lengths = len(self.actions), self._whole()
        again = {action: opposite(action) for action in dict.fromkeys(self.actions)}
        back = [again[action] for action in reversed(self.actions)]
        passed = [(2 * size - at, mark) for at, mark in reversed(self.marks) if at < size]
        marks = [(at, replace(mark, returns_to=None)) for at, mark in passed]
        returns = [(2 * size - b, 2 * size - a) for a, b in reversed(self.returns)]
        return Body(
            self.actions + back,
            lengths + lengths[::-1],
            2 * sum(lengths),
            marks=self.marks + marks,
            returns=[*self.returns, *returns, (0, 2 * size)],
        )

    def _whole(self) -> list[int]:
        """The lengths in whole frames."""
        lengths, end, edge = [], 0, 0
        for length in self.lengths:
            end += length
            lengths.append((end + UNIT // 2) // UNIT * UNIT - edge)
            edge += lengths[-1]
        return lengths
