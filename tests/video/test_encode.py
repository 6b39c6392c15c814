"""The live H.264 stream, JPEG pictures and the codec's name."""

import io
import re

import av
import numpy as np
import pytest
from PIL import Image

from mgdemo.video import encode
from mgdemo.video.encode import H264Encoder, codec_string, is_key, jpeg, live_encoder
from tests.support.color_bars import bars


def decode(packets):
    """Frames as a decoder without any delay gives them: a list of those that each packet completes."""
    decoder = av.CodecContext.create("h264", "r")
    return [decoder.decode(av.Packet(packet)) for packet in packets]


def test_one_packet_a_frame_shown_at_once_in_the_right_colors():
    encoder = H264Encoder(256, 144, 25)
    decoded = decode([encoder.encode(bars(4 * i)) for i in range(5)])
    assert [len(frames) for frames in decoded] == [1] * 5
    for i, (frame,) in enumerate(decoded):
        difference = np.abs(frame.to_ndarray(format="rgb24").astype(int) - bars(4 * i))
        assert np.median(difference) <= 2
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited: tagged, not left to guesses


def test_key_frames_come_in_time_and_on_demand_and_start_a_decoder():
    encoder = H264Encoder(64, 48, 10)
    packets = [encoder.encode(bars(i, 48, 64), key=i == 7) for i in range(30)]
    assert [i for i, packet in enumerate(packets) if is_key(packet)] == [0, 7, 27]
    assert all(len(frames) == 1 for frames in decode(packets[7:12]))


@pytest.mark.parametrize("size", [(256, 144), (640, 352), (1280, 704), (64, 48)])
def test_codec_string_is_that_of_the_stream(size):
    width, height = size
    name = codec_string(width, height, 25)
    assert re.fullmatch(r"avc1\.42[0-9A-F]{4}", name)  # baseline: every browser decodes it
    packet = H264Encoder(width, height, 25).encode(bars(0, height, width))
    assert packet[5:8].hex().upper() == name.removeprefix("avc1.")


@pytest.fixture
def opened(monkeypatch):
    """The codecs that were asked for. No GPU encodes, unless `opened.gpu`: then x264 does it in its place."""

    class Opened(list):
        gpu = False

        def create(self, name, mode):
            if mode == "w":
                self.append(name)
            if name != "h264_nvenc":
                return create(name, mode)
            if not self.gpu:
                raise av.FFmpegError(1, "no encoder")
            return create("libx264", mode)

    create, opened = av.CodecContext.create, Opened()
    monkeypatch.setattr(encode.av, "CodecContext", opened)
    encode.gpu_encodes.cache_clear()
    codec_string(256, 144, 25)
    opened.clear()
    yield opened
    encode.gpu_encodes.cache_clear()


def test_without_an_encoder_on_the_gpu_the_cpu_encodes_and_it_is_tried_once(opened):
    for _ in range(2):
        assert is_key(live_encoder(256, 144, 25, gpu=0).encode(bars()))
    assert opened == ["h264_nvenc", "libx264", "libx264"]
    live_encoder(256, 144, 25, gpu=None)
    assert opened[3:] == ["libx264"]


def test_a_gpu_that_encodes_like_the_cpu_does_so_until_it_can_take_no_more(opened, monkeypatch):
    monkeypatch.setattr(encode, "NVENC", encode.X264)
    opened.gpu = True
    packets = [live_encoder(256, 144, 25, gpu=0).encode(bars()) for _ in range(2)]
    assert opened == ["h264_nvenc"] * 3 and all(map(is_key, packets))
    opened.gpu = False
    assert is_key(live_encoder(256, 144, 25, gpu=0).encode(bars()))
    assert opened[3:] == ["h264_nvenc", "libx264"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "high", "preset": "veryfast"},
        {"tune": "film"},  # packets come late
        {"x264-params": "annexb=0"},
        {"x264-params": "repeat-headers=0"},
    ],
    ids=str,
)
def test_a_gpu_that_encodes_otherwise_is_not_used(opened, monkeypatch, wrong):
    monkeypatch.setattr(encode, "NVENC", encode.X264 | wrong)
    opened.gpu = True
    live_encoder(256, 144, 25, gpu=0)
    assert opened == ["h264_nvenc", "libx264"]


@pytest.mark.parametrize("size", [(255, 144), (256, 143), (0, 2)])
def test_odd_sizes_are_refused_with_a_cure(size):
    with pytest.raises(ValueError, match="even sizes"):
        H264Encoder(*size, 25)


def test_frames_of_another_size_or_type_are_refused():
    encoder = H264Encoder(256, 144, 25)
    for frame in (bars(height=142), bars().astype(np.float32)):
        with pytest.raises(ValueError, match=r"uint8 \[144, 256, 3\]"):
            encoder.encode(frame)
    encoder.encode(bars())  # and the stream goes on


def test_jpeg_is_the_picture():
    picture = Image.open(io.BytesIO(jpeg(bars())))
    assert (picture.format, picture.size) == ("JPEG", (256, 144))
    assert np.median(np.abs(np.asarray(picture).astype(int) - bars())) <= 3
