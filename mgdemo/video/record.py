"""mp4 files: recording a live stream without re-encoding, writing, reading, and the metadata inside."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from mgdemo.video.encode import check_size, tag_colours, to_yuv

FINISHED = "faststart+use_metadata_tags"  # the index first, so that players start at once; any metadata key
GROWING = "frag_keyframe+delay_moov+default_base_moof"  # playable up to the last key frame at any time
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
CRF = 17  # x264's rate factor; smaller is better and larger


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name to write to that becomes `path` when all went well, and is removed when not."""
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Recording:
    """An mp4 that grows while a play goes on, made of the live stream's own packets.

    Until `close` the file can be played up to its last key frame, so that a crash loses at most seconds.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: int):
        self.path, self.frames = Path(path), 0
        self._time_base = Fraction(1, fps)
        self._file = av.open(str(self.path), "w", options={"movflags": GROWING, "flush_packets": "1"})
        self._stream = self._file.add_mux_stream(
            "h264", rate=fps, width=width, height=height, time_base=self._time_base
        )

    def add(self, packet: bytes, key: bool) -> None:
        """Append a frame's Annex B packet, at first a key frame's. Raises OSError, as on a full disk."""
        item = av.Packet(packet)
        item.stream, item.time_base = self._stream, self._time_base
        item.pts = item.dts = self.frames
        item.duration, item.is_keyframe = 1, key
        try:
            self._file.mux(item)
        except av.FFmpegError as error:
            raise OSError(f"{self.path.name} cannot be written: {error.strerror}") from error
        self.frames += 1

    def close(self, metadata: dict[str, str] | None = None) -> None:
        """Turn the file into an ordinary mp4 with metadata (without any frame: remove it). Can be repeated.

        If that fails (a full disk), the file stays as it grew: playable, without metadata.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
            if self.frames:
                _finish(self.path, metadata or {})
            else:
                self.path.unlink(missing_ok=True)
        except (OSError, av.FFmpegError):
            logging.getLogger(__name__).exception("%s could not be finished; it stays as it is.", self.path)


class Reel:
    """All packets of a play, in the order of making: an H.264 file that plays as it is if the server dies."""

    def __init__(self, path: str | Path):
        """Raises OSError."""
        self.path, self._size = Path(path), 0
        self._file = self.path.open("w+b", buffering=0)

    def add(self, packet: bytes) -> tuple[int, int]:
        """Append a packet; what `read` needs to find it again. Raises OSError, as on a full disk."""
        self._file.seek(self._size)  # what was written in part is overwritten
        if self._file.write(packet) != len(packet):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(packet)
        return self._size - len(packet), len(packet)

    def read(self, place: tuple[int, int]) -> bytes:
        self._file.seek(place[0])
        return self._file.read(place[1])

    def remove(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def _finish(path: Path, metadata: dict[str, str]) -> None:
    with (
        _replacing(path) as temporary,
        av.open(str(path)) as source,
        av.open(str(temporary), "w", options={"movflags": FINISHED}) as target,
    ):
        target.metadata.update(metadata)
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)


def write_mp4(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: int,
    metadata: dict[str, str] | None = None,
    crf: int = CRF,
) -> int:
    """Encode frames, uint8 RGB [H, W, 3] of one even size, into an mp4; returns how many there were.

    An existing file is replaced only when all went well. Raises ValueError without frames or at an odd size.
    """
    path, reformatter, count = Path(path), VideoReformatter(), 0
    with (
        _replacing(path) as temporary,
        av.open(str(temporary), "w", options={"movflags": FINISHED}) as file,
    ):
        file.metadata.update(metadata or {})
        stream = None
        for frame in frames:
            if stream is None:
                height, width = frame.shape[:2]
                check_size(width, height)
                stream = file.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": str(crf)})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                tag_colours(stream.codec_context)
            picture = to_yuv(frame, reformatter)
            picture.pts, picture.time_base = count, Fraction(1, fps)
            file.mux(stream.encode(picture))
            count += 1
        if stream is None:
            raise ValueError(f"{path.name} was not written: there are no frames to put into it.")
        file.mux(stream.encode(None))
    return count


def read_frames(path: str | Path) -> Iterator[np.ndarray]:
    """The frames of a video file, uint8 RGB [H, W, 3], one at a time."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as file:
        file.streams.video[0].thread_type = "AUTO"
        for frame in file.decode(video=0):
            yield reformatter.reformat(frame, format="rgb24", dst_color_range=ColorRange.JPEG).to_ndarray()


def frame_rate(path: str | Path) -> float:
    """Frames per second of a video file."""
    with av.open(str(path)) as file:
        return float(file.streams.video[0].average_rate)


def metadata(path: str | Path) -> dict[str, str]:
    """The tags of an mp4 that were given to it."""
    # As nothing but mp4: in a stranger's file FFmpeg might find a format that has it read other files.
    with av.open(str(path), format="mp4") as file:
        return {name: text for name, text in file.metadata.items() if name not in CONTAINER_TAGS}
