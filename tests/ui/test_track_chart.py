import re

import numpy as np

from mgdemo.actions import ActionTrack
from mgdemo.scenario import Mark
from mgdemo.ui.scenarios.track_chart import draw


def lanes(html):
    """{label: [(x, y, width, height), …]} of a drawn timeline."""
    found = {}
    for label, shapes in re.findall(r"<span>(.*?)</span><svg[^>]*>(.*?)</svg>", html, re.DOTALL):
        boxes = re.findall(r'<rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', shapes)
        found[label] = [tuple(map(float, box)) for box in boxes]
    return found


def test_lanes_show_who_is_held_when():
    track = ActionTrack.concat(
        [
            ActionTrack.hold("universal", ["W"], None, 10),
            ActionTrack.hold("universal", ["W", "D"], None, 5),
            ActionTrack.hold("universal", ["W", "L"], None, 5),
            ActionTrack.hold("universal", [], (0, -0.05), 30),
        ]
    )
    html = draw(track)
    drawn = lanes(html)
    assert list(drawn) == ["Forward", "Back", "Left", "Right", "Look up\nLook down", "Look left\nLook right"]
    assert drawn["Forward"] == [(0, 0, 20, 2)]
    assert drawn["Right"] == [(10, 0, 5, 2)]
    assert drawn["Back"] == drawn["Look up\nLook down"] == []
    # Up from the middle for the upper label, and half as far the other way for half the speed.
    assert np.allclose(drawn["Look left\nLook right"], [(15, 1, 5, 1), (20, 0.5, 30, 0.5)])
    assert "Timeline of 2.0 s: Forward 0.8 s, Right 0.2 s, Look right 0.2 s, Look left 1.2 s" in html


def test_a_mode_without_a_camera_has_no_camera_lane():
    drawn = lanes(draw(ActionTrack.hold("templerun", ["Z"], None, 100)))
    assert drawn.pop("Turn left") == [(0, 0, 100, 2)]
    assert len(drawn) == 5 and not any(drawn.values())


def test_the_axis_has_few_ticks_however_long():
    for seconds in (1, 8, 60, 600):
        html = draw(ActionTrack.hold("gta_drive", ["W"], None, seconds * 25))
        ticks = re.findall(r"left:(.*?)%\">(\d+) s<", html)
        assert 2 <= len(ticks) <= 11
        assert all(abs(float(left) - 100 * int(at) / seconds) < 0.01 for left, at in ticks)


def test_marks_have_their_names_and_do_not_run_into_one_another():
    track = ActionTrack.hold("universal", ["W"], None, 100)
    html = draw(track, (Mark("a <b>", 0), Mark("corner", 25), Mark("end", 99)))
    flags = re.findall(r'left:(.*?)%;width:(.*?)%" data-frame="(\d+)" title="(.*?)"', html)
    assert flags == [
        ("0.000", "25.000", "0", "a &lt;b&gt;"),
        ("25.000", "74.000", "25", "corner"),
        ("99.000", "1.000", "99", "end"),
    ]
    assert "; marks: a &lt;b&gt; at 0.0 s, corner at 1.0 s, end at 4.0 s" in html
    assert "marks" not in draw(track)
