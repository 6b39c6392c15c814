"""Recording without re-encoding, writing and reading mp4 files."""

import shutil

import av
import numpy as np
import pytest
from colour_bars import bars

from mgdemo.video import record
from mgdemo.video.encode import H264Encoder, is_key
from mgdemo.video.record import Recording, frame_rate, metadata, read_frames, write_mp4

SCENARIO = "title: Grüße, 世界\nmode: universal\nactions:\n" + "  - {hold: [W], for: 3 frames}\n" * 3000


def stream(count, width=64, height=48):
    encoder = H264Encoder(width, height, 25)
    return [encoder.encode(bars(i, height, width)) for i in range(count)]


def pictures(packets):
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def recorded(path, packets):
    recording = Recording(path, 64, 48, 25)
    for packet in packets:
        recording.add(packet, is_key(packet))
    return recording


def test_a_recording_holds_exactly_the_packets_that_were_sent(tmp_path):
    packets = stream(60)
    recording = recorded(tmp_path / "play.mp4", packets)
    recording.close({"title": "A play", "scenario": SCENARIO})
    recording.close({"title": "late"})  # does nothing
    expected = pictures(packets)
    shown = list(read_frames(tmp_path / "play.mp4"))
    assert len(shown) == 60
    assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=True))
    assert frame_rate(tmp_path / "play.mp4") == 25
    assert metadata(tmp_path / "play.mp4") == {"title": "A play", "scenario": SCENARIO}
    with av.open(str(tmp_path / "play.mp4")) as file:
        assert [float(f.pts * f.time_base) for f in file.decode(video=0)] == [i / 25 for i in range(60)]
    content = (tmp_path / "play.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # players start before they have it all
    assert [p.name for p in tmp_path.iterdir()] == ["play.mp4"]


def test_a_crash_leaves_a_playable_file(tmp_path):
    recording = recorded(tmp_path / "play.mp4", stream(120))
    shutil.copy(tmp_path / "play.mp4", tmp_path / "crash.mp4")  # what is on the disk at this moment
    assert len(list(read_frames(tmp_path / "crash.mp4"))) >= 100
    recording.close()


def test_a_recording_without_frames_leaves_no_file(tmp_path):
    Recording(tmp_path / "play.mp4", 64, 48, 25).close({"title": "nothing"})
    assert not list(tmp_path.iterdir())


def test_a_recording_that_cannot_be_finished_stays_playable(tmp_path, monkeypatch):
    recording = recorded(tmp_path / "play.mp4", stream(60))

    def full(path, metadata):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "_finish", full)
    recording.close({"title": "A play"})
    assert len(list(read_frames(tmp_path / "play.mp4"))) == 60


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


@pytest.mark.parametrize("frames", [[], [bars(height=143)]])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, frames):
    path = tmp_path / "demo.mp4"
    write_mp4(path, [bars()], 25)
    with pytest.raises(ValueError, match=r"no frames|even sizes"):
        write_mp4(path, frames, 25)
    assert len(list(read_frames(path))) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["demo.mp4"]
