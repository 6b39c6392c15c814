"""Muxing, writing and reading mp4 files."""

import av
import numpy as np
import pytest
from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter

from mgdemo.video.encode import H264Encoder
from mgdemo.video.mp4 import frame_rate, metadata, mux, read_frames, without_tags, write_mp4
from tests.support.color_bars import bars

SCENARIO = "title: Grüße, 世界\nmode: universal\nactions:\n" + "  - {hold: [W], for: 3 frames}\n" * 3000


def stream(count, width=64, height=48):
    encoder = H264Encoder(width, height, 25)
    return [encoder.encode(bars(i, height, width)) for i in range(count)]


def pictures(packets):
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def test_a_muxed_film_holds_exactly_the_packets_that_were_sent(tmp_path):
    packets, path = stream(60), tmp_path / "film.mp4"
    assert mux(path, iter(packets), (64, 48), 25, {"title": "A session", "scenario": SCENARIO}) == 60
    shown = list(read_frames(path))
    assert len(shown) == 60
    assert all(np.array_equal(a, b) for a, b in zip(shown, pictures(packets), strict=True))
    assert frame_rate(path) == 25
    assert metadata(path) == {"title": "A session", "scenario": SCENARIO}
    with av.open(str(path)) as file:
        assert [float(f.pts * f.time_base) for f in file.decode(video=0)] == [i / 25 for i in range(60)]
    with av.open(str(path)) as file:
        assert [p.is_keyframe for p in file.demux(video=0) if p.size] == [i % 50 == 0 for i in range(60)]
        assert (file.streams.video[0].width, file.streams.video[0].height) == (64, 48)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # players start before they have it all
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_a_film_that_cannot_be_muxed_leaves_nothing(tmp_path):
    def broken():
        yield from stream(3)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        mux(tmp_path / "film.mp4", broken(), (64, 48), 25)
    with pytest.raises(ValueError, match="no frames"):
        mux(tmp_path / "film.mp4", [], (64, 48), 25)
    with pytest.raises(OSError, match="cannot be written: No such file"):
        mux(tmp_path / "nowhere" / "film.mp4", stream(1), (64, 48), 25)
    assert not list(tmp_path.iterdir())


def test_write_and_read_back(tmp_path):
    frames = [bars(3 * i) for i in range(30)]
    assert write_mp4(tmp_path / "demo.mp4", iter(frames), 25, {"scenario": SCENARIO}) == 30
    shown = list(read_frames(tmp_path / "demo.mp4"))
    assert len(shown) == 30
    for a, b in zip(shown, frames, strict=True):
        assert a.dtype == np.uint8
        assert np.median(np.abs(a.astype(int) - b)) <= 2
    assert metadata(tmp_path / "demo.mp4")["scenario"] == SCENARIO
    assert frame_rate(tmp_path / "demo.mp4") == 25


@pytest.mark.parametrize("count", [1, 57, 101])  # where seconds times 25 is less than the number of frames
def test_written_films_have_every_frame_once_and_in_order(tmp_path, count):
    frames = [np.full((48, 64, 3), 20 + 2 * i, np.uint8) for i in range(count)]
    assert write_mp4(tmp_path / "film.mp4", frames, 25) == count
    levels = [float(np.median(frame)) for frame in read_frames(tmp_path / "film.mp4")]
    assert levels == pytest.approx([20 + 2 * i for i in range(count)], abs=1.9)
    with av.open(str(tmp_path / "film.mp4")) as file:
        assert [float(f.pts * f.time_base) for f in file.decode(video=0)] == [i / 25 for i in range(count)]
        context = file.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (1, 1), "BT.709, limited range"


def test_a_film_that_lacks_a_frame_is_not_kept(tmp_path, monkeypatch):
    write, lost = FFMPEG_VideoWriter.write_frame, iter([False, True, False])
    monkeypatch.setattr(
        FFMPEG_VideoWriter, "write_frame", lambda self, frame: next(lost) or write(self, frame)
    )
    with pytest.raises(OSError, match="2 of 3 frames were encoded"):
        write_mp4(tmp_path / "film.mp4", [bars()] * 3, 25)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [[], [bars(height=143)]])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, frames):
    path = tmp_path / "demo.mp4"
    write_mp4(path, [bars()], 25)
    with pytest.raises(ValueError, match=r"no frames|even sizes"):
        write_mp4(path, frames, 25)
    assert len(list(read_frames(path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["demo.mp4"]


def test_a_film_without_tags_has_the_same_frames_and_says_nothing(tmp_path):
    frames = [np.full((48, 64, 3), 10 * i, np.uint8) for i in range(12)]
    write_mp4(
        tmp_path / "film.mp4", frames, 25, tags={"checkpoint": "universal-tiny", "scenario": "title: Secret"}
    )
    data = without_tags(tmp_path / "film.mp4")
    assert b"universal-tiny" not in data and b"Secret" not in data
    (tmp_path / "plain.mp4").write_bytes(data)
    assert metadata(tmp_path / "plain.mp4") == {}
    pairs = zip(read_frames(tmp_path / "film.mp4"), read_frames(tmp_path / "plain.mp4"), strict=True)
    assert sum(1 for one, other in pairs if np.array_equal(one, other)) == 12
    assert data.index(b"moov") < data.index(b"mdat"), "it can be shown before all of it has arrived"
