"""What can be the seed of a session."""

from __future__ import annotations

from typing import Any

from mgdemo.errors import UserError

MAX_SEED = 2**32 - 1


class SeedError(UserError):
    """A number that cannot be a seed; the message says which can."""


def seed_of(value: Any) -> int:
    """The seed that a form, a program or a person gives: a whole number, or its digits. None is 0.

    Raises SeedError.
    """
    number = 0 if value is None else value
    if isinstance(number, str) and number.strip().isascii() and number.strip().isdigit():
        number = int(number.strip()[:20])
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int or not 0 <= number <= MAX_SEED:
        text = f"{value:.15g}" if isinstance(value, float) else str(value)[:40]
        raise SeedError(f"{text} cannot be a seed: give a whole number from 0 to {MAX_SEED}.")
    return number
