import pytest
import torch

from mgdemo.blocks import frames_in_blocks
from mgdemo.config import ActionConfig
from mgdemo.model.action import action_windows, window_rows


def test_windows_end_one_video_frame_before_their_latent_frame():
    """Latent frame j reads the video frames 4j-12 ... 4j-1; before the start stands frame 0."""
    config, track = ActionConfig(), torch.arange(200)
    for block in range(15):
        end = frames_in_blocks(block + 1)
        rows = track[torch.arange(end - window_rows(config, 3), end).clamp(min=0)]
        windows = action_windows(rows[None, :, None], config, 3)[0, :, :, 0]
        for j, window in enumerate(windows, start=3 * block):
            assert window.tolist() == [max(f, 0) for f in range(4 * j - 12, 4 * j)]


@pytest.mark.parametrize(("ratio", "size", "frames"), [(4, 3, 3), (4, 3, 1), (2, 5, 4), (8, 1, 2)])
def test_windows_of_other_sizes(ratio, size, frames):
    config = ActionConfig(vae_time_compression_ratio=ratio, windows_size=size)
    rows = torch.arange(window_rows(config, frames))
    windows = action_windows(rows[None, :, None], config, frames)[0, :, :, 0]
    assert windows.shape == (frames, ratio * size)
    # Only the last row, the block's own last video frame, is not read yet.
    assert windows.unique().tolist() == rows[:-1].tolist()
