"""What the splice benchmark makes of two versions of a block."""

import numpy as np
import pytest

from benchmarks import splice


def moving(levels):
    return np.array(levels, np.uint8)[:, None, None, None].repeat(3, -1)


def test_versions_that_agree_and_then_part():
    first = moving([10, 12, 14, 16, 18, 20])
    found = splice.compare(first, moving([10, 12, 14, 18, 22, 26]), 3)
    assert found["psnr"] == pytest.approx([10 * np.log10(255**2 / 1e-2)] * 3)
    assert (found["jump"], found["unspliced"]) == (1, 1)  # the new motion is 4 a frame, and so is the splice


def test_versions_that_differ_before_the_splice_show_it():
    found = splice.compare(moving([10, 12, 14, 16, 18]), moving([20, 22, 24, 26, 28]), 3)
    assert found["psnr"] == pytest.approx([10 * np.log10(255**2 / 100)] * 3)
    assert (found["jump"], found["unspliced"]) == (6, 1)
    row = splice.summary([found, found])
    assert row["psnr_median"] == 28.13
    assert (row["jump_p95"], row["unspliced_median"], row["splices"]) == (6, 1, 2)
