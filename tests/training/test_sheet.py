"""The picture of what was learned: truth, VAE and session of one place, moment by moment."""

import numpy as np

from benchmarks.quality import psnr
from training import sheet


def test_a_sheet_shows_the_truth_what_the_vae_keeps_and_a_play():
    moments = [0, 8]
    true, kept, played = rows = sheet.rows_of("templerun-tiny", 1, moments, seed=4)
    assert all(row.shape == (2, 144, 256, 3) and row.dtype == np.uint8 for row in rows)
    assert np.abs(true[0].astype(int) - true[1]).mean() > 3, "a runner runs"
    for frame in range(2):
        near, far = psnr(kept[frame], true[frame]), psnr(kept[frame], true[1 - frame])
        assert 24 < near < 45 and near > far + 3
    assert 24 < psnr(played[0], true[0]) < 45 and 15 < psnr(played[1], true[1]) < 45
    assert not np.array_equal(played[1], kept[1])

    picture = np.asarray(sheet.sheet(rows, moments))
    for y, row in enumerate(rows):
        for x, frame in enumerate(row):
            top, left = y * (144 + sheet.GAP), x * (256 + sheet.GAP)
            np.testing.assert_array_equal(picture[top : top + 144, left : left + 256], frame)
