"""Fixtures for all tests."""

from functools import cache

import pytest


@pytest.fixture(scope="session")
def tiny():
    """tiny(mode) is a tiny WorldModel with random weights; one a mode, made when first asked for."""
    from tiny import tiny_model

    return cache(tiny_model)
