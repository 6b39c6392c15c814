"""How strong the columns of blind votes are: the model of Bradley and Terry.

Column i is preferred to column j with the chance 1 / (1 + exp(s_j - s_i)), where s are the strengths (R. A.
Bradley and M. E. Terry, "Rank Analysis of Incomplete Block Designs: I", Biometrika 39, 1952). A tie counts as
half a win for both. Each column also ties once with an imaginary one of strength 0, so that an unbeaten
column stays finite, and columns that nobody has compared with each other have a place, too. The strengths
maximize the likelihood; their intervals come from its curvature there (the observed information), those of
chances by the delta method on the log-odds. Ties vary less than the model says, so with many of them the
intervals are wider than they would have to be; votes of one person are taken as independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959964  # standard deviations to both sides that hold 95 %
STEPS = 100  # of Newton's method, at most; it takes about six
NEAR = 1e-10  # a step that is smaller ends it
REACH = 30.0  # log-odds beyond which a chance is 0 or 1 for all purposes


@dataclass(frozen=True)
class Duel:
    """What came of one comparison. score: of `left`, 1 (won), 0 (lost) or 0.5 (a tie)."""

    left: str
    right: str
    score: float


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Strength:
    """How a column did.

    log_odds: its strength above the mean of all columns. chance: that it is preferred to another column, in
    the mean over the others; None where there is no other.
    """

    column: str
    log_odds: Estimate
    chance: Estimate | None
    wins: int = 0
    ties: int = 0
    losses: int = 0


def strengths(duels: Iterable[Duel], columns: Sequence[str]) -> list[Strength]:
    """The strength of each of the `columns`, in their order; the order of the duels does not matter.

    Duels with columns that are not among them are left out. Raises ValueError for a column named twice.
    """
    if len(set(columns)) < len(columns):
        raise ValueError(f"Each column may be named once: {', '.join(columns)}.")
    wins, ties = _counts(duels, columns)
    fitted, covariance = _fit(wins + ties / 2)
    found = []
    for i, column in enumerate(columns):
        found.append(
            Strength(
                column,
                _above_mean(fitted, covariance, i),
                _chance(fitted, covariance, i),
                int(wins[i].sum()),
                int(ties[i].sum()),
                int(wins[:, i].sum()),
            )
        )
    return found


def _counts(duels: Iterable[Duel], columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Who (row) won against whom (column) how often, and the ties, which are symmetric. [n, n] each."""
    number = {column: i for i, column in enumerate(columns)}
    wins, ties = np.zeros((2, len(columns), len(columns)))
    for duel in duels:
        i, j = number.get(duel.left), number.get(duel.right)
        if i is None or j is None or i == j:
            continue
        if duel.score == 0.5:
            ties[i, j] += 1
            ties[j, i] += 1
        else:
            winner, loser = (i, j) if duel.score > 0.5 else (j, i)
            wins[winner, loser] += 1
    return wins, ties


def _fit(won: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Strengths [n] that maximize the likelihood, and their covariance [n, n].

    won: who (row) won against whom (column) how often, half for a tie.

    The log-likelihood is strictly concave, so Newton's method with halved steps finds its one maximum.
    """
    n = len(won)
    # The imaginary column comes last, fixed at 0.
    won = np.pad(won, (0, 1))
    won[:n, n] = won[n, :n] = 0.5
    played = won + won.T

    def likelihood(s: np.ndarray) -> float:
        gap = s[:, None] - s[None, :]
        return -float((won * np.logaddexp(0, -gap)).sum())

    s = np.zeros(n + 1)
    curvature = np.eye(n)
    for _ in range(STEPS):
        chance = _sigmoid(s[:, None] - s[None, :])
        slope = (won - played * chance).sum(1)[:n]
        curvature = -played * chance * (1 - chance)
        np.fill_diagonal(curvature, 0)
        np.fill_diagonal(curvature, -curvature.sum(1))
        curvature = curvature[:n, :n]
        step = np.zeros(n + 1)
        step[:n] = np.linalg.solve(curvature, slope)
        before, size = likelihood(s), 1.0
        while likelihood(s + size * step) < before and size > NEAR:
            size /= 2
        s = s + size * step
        if np.abs(step).max(initial=0.0) < NEAR:
            break
    return s[:n], np.linalg.inv(curvature)


def _above_mean(s: np.ndarray, covariance: np.ndarray, i: int) -> Estimate:
    weights = -np.full(len(s), 1 / len(s))
    weights[i] += 1
    value, error = float(weights @ s), float(np.sqrt(max(0.0, weights @ covariance @ weights)))
    return Estimate(value, value - Z * error, value + Z * error)


def _chance(s: np.ndarray, covariance: np.ndarray, i: int) -> Estimate | None:
    others = np.delete(np.arange(len(s)), i)
    if not len(others):
        return None
    chances = _sigmoid(s[i] - s[others])
    mean = float(np.clip(chances.mean(), 1e-12, 1 - 1e-12))
    slope = np.zeros(len(s))
    slope[others] = -chances * (1 - chances) / len(others)
    slope[i] = -slope.sum()
    slope /= mean * (1 - mean)  # of the log-odds of the mean, which stay within their range
    odds, error = float(np.log(mean / (1 - mean))), float(np.sqrt(max(0.0, slope @ covariance @ slope)))
    low, high = _sigmoid(np.array([odds - Z * error, odds + Z * error]))
    return Estimate(mean, float(low), float(high))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -REACH, REACH)))
