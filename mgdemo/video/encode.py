"""Single video frames to H.264 packets and JPEG pictures, as the live stream sends them."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from functools import cache
from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from PIL import Image

THUMBNAIL = 96  # pixels wide
KEY_SECONDS = 2  # a decoder that joins or has lost its way waits at most this long
# The live packets are also the recording.
X264 = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "profile": "baseline",
    "crf": "19",
    "forced-idr": "1",
    "x264-params": "repeat-headers=1:scenecut=0",
}
# On a GPU that has an encoder. The quantizer is the one that takes x264 as many bits as its rate factor.
NVENC = {
    "preset": "p1",
    "tune": "ull",
    "profile": "baseline",
    "rc": "constqp",
    "qp": "18",
    "bf": "0",
    "zerolatency": "1",
    "delay": "0",  # or it keeps packets back
    "forced-idr": "1",
}


def to_yuv(frame: np.ndarray, reformatter: VideoReformatter) -> av.VideoFrame:
    """uint8 RGB [H, W, 3] as a BT.709 limited-range yuv420p frame."""
    return reformatter.reformat(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"),
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        threads=1,  # more have to be woken up for each frame, which takes longer than they save
    )


def tag_colors(context: av.VideoCodecContext) -> None:
    """Write BT.709 into the stream: left untagged, players guess by the picture's size."""
    context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
    context.color_range = ColorRange.MPEG


def check_size(width: int, height: int) -> None:
    """Raises ValueError for sizes that 4:2:0 video cannot have."""
    if width < 2 or height < 2 or width % 2 or height % 2:
        raise ValueError(
            f"A video of {width}x{height} pixels cannot be encoded: give even sizes, for example "
            f"{max(2, width + width % 2)}x{max(2, height + height % 2)}."
        )


def _live_context(
    width: int, height: int, fps: int, gpu: int | None = None, *, global_header: bool = False
) -> av.VideoCodecContext:
    check_size(width, height)
    codec = "libx264" if gpu is None else "h264_nvenc"
    context = cast(av.VideoCodecContext, av.CodecContext.create(codec, "w"))
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, fps), Fraction(fps)
    context.gop_size = KEY_SECONDS * fps
    context.thread_count = 1  # the cores belong to the model
    context.options = X264
    if gpu is not None:
        level = codec_string(width, height, fps)[-2:]  # as the player is told
        context.options = NVENC | {"gpu": str(gpu), "level": str(int(level, 16))}
    if global_header:
        context.flags |= Flags.global_header
    tag_colors(context)
    context.open()
    return context


@cache
def codec_string(width: int, height: int, fps: int) -> str:
    """The WebCodecs name of `H264Encoder`'s stream, like "avc1.42C00C": profile and level of its SPS."""
    header = _live_context(width, height, fps, global_header=True).extradata or b""
    sps = header.index(b"\x00\x00\x01\x67") + 4
    return "avc1." + header[sps : sps + 3].hex().upper()


class H264Encoder:
    """A zero-latency H.264 stream (baseline, yuv420p): one packet for every frame that goes in.

    width and height must be even, else ValueError. gpu: index of an NVIDIA GPU that is to encode, FFmpegError
    if it cannot; `live_encoder` knows whether it can.
    """

    def __init__(self, width: int, height: int, fps: int, gpu: int | None = None):
        self._context = _live_context(width, height, fps, gpu)
        self._reformatter = VideoReformatter()
        self._count = 0

    def encode(self, frame: np.ndarray, key: bool = False) -> bytes:
        """Encode a frame, uint8 RGB [H, W, 3], into its Annex B packet.

        It is a key frame, with SPS and PPS, every `KEY_SECONDS` and when `key` asks for one.
        """
        shape = (self._context.height, self._context.width, 3)
        if frame.shape != shape or frame.dtype != np.uint8:
            raise ValueError(f"A frame must be uint8 {list(shape)}, not {frame.dtype} {list(frame.shape)}.")
        picture = to_yuv(frame, self._reformatter)
        picture.pts, picture.time_base = self._count, self._context.time_base
        if key:
            picture.pict_type = PictureType.I
        self._count += 1
        (packet,) = self._context.encode(picture)
        return bytes(packet)


def live_encoder(width: int, height: int, fps: int, gpu: int | None) -> H264Encoder:
    """An encoder on that GPU if there is a good one, else on the CPU."""
    if gpu is not None and gpu_encodes(width, height, fps, gpu):
        with contextlib.suppress(FFmpegError):  # many GPUs encode only a few streams at once
            return H264Encoder(width, height, fps, gpu)
    return H264Encoder(width, height, fps)


@cache
def gpu_encodes(width: int, height: int, fps: int, gpu: int) -> bool:
    """Whether a GPU makes a stream like the CPU's. Found by trying, once: A100 and H100, for instance, have
    no encoder, and others take no small pictures."""
    decoder = cast(av.VideoCodecContext, av.CodecContext.create("h264", "r"))
    decoder.options = {"strict": "strict"}  # as in hardware: frames wait, unless the SPS says they need not
    try:
        encoder = H264Encoder(width, height, fps, gpu)
        frames = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), dtype=np.uint8)
        packets = [encoder.encode(frame, key=i == 2) for i, frame in enumerate(frames)]
        shown = [len(decoder.decode(av.Packet(packet))) for packet in packets]
    except (FFmpegError, ValueError):  # no such codec, or not one packet a frame
        return False
    profile, _, level = bytes.fromhex(codec_string(width, height, fps).removeprefix("avc1."))
    return (
        [is_key(packet) for packet in packets] == [True, False, True, False]
        and (packets[0][5], packets[0][7]) == (profile, level)
        and shown == [1] * 4
    )


def is_key(packet: bytes) -> bool:
    """Whether a packet of `H264Encoder` starts a decoder: then, and only then, it begins with an SPS."""
    return packet[4] & 0x1F == 7


def jpeg(frame: np.ndarray, quality: int = 85, width: int | None = None) -> bytes:
    """A frame, uint8 RGB [H, W, 3], as a JPEG file; of that width, if one is given."""
    out, picture = io.BytesIO(), Image.fromarray(frame)
    if width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), reducing_gap=2)
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def thumbnail(frame: np.ndarray) -> bytes:
    """A small JPEG of a frame, uint8 RGB [H, W, 3]."""
    return jpeg(frame, quality=70, width=THUMBNAIL)
