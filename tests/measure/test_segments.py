"""Where a run is parted."""

import pytest

from mgdemo.measure.segments import segments


@pytest.mark.parametrize(
    ("frames", "marks", "found"),
    [
        (0, (), []),
        (50, (), [(0, 50)]),
        (105, (), [(0, 50), (50, 100), (100, 105)]),
        (105, (30, 60), [(0, 30), (30, 60), (60, 105)]),
        (105, (0, 60, 60, 105, 400), [(0, 60), (60, 105)]),
    ],
)
def test_segments_lie_between_marks_or_last_two_seconds(frames, marks, found):
    assert segments(frames, marks) == found
