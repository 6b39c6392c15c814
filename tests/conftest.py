"""Fixtures for all tests."""

import os
from functools import cache

import pytest

os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined: it runs on the CPU


@pytest.fixture(scope="session")
def tiny():
    """tiny(mode) is a tiny WorldModel with random weights; one a mode, made when first asked for."""
    from tiny import tiny_model

    return cache(tiny_model)
