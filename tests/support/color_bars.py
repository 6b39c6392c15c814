"""A picture for video tests: four saturated bars, which show wrong colors, sizes and positions at once."""

import numpy as np

COLOURS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [240, 240, 10]], np.uint8)


def bars(shift=0, height=144, width=256):
    """uint8 RGB [height, width, 3], moved `shift` pixels to the right."""
    return np.roll(np.repeat(COLOURS[np.arange(width) * 4 // width][None], height, 0), shift, 1)
