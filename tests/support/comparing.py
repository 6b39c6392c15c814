"""Watching comparisons in tests."""

import asyncio
import contextlib

PATIENCE = 60  # seconds; only reached when something is broken


async def until(job, condition):
    """The first states of a job that meet a condition."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            async for states in job.changes():
                if condition(states):
                    return states
    raise AssertionError(job.states())


def made(states):
    """Those of which a part is made, and that go on."""
    return [state for state in states if state.phase == "running" and 0 < state.share < 1]


async def digests(job):
    """The hashes of all frames of each run, in its end."""
    states = await until(job, lambda states: all(state.over for state in states))
    assert [state.error for state in states] == [""] * len(states)
    return [state.stored.facts["frames_sha256"] for state in states]
