"""mp4 files: muxed from packets, encoded from frames, read; and the tags inside."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, VideoReformatter

from mgdemo.video.encode import check_size, is_key

FINISHED = "faststart+use_metadata_tags"  # the index first, so that players start at once; any metadata key
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
CRF = 17  # x264's rate factor; smaller is better and larger
# FFmpeg's own default is BT.601, and players guess by the picture's size what is not written down.
BT709 = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-color_range", "tv"]
BT709 += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name to write to that becomes `path` when all went well, and is removed when not."""
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except FFmpegError as error:
        raise OSError(f"{path.name} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def mux(
    path: str | Path,
    packets: Iterable[bytes],
    size: tuple[int, int],
    fps: int,
    tags: Mapping[str, str] | None = None,
) -> int:
    """Write packets of `H264Encoder`, one a frame and a key frame first, as an mp4; returns their number.

    size: width and height. An existing file is replaced only when all went well. Raises OSError, as on a full
    disk, and ValueError without packets.
    """
    path, count, (width, height) = Path(path), 0, size
    with (
        _replacing(path) as temporary,
        av.open(str(temporary), "w", options={"movflags": FINISHED}) as file,
    ):
        file.metadata.update(tags or {})
        base = Fraction(1, fps)
        stream = file.add_mux_stream("h264", rate=fps, width=width, height=height, time_base=base)
        for count, packet in enumerate(packets, 1):
            item = av.Packet(packet)
            item.stream, item.time_base = stream, base
            item.pts = item.dts = count - 1
            item.duration, item.is_keyframe = 1, is_key(packet)
            file.mux(item)
        if not count:
            raise ValueError(f"{path.name} was not written: there are no frames to put into it.")
    return count


def write_mp4(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: int,
    tags: Mapping[str, str] | None = None,
    crf: int = CRF,
    options: Sequence[str] = (),
) -> int:
    """Encode frames, uint8 RGB [H, W, 3] of one even size, into an mp4; returns how many there were.

    options: more of FFmpeg's, such as ["-g", "25"] for a key frame every 25 frames.
    An existing file is replaced only when all went well. Raises ValueError without frames or at an odd size,
    and OSError.
    """
    path, frames = Path(path), iter(frames)
    if (first := next(frames, None)) is None:
        raise ValueError(f"{path.name} was not written: there are no frames to put into it.")
    height, width = first.shape[:2]
    check_size(width, height)
    encoded = path.with_name(f".{path.stem}.encoded.mp4")
    try:
        count = _encode(encoded, chain([first], frames), (width, height), fps, crf, options)
        with (
            _replacing(path) as temporary,
            av.open(str(encoded)) as source,
            av.open(str(temporary), "w", options={"movflags": FINISHED}) as target,
        ):
            target.metadata.update(tags or {})  # tags may be longer than what a command line takes
            stream, packets = target.add_stream_from_template(source.streams.video[0]), 0
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream, packets = stream, packets + 1
                    target.mux(packet)
            if packets != count:
                raise OSError(f"{path.name} cannot be written: {packets} of {count} frames were encoded")
    finally:
        encoded.unlink(missing_ok=True)
    return count


def without_tags(path: str | Path) -> bytes:
    """A film's packets as they are, in an mp4 that says nothing of where they come from."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "film.mp4"
        with (
            av.open(str(path)) as source,
            av.open(str(copy), "w", options={"movflags": "faststart"}) as target,
        ):
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        return copy.read_bytes()


def _encode(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: int,
    crf: int,
    options: Sequence[str],
) -> int:
    from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter  # late: it takes a moment to import

    params, count = ["-crf", str(crf), *options, *BT709], 0
    with FFMPEG_VideoWriter(str(path), size, fps, preset="veryfast", ffmpeg_params=params) as writer:
        for frame in frames:
            writer.write_frame(frame)
            count += 1
    return count


def read_frames(path: str | Path, threads: int = 0) -> Generator[np.ndarray, None, None]:
    """The frames of a video file, uint8 RGB [H, W, 3], one at a time. threads: that decode; 0: one a core."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as file:
        file.streams.video[0].thread_type = "AUTO"
        file.streams.video[0].codec_context.thread_count = threads
        for frame in file.decode(video=0):
            yield reformatter.reformat(frame, format="rgb24", dst_color_range=ColorRange.JPEG).to_ndarray()


def frame_rate(path: str | Path) -> float:
    """Frames per second of a video file."""
    with av.open(str(path)) as file:
        return float(file.streams.video[0].average_rate or 0)


def frame_count(path: str | Path) -> int:
    """Frames of an mp4, as its table of contents says."""
    with av.open(str(path), format="mp4") as file:
        return file.streams.video[0].frames


def metadata(path: str | Path) -> dict[str, str]:
    """The tags of an mp4 that were given to it."""
    # As nothing but mp4: in a stranger's file FFmpeg might find a format that has it read other files.
    # Bytes that are no UTF-8 become lone surrogates, which whoever reads a tag refuses or leaves out.
    with av.open(str(path), format="mp4", metadata_errors="surrogateescape") as file:
        return {name: text for name, text in file.metadata.items() if name not in CONTAINER_TAGS}
