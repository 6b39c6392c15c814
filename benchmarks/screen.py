"""What a visitor without a browser would see: a session's packets decoded, checked, and shown when due."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.error import FFmpegError
from PIL import Image

from benchmarks import watermark
from mgdemo import messages as m
from mgdemo.blocks import FPS

NEAR = 12  # gray levels that encoding may change
IDLE = 40  # the level of the patch while nothing is held


@dataclass
class Shown:
    """A frame that waits for its moment, or is past it."""

    index: int
    due: float
    level: int  # of the patch that shows what is held


@dataclass
class Screen:
    """Of one connection. foreign: frames that bear another visitor's seed. trouble: whatever else is wrong,
    in words: frames that are missing, out of order or not readable."""

    seed: int
    now: Callable[[], float]
    frames: int = 0
    foreign: int = 0
    trouble: list[str] = field(default_factory=list)
    _block: m.BlockMessage | None = None
    _queue: list[Shown] = field(default_factory=list)
    _next: int | None = None  # the frame that has to come; None: any, with a key frame
    _decoder: av.VideoCodecContext | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def welcome(self, message: m.Welcome) -> None:
        """A stream begins."""
        if message.seed != self.seed:
            self.foreign += 1
        self._queue, self._next, self._block = [], None, None
        self._decoder = cast(av.VideoCodecContext, av.CodecContext.create("h264", "r"))
        self._decoder.thread_count = 1

    def announce(self, message: m.BlockMessage) -> None:
        """A block's frames follow."""
        self._block = message
        if message.splice is not None:
            now = self.now()
            self._queue = [each for each in self._queue if each.index < message.splice or each.due <= now]
            self._next = message.splice

    def packet(self, data: bytes) -> m.Ack | None:
        """A frame has come; the answer that is due, if one is."""
        codec, key, _, index, _, node = m.PACKET_HEADER.unpack_from(data)
        block = self._block
        if block is None or node != block.node:
            self.trouble.append(f"frame {index} came before its block")
            return None
        if self._next is None and not key:
            self.trouble.append(f"the stream begins with frame {index}, which is no key frame")
        if self._next not in (None, index):
            self.trouble.append(f"frame {index} came in place of {self._next}")
        self._next = index + 1
        self._show(index, self._luma(codec, data[m.PACKET_HEADER.size :]))
        last = index == block.first_frame + block.frames - 1
        return m.Ack(block=block.block, buffer_ms=self._buffer_ms) if last and block.splice is None else None

    async def until(self, level: int | None, seconds: float) -> float | None:
        """When a frame is due whose patch has this level (None: the one of nothing held); None: it took
        longer than that."""
        wanted, end = IDLE if level is None else level, self.now() + seconds
        while self.now() < end:
            due = min((each.due for each in self._queue if abs(each.level - wanted) < NEAR), default=None)
            if due is not None:
                await asyncio.sleep(max(0.0, due - self.now()))
                return due
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), end - self.now())
            except TimeoutError:
                break
        return None

    def forget(self) -> None:
        """Leave what is shown already out of `until`."""
        now = self.now()
        self._queue = [each for each in self._queue if each.due > now] or self._queue[-1:]

    @property
    def _buffer_ms(self) -> float:
        return max(0.0, 1000 * (self._queue[-1].due + 1 / FPS - self.now())) if self._queue else 0.0

    def _luma(self, codec: int, payload: bytes) -> np.ndarray | None:
        """The decoded picture's brightness [H, W]."""
        try:
            if codec == m.CODECS["jpeg"]:
                return np.asarray(Image.open(io.BytesIO(payload)).convert("L"))
            assert self._decoder is not None
            (frame,) = self._decoder.decode(av.Packet(payload))
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
            return ((rows.astype(int) - 16) * 255 // 219).clip(0, 255)  # limited range
        except (FFmpegError, OSError, ValueError) as error:
            self.trouble.append(f"a frame cannot be decoded: {error}")
            return None

    def _show(self, index: int, luma: np.ndarray | None) -> None:
        if luma is None:
            return
        self.frames += 1
        mark = watermark.read(luma)
        if mark is None:
            self.trouble.append(f"frame {index} cannot be read")
        elif mark.seed != self.seed:
            self.foreign += 1
        elif mark.frame != index:
            self.trouble.append(f"frame {index} shows frame {mark.frame}")
        shown = max((each.index for each in self._queue if each.due <= self.now()), default=-1)
        if index > shown:  # else the moment of what was spliced is past
            last = self._queue[-1].due if self._queue else -math.inf
            level = int(np.median(luma[_part(luma)]))
            self._queue.append(Shown(index, max(self.now(), last + 1 / FPS), level))
            self._news.set()


def _part(luma: np.ndarray) -> tuple[slice, slice]:
    """The middle of the patch that shows what is held."""
    (rows, columns), (height, width) = watermark.KEYS, luma.shape
    y = (rows.start + rows.stop) * height // (2 * watermark.HEIGHT)
    x = (columns.start + columns.stop) * width // (2 * watermark.WIDTH)
    return slice(y - 4, y + 4), slice(x - 4, x + 4)
