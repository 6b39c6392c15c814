"""Fixtures for the measures."""

from functools import cache

import pytest

from tests.support.true_clips import Clips


@pytest.fixture(scope="session")
def clips():
    """clips(mode): drawn when first asked for."""
    return cache(Clips)
