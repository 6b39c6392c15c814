"""Decoding beside the making of the next block: the decode stream, and frames that are on their way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mgdemo.model.device_io import StreamEvent, to_host_async, to_uint8
from mgdemo.model.fast.decoder import GraphedDecoder
from mgdemo.model.vae import VAE, State


@dataclass(frozen=True)
class DecoderPoint:
    """What a world's decoder remembered before a block, on the device, or on the host if another world was
    using the static buffers."""

    state: State
    takeovers: int  # of the graphed decoder, when it was kept


class DecodeStream:
    """Where all worlds of a model are decoded: on a GPU, a stream beside the one that makes latents."""

    def __init__(
        self, device: torch.device, graphed: GraphedDecoder | None = None, *, keeps_points: bool = True
    ):
        """graphed: the model's decoder, if its worlds share static buffers. keeps_points: whether what was
        remembered before a block stays."""
        self.graphed, self.keeps_points = graphed, keeps_points
        # Of high priority: frames are waited for, while there is time for the next block's latents.
        self.stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None

    @contextmanager
    def work(self) -> Iterator[torch.cuda.Stream | None]:
        """Within it, work goes to the decode stream, after what was asked of the current one until now."""
        if self.stream is None:
            yield None
            return
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        with torch.cuda.stream(self.stream):
            yield self.stream

    def point(self, state: State) -> DecoderPoint | None:
        """A point to return to while `holds` says so. Also loads the state into static buffers, early."""
        kept = State(state)
        if self.graphed is not None:
            with self.work():
                self.graphed.load(state)
        if not self.keeps_points:
            return None
        return DecoderPoint(kept, 0 if self.graphed is None else self.graphed.takeovers)

    def holds(self, point: DecoderPoint) -> bool:
        """Whether a point is as it was: not in static buffers that another world has used since."""
        if self.graphed is None or not self.graphed.contains(point.state):
            return True
        return self.graphed.takeovers == point.takeovers


class PendingFrames:
    """Frames of a block. `start` lets a GPU decode them and does not wait; on a CPU it blocks."""

    def __init__(self, decode: Callable[[], Tensor], device: torch.device):
        self._decode: Callable[[], Tensor] | None = decode
        self._device = device
        self._begin: StreamEvent | None = None
        self._end: StreamEvent | None = None
        self._pixels: Tensor | None = None

    @torch.inference_mode()
    def start(self) -> None:
        """Once, however often it is called."""
        if self._decode is None:
            return
        self._begin = StreamEvent(self._device)
        pixels = to_uint8(self._decode())
        self._pixels = to_host_async(pixels) if pixels.is_cuda else pixels
        self._end, self._decode = StreamEvent(self._device), None

    def wait(self) -> np.ndarray:
        """uint8 [T, H, W, 3], as soon as they are there."""
        self.start()
        assert self._end is not None and self._pixels is not None
        self._end.wait()
        return self._pixels.numpy()

    @property
    def ms(self) -> float:
        """How long decoding took, after `wait`."""
        assert self._begin is not None and self._end is not None
        return self._begin.ms_until(self._end)


class FrameStream:
    """One world's latents on their way to frames: what its decoder remembers, and the last block's frames."""

    def __init__(self, vae: VAE, decoding: DecodeStream):
        self.vae, self.decoding = vae, decoding
        self._state = State()
        self._pending: list[PendingFrames] = []

    def decode(self, latents: Tensor) -> list[PendingFrames]:
        """Frames of the next latents [1, 16, F, h, w], in order. On a GPU they are under way."""
        # The first ones are waited for; the others are decoded faster together.
        parts = latents.split((1, latents.shape[2] - 1), dim=2)
        self._pending = [PendingFrames(partial(self.video, part), latents.device) for part in parts]
        if latents.is_cuda:
            with self.decoding.work() as stream:
                if stream is not None:
                    latents.record_stream(stream)
                self._flush()
        return self._pending

    @torch.inference_mode()
    def video(self, latents: Tensor) -> Tensor:
        """Video [1, 3, T, H, W] of the next latents of the stream, at once."""
        return self.vae.decode(latents.to(self.vae.conv2.weight.dtype), self._state)

    def _flush(self) -> None:
        """Decode what is pending, so that the decoder's state is that after the last block."""
        for frames in self._pending:
            frames.start()

    def point(self) -> DecoderPoint | None:
        """Where `return_to` can lead back to, between two blocks; None if no points are kept."""
        self._flush()
        return self.decoding.point(self._state)

    def return_to(self, point: DecoderPoint) -> None:
        self._flush()  # frames that are not taken yet stay as they are
        self._state = State(point.state)

    @property
    def nbytes(self) -> int:
        """Of what the decoder remembers."""
        self._flush()
        return sum(tensor.nbytes for tensor in self._state.values())

    def snapshot(self) -> State:
        """A copy on the host of what the decoder remembers."""
        self._flush()
        with self.decoding.work() as stream:
            if stream is not None:  # which may be bringing it to the host
                stream.synchronize()
            return self._state.to("cpu")

    def restore(self, snapshot: State, device: torch.device) -> None:
        self._flush()
        with self.decoding.work():
            self._state = snapshot.to(device)
