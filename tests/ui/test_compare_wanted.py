"""Which pages count when another one cancels a comparison."""

import pytest

from mgdemo.ui.compare.wanted import BACK_SECONDS, Wanted

GRID = "grid"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wanted(clock):
    return Wanted(clock)


def test_a_page_counts_while_it_follows_and_is_awaited_after_its_connection_was_lost(wanted, clock):
    other, mine = (wanted.ask(GRID, [GRID]) for _ in range(2))
    wanted.arrive(GRID, other)
    clock.now += 10 * BACK_SECONDS
    assert not wanted.refuse(GRID, mine), "it follows"
    wanted.leave(GRID, other, lost=True)
    clock.now += BACK_SECONDS - 1
    assert not wanted.refuse(GRID, mine), "it may come back"
    clock.now += 2
    assert wanted.refuse(GRID, mine), "it has not come back"
    wanted.arrive(GRID, other)
    assert not wanted.refuse(GRID, mine), "late, but it has"


def test_a_page_that_is_closed_counts_no_more_once_its_last_socket_is(wanted):
    other, mine = (wanted.ask(GRID, [GRID]) for _ in range(2))
    for _ in range(2):  # as of a tab that was duplicated
        wanted.arrive(GRID, other)
    wanted.leave(GRID, other, lost=False)
    assert not wanted.refuse(GRID, mine)
    wanted.leave(GRID, other, lost=False)
    assert wanted.refuse(GRID, mine)


def test_a_page_that_has_asked_is_awaited_at_first(wanted, clock):
    _, mine = (wanted.ask(GRID, [GRID]) for _ in range(2))
    assert not wanted.refuse(GRID, mine)
    clock.now += BACK_SECONDS
    assert wanted.refuse(GRID, mine)


def test_who_has_canceled_counts_no_more_and_can_cancel_again(wanted):
    other, mine = (wanted.ask(GRID, [GRID]) for _ in range(2))
    wanted.arrive(GRID, mine)
    assert wanted.by(GRID, mine) and not wanted.refuse(GRID, mine)
    assert not wanted.by(GRID, mine) and wanted.refuse(GRID, other) and wanted.refuse(GRID, mine)


def test_tokens_are_those_of_their_grid_and_go_with_it(wanted):
    mine = wanted.ask(GRID, [GRID])
    assert not wanted.refuse("another", mine) and not wanted.refuse(GRID, "guessed")
    wanted.ask("another", [GRID, "another"])
    assert wanted.by(GRID, mine)
    wanted.ask("another", ["another"])
    assert not wanted.by(GRID, mine) and not wanted.refuse(GRID, mine)
