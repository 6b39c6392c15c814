"""How the worker follows a player that it hears with a delay."""

import pytest

from mgdemo.worker.pace import Estimate, Pace


def test_the_moment_of_running_dry_follows_the_player():
    item = Pace()
    item.delivered(frames=9, first=10.0, now=10.02)
    assert item.dry == pytest.approx(10.36)  # until more is known: it plays from the first packet on
    item.acknowledge(block=0, buffered=0.3, now=10.12)
    assert item.dry == pytest.approx(10.12 + 0.3 - 0.1)  # the round trip takes 0.1 s there and back
    item.delivered(frames=12, first=10.2, now=10.22)
    assert item.dry == pytest.approx(10.32 + 0.48)
    item.delivered(frames=12, first=10.7, now=10.72)
    item.acknowledge(block=1, buffered=0.4, now=10.32)  # block 2 is still on its way
    assert item.dry == pytest.approx(10.32 + 0.4 - 0.1 + 0.48)
    item.acknowledge(block=77, buffered=9, now=11)  # never sent
    assert item.dry == pytest.approx(11.1)
    item.delivered(frames=12, first=15.0, now=15.0)
    assert item.dry == pytest.approx(15.48)
    item.acknowledge(block=3, buffered=0.4, now=15.1)
    item.acknowledge(block=3, buffered=0.2, now=30.0)  # said again, after a pause: only the buffer is news
    assert (item.dry, item.acknowledged) == (pytest.approx(30.2 - item.round_trip.high), 4)
    item.delivered(frames=12, first=35.0, now=35.0)
    assert item.dry == pytest.approx(35.48)  # it ran dry before, and plays on from this block's first packet


def test_estimates_follow_and_allow_for_jitter():
    estimate = Estimate()
    for _ in range(20):
        estimate.add(0.1)
    assert estimate.high == pytest.approx(0.1)
    for i in range(40):
        estimate.add(0.1 + 0.04 * (i % 2))
    assert 0.13 < estimate.high < 0.2
    for _ in range(60):
        estimate.add(0.1)
    assert estimate.high == pytest.approx(0.1, abs=1e-3)


def test_a_device_slower_than_real_time_begins_early_but_one_slow_block_changes_little():
    item = Pace()
    for estimate in (item.first, item.cost):
        estimate.add(0.8)
    assert item.expected(12) == pytest.approx((0.8, 0.8)), "the player slows down, and so has time for it"
    item = Pace()
    for cost in (0.1, 0.1, 0.1, 1.0):
        item.first.add(cost)
        item.cost.add(cost)
    assert item.expected(12) == pytest.approx((0.48, 0.48))
