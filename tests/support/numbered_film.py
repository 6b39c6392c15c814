"""Films whose frames carry their number: a bar for each bit, light or dark."""

import base64

import numpy as np

from mgdemo.blocks import FPS
from mgdemo.video.encode import H264Encoder
from mgdemo.video.mp4 import mux

BITS = 10
HEIGHT, WIDTH = 48, 160

# In a page: the numbers that all visible canvases show, in this very moment; -1 where there is no picture.
READ = """
  window.numbers = () => [...document.querySelectorAll(".picture canvas")]
    .filter((canvas) => canvas.getClientRects().length)
    .map((canvas) => {
      const { width, height } = canvas;
      const row = canvas.getContext("2d").getImageData(0, height >> 1, width, 1).data;
      const level = (bar) => row[4 * Math.floor(((bar + 0.5) * width) / 12) + 1];
      if (level(10) < 128 || level(11) > 128) return -1; // the last two bars are always light and dark
      return [...Array(10).keys()].reduce((sum, bit) => sum + (level(bit) > 128 ? 2 ** bit : 0), 0);
    });
  // Looks until these frames are enough.
  window.watch = (enough) => new Promise((resolve, reject) => {
    const seen = [];
    const end = performance.now() + 60_000;
    const look = () => {
      seen.push(window.numbers());
      const frames = seen.map((numbers) => Math.max(...numbers));
      if (enough(frames)) resolve(seen);
      else if (performance.now() < end) setTimeout(look, 7);
      else reject(new Error(`that is all: ${frames}`));
    };
    look();
  });
  window.several = (count) => (frames) => new Set(frames).size >= count;
"""


def frame(number: int, tint: int = 0) -> np.ndarray:
    """uint8 [HEIGHT, WIDTH, 3] with `number` in its bars; tint: 0 to 40, what tells one film from another."""
    levels = [230 if number >> bit & 1 else 20 for bit in range(BITS)] + [230, 20]
    row = np.repeat(np.array(levels, np.uint8), WIDTH // len(levels) + 1)
    row = row[(np.arange(WIDTH) * len(row)) // WIDTH]
    picture = np.repeat(np.repeat(row[None, :, None], HEIGHT, 0), 3, 2)
    picture[..., 2] = np.clip(picture[..., 2].astype(int) + tint, 0, 255)
    return picture


def write(path, frames: int, tint: int = 0, keys_at: tuple[int, ...] = ()) -> str:
    """Write a film like those of runs; its address with all its bytes. keys_at: more key frames."""
    encoder = H264Encoder(WIDTH, HEIGHT, FPS)
    packets = [encoder.encode(frame(i, tint), key=i in keys_at) for i in range(frames)]
    mux(path, packets, (WIDTH, HEIGHT), FPS)
    return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
