import numpy as np
import pytest

from mgdemo.actions import MODES, ActionTrack
from mgdemo.random_actions import random_actions
from mgdemo.video import overlay
from mgdemo.video.mp4 import metadata, read_frames, write_mp4
from mgdemo.video.overlay import draw, overlay_frames, overlay_mp4

SIZES = [(144, 256), (352, 640), (720, 1280)]


def grey(size=(144, 256)) -> np.ndarray:
    return np.full((*size, 3), 90, np.uint8)


def drawn(mode: str, held=(), camera=None, size=(144, 256)) -> np.ndarray:
    return draw(grey(size), MODES[mode], *MODES[mode].frame(held, camera))


def box(changed: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that are True."""
    rows, columns = np.nonzero(changed)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def lit(picture: np.ndarray) -> np.ndarray:
    """Where the colour of held keys is."""
    return np.abs(picture - np.float32(overlay.LIT[:3])).max(axis=-1) < 20


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_the_picture_stays_free_above_and_between_the_keys(mode, size):
    frame = grey(size)
    result = draw(frame, MODES[mode], *MODES[mode].frame(()))
    assert result.shape == frame.shape and result.dtype == np.uint8
    assert (frame == 90).all()
    changed = (result != frame).any(axis=-1)
    height, width = size
    left, top, right, bottom = box(changed)
    assert 0 < left < 0.1 * width and 0.7 * height < top and bottom < height
    assert right < width if MODES[mode].has_mouse else right < 0.3 * width
    assert not lit(result).any()
    assert changed.mean() < 0.12
    assert np.ptp(result[changed].astype(int)) > 100  # labels stand out against their caps


@pytest.mark.parametrize("key", [16, 31, 59])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_each_control_lights_its_own_cap_and_no_other(mode, key):
    for control in mode.controls:
        idle = overlay._pad(mode, control.group, (), key)
        held = overlay._pad(mode, control.group, (control.name,), key)
        changed = (held != idle).any(axis=-1)
        top, left = control.row * key, control.column * key
        cell = slice(top, top + key), slice(left, left + key)
        assert lit(held[cell][..., :3]).mean() > 0.3
        changed[cell] = False
        assert not changed.any()


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_held_control_is_seen_in_the_picture(mode):
    for control in mode.controls:
        columns = np.nonzero(lit(drawn(mode.name, [control.name])))[1]
        assert len(columns) > 50
        assert (columns.min() > 128) == (control.group == "camera")


@pytest.mark.parametrize("mode", ["universal", "gta_drive"])
def test_the_stick_follows_the_camera(mode):
    size = (352, 640)

    def knob(pitch, yaw):
        changed = drawn(mode, camera=(pitch, yaw), size=size) != drawn(mode, size=size)
        place = lit(drawn(mode, camera=(pitch, yaw), size=size)) & changed.any(axis=-1)
        place[:, : size[1] // 3] = False  # not the keys
        if mode == "universal":
            place[:, 520:] = False
        return np.argwhere(place).mean(axis=0)

    half, full, beyond = knob(0, 0.05), knob(0, 0.1), knob(0, 0.7)
    assert knob(0, -0.1)[1] < knob(0, -0.05)[1] < half[1] < full[1] == beyond[1]
    if mode == "universal":
        assert knob(0.1, 0)[0] < knob(0.05, 0)[0] < knob(-0.05, 0)[0] < knob(-0.1, 0)[0]
    else:
        assert (drawn(mode, camera=(0.1, 0)) == drawn(mode)).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 200), (16, 16), (32, 48), (256, 144), (64, 2000)])
@pytest.mark.parametrize("mode", MODES)
def test_any_size_of_picture_can_be_drawn_on(mode, size):
    result = drawn(mode, ["W", "L"], size=size)
    assert result.shape == (*size, 3)
    assert (result == drawn(mode, ["W", "L"], size=size)).all()


def test_blending_neither_overflows_nor_darkens_what_is_not_covered():
    for value in (0, 255):
        frame = np.full((144, 256, 3), value, np.uint8)
        result = draw(frame, MODES["universal"], *MODES["universal"].frame(()))
        covered = (drawn("universal") != grey()).any(axis=-1)
        assert (result[~covered] == value).all()
        glass = result[covered].min() if value == 255 else np.median(result[covered])
        assert 0 < glass < 150


def test_a_state_is_drawn_once():
    drawn("universal", ["W"])
    before = overlay._caps.cache_info()
    drawn("universal", ["W"])
    after = overlay._caps.cache_info()
    assert after.misses == before.misses and after.hits > before.hits


@pytest.mark.parametrize("mode", MODES)
def test_frames_get_their_own_row_of_the_track_and_nothing_after_its_end(mode):
    track = random_actions(mode, 30, 1)
    results = list(overlay_frames((grey() for _ in range(32)), track))
    assert len(results) == 32
    for i in (0, 1, 13, 29):
        mouse = None if track.mouse is None else track.mouse[i]
        assert (results[i] == draw(grey(), MODES[mode], track.keyboard[i], mouse)).all()
    assert (results[30] == drawn(mode)).all() and (results[31] == drawn(mode)).all()


def test_a_film_gets_its_overlay_and_keeps_its_metadata(tmp_path):
    plain, shown = tmp_path / "plain.mp4", tmp_path / "shown.mp4"
    write_mp4(plain, (grey() for _ in range(21)), 25, {"scenario": "title: T\n"})
    overlay_mp4(plain, shown, ActionTrack.hold("universal", ["W"], None, 21))
    frames = list(read_frames(shown))
    assert len(frames) == 21
    assert metadata(shown)["scenario"] == "title: T\n"
    expected = drawn("universal", ["W"]).astype(int)
    assert np.abs(frames[20] - expected).mean() < 3
