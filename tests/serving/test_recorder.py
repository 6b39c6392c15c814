"""Recording a session: nothing waits for the disk, and all branches can be had."""

import shutil
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.blocks import block_frames, frames_in_blocks
from mgdemo.picture import StartImage
from mgdemo.scenario import load_scenario
from mgdemo.serving import recorder as r
from mgdemo.serving.journal import JOURNAL, Journaled, key_of
from mgdemo.serving.phases import Ended
from mgdemo.serving.recorded import Recorded
from mgdemo.serving.recorder import Recorder
from mgdemo.serving.registry import Registry
from mgdemo.video.encode import H264Encoder
from mgdemo.video.films import About, PacketLog, Recording, RecordingGone
from mgdemo.video.mp4 import metadata, read_frames

WIDTH, HEIGHT = 64, 48

ABOUT = About("A walk", "universal-tiny", 7, StartImage("embedded:start", Image.new("RGB", (64, 48))))


class Session:
    """What a worker sends of a session, straight into a recorder. The level of frames tells their node."""

    def __init__(self, folder, about=None):
        self.recorder = Recorder(folder, "universal", WIDTH, HEIGHT, 25, about)
        self.encoder, self.key = H264Encoder(WIDTH, HEIGHT, 25), True

    def play(self, node, parent, key="W", *, frames=None, again=0):
        """A block, or its first so many frames; with `again`, regenerated from its frame `again` on."""
        tree = self.recorder.tree
        block = tree[parent].block + 1
        count, first = block_frames(block), frames_in_blocks(block)
        self.recorder.block(node, parent, ActionTrack.hold("universal", [key], None, count))
        order = [*range(again, count), *range(again)][:frames]
        for i in order:
            level = 10 * node + (5 if again else 0)
            frame = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
            packet = self.encoder.encode(frame, key=self.key or (again > 0 and i in (0, again)))
            self.key = False
            self.recorder.frame(node, first + i, packet)

    def rewind(self):
        self.key = True

    def finish(self, head):
        return self.recorder.finish(head, ABOUT)


def levels(path):
    return [round(float(np.median(frame)) / 5) * 5 for frame in read_frames(path)]


def files(session):
    return sorted(path.suffix for path in session.recorder.folder.iterdir())


def branching(tmp_path):
    """Nodes 1, 2, 3; back to 1: 4, 5; back to 4: 6."""
    session = Session(tmp_path)
    for node in (1, 2, 3):
        session.play(node, node - 1)
    session.rewind()
    session.play(4, 1, "S")
    session.play(5, 4, "S")
    session.rewind()
    session.play(6, 4, "A")
    return session


def test_a_session_without_branches_leaves_its_film_and_nothing_twice(tmp_path):
    session = Session(tmp_path / "all")
    session.play(1, 0)
    session.play(2, 1, "S")
    recording = session.recorder.draw(session.finish(2))
    assert (recording.frames, recording.seconds, recording.number, recording.branches) == (21, 0.84, None, ())
    assert levels(recording.mp4) == [10] * 9 + [20] * 12
    assert len(list(read_frames(recording.overlay_mp4))) == 21
    assert files(session) == [".mp4", ".mp4", ".yaml"]
    assert (
        (tmp_path / "all").stat().st_mode & 0o777 == session.recorder.folder.stat().st_mode & 0o777 == 0o700
    )
    scenario = load_scenario(recording.scenario)
    assert (scenario.title, scenario.seed, scenario.image) == ("A walk", 7, "embedded:start")
    assert scenario.track == ActionTrack.concat([session.recorder.tree[node].actions for node in (1, 2)])


def test_branches_are_told_apart_and_their_films_are_made_when_asked_for(tmp_path):
    session = branching(tmp_path)
    recording = session.finish(6)
    assert (recording.frames, recording.number) == (33, 3), "the numbers are those on the page"
    assert levels(recording.mp4) == [10] * 9 + [40] * 12 + [60] * 12
    told = [(branch.number, branch.frames, branch.left_at, branch.label) for branch in recording.branches]
    assert told == [
        (1, 33, 9, "Branch 1: 1.3 s, from 0.4 s on"),
        (2, 33, 21, "Branch 2: 1.3 s, from 0.8 s on"),
    ]
    assert files(session) == [".h264", ".mp4", ".yaml"], "what branches share is on the disk once"
    log = next(session.recorder.folder.glob("*.h264"))
    assert log.stat().st_size == session.recorder.written
    first = recording.branches[0].write()
    assert levels(first.mp4) == [10] * 9 + [20] * 12 + [30] * 12
    assert first.mp4.stem.endswith("-branch1") and first.overlay_mp4.exists() and first.number == 1
    assert metadata(first.mp4)["title"] == "A walk (branch 1)"
    assert load_scenario(first.scenario).track.keyboard[:, 0].all(), "W all along"
    made = first.mp4.stat().st_mtime_ns
    assert recording.branches[0].write() == first and first.mp4.stat().st_mtime_ns == made
    assert levels(recording.branches[1].write().mp4) == [10] * 9 + [40] * 12 + [50] * 12


def test_one_who_rewinds_and_stops_gets_what_led_there_and_the_rest_as_a_branch(tmp_path):
    recording = branching(tmp_path).finish(4)
    assert (recording.frames, recording.number) == (21, None)
    assert [(branch.number, branch.left_at) for branch in recording.branches] == [(1, 9), (2, 21), (3, 21)]


def test_twice_the_branches_are_about_twice_the_work(tmp_path):
    steps = [listed(tmp_path / f"{count}.h264", count) for count in (50, 100)]
    assert steps[1] < 2.5 * steps[0]


def test_after_a_restart_branches_are_listed_without_their_packets(tmp_path, monkeypatch):
    session = Session(tmp_path, Journaled(key_of("token"), ABOUT))
    session.play(1, 0)
    session.play(2, 1)
    session.rewind()
    session.play(3, 1, "S", frames=5)
    recorder = session.recorder
    until(lambda: recorder.written == recorder.recorded.placed > 0)
    monkeypatch.setattr(PacketLog, "add", lambda log, data: (_ for _ in ()).throw(OSError("full")))
    recorder.frame(3, 14, b"more")
    until(lambda: recorder.trouble)
    recording = session.finish(1)
    Registry(tmp_path).write("token", Ended("ended", "Stopped.", recording, 9), True, "")
    journal = recorder.folder / JOURNAL
    text = journal.read_text("utf-8")
    journal.unlink()
    found = Registry(tmp_path).find("token").recording
    for each in (recording, found):
        told = [(branch.number, branch.node, branch.frames, branch.left_at) for branch in each.branches]
        assert told == [(1, 2, 21, 9), (2, 3, 14, 9)]
    with pytest.raises(RecordingGone, match="branch 1 cannot be made"):
        found.branches[0].write()
    journal.write_text(text, "utf-8")
    films = [levels(branch.write().mp4) for branch in found.branches]
    assert films == [[10] * 9 + [20] * 12, [10] * 9 + [30] * 5]


def test_of_a_session_whose_files_are_gone_nothing_is_kept(tmp_path):
    registry = Registry(tmp_path)
    for name in ("gone", "here"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "session.mp4").touch()
        recording = Recording(tmp_path / name / "session.mp4", None, None, 9, 25)
        registry.write(name, Ended("ended", "Stopped.", recording, 9), False, "")
    shutil.rmtree(tmp_path / "gone")
    registry.forget_deleted()
    assert registry.find("gone") is None and registry.find("here").recording.mp4.parent.name == "here"
    assert len(registry) == 1


def until(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def listed(path, count):
    """So many branches of one block each, after as many blocks: how many lines of Python list them."""
    recorded = Recorded(path.with_suffix(".mp4"), (WIDTH, HEIGHT), 25)
    recorded.log = PacketLog(path)
    for node in range(1, 2 * count + 1):
        parent = min(node - 1, count)
        frames = block_frames(recorded.tree[parent].block + 1)
        recorded.block(node, parent, ActionTrack.hold("universal", ["W"], None, frames))
        for i in range(frames):
            recorded.packet(node, i, len("packet"), b"")
            recorded.log.add(b"packet")
    lines = 0

    def trace(*_):
        nonlocal lines
        lines += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        number, branches = recorded.branches(2 * count, ABOUT)
    finally:
        sys.settrace(before)
    assert (number, len(branches)) == (count, count - 1)
    whole = frames_in_blocks(count)
    assert {(branch.frames, branch.left_at) for branch in branches} == {(whole + 12, whole)}
    return lines


def test_a_branch_whose_files_are_gone_says_so(tmp_path):
    session = branching(tmp_path)
    (branch, _) = session.finish(6).branches
    shutil.rmtree(next(tmp_path.iterdir()))
    with pytest.raises(
        RecordingGone, match="branch 1 cannot be made: the files of this session were deleted"
    ):
        branch.write()


def test_a_regenerated_block_counts_once_all_of_it_is_there(tmp_path):
    for frames, expected in ((None, 25), (5, 20)):
        session = Session(tmp_path)
        session.play(1, 0)
        session.play(2, 1)
        session.play(2, 1, "S", again=4, frames=frames)
        assert levels(session.finish(2).mp4) == [10] * 9 + [expected] * 12


def test_what_is_on_its_way_at_the_end_is_left_out(tmp_path):
    session = Session(tmp_path)
    session.play(1, 0)
    session.play(2, 1, frames=7)
    assert session.finish(2).frames == 9


def test_nothing_recorded_leaves_nothing(tmp_path):
    session = Session(tmp_path)
    session.play(1, 0, frames=3)
    assert session.finish(1) is None
    assert not list(tmp_path.iterdir())


# Disks


class SlowDisk:
    """Writes wait until `go`; `lengths` of those that were asked for."""

    def __init__(self, monkeypatch):
        self.go, self.lengths, add = threading.Event(), [], PacketLog.add

        def slow(log, data):
            self.lengths.append(len(data))
            assert self.go.wait(20)
            return add(log, data)

        monkeypatch.setattr(PacketLog, "add", slow)


def test_nothing_waits_for_a_slow_disk_and_nothing_is_lost(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)
    session = Session(tmp_path)
    for node in range(1, 8):
        session.play(node, node - 1)  # would not return if it waited
    disk.go.set()
    assert session.finish(7).frames == frames_in_blocks(7)
    assert len(disk.lengths) <= 3, "what has waited is written together"


def test_a_disk_that_takes_nothing_stops_the_recording_before_memory_is_full(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)
    monkeypatch.setattr(r, "BACKLOG", 2000)
    session = Session(tmp_path)
    for node in range(1, 25):
        session.play(node, node - 1)
    frame = int(session.recorder.trouble.removeprefix("The recording stops at frame ").partition(":")[0])
    assert session.recorder.trouble.endswith(": the server's disk is too slow.")
    disk.go.set()
    recording = session.finish(24)
    assert 0 < recording.frames == frame == len(list(read_frames(recording.mp4)))
    assert session.recorder.written <= 2000


def test_a_full_disk_keeps_every_packet_that_fits(tmp_path, monkeypatch):
    add = PacketLog.add

    def full(log, data):
        if log.size + len(data) > 1200:
            raise OSError(28, "No space left on device")
        return add(log, data)

    monkeypatch.setattr(PacketLog, "add", full)
    session = Session(tmp_path)
    sizes, frame = [], session.recorder.frame
    session.recorder.frame = lambda node, index, packet: (
        sizes.append(len(packet)),
        frame(node, index, packet),
    )
    for node in range(1, 8):
        session.play(node, node - 1)
    recording = session.finish(7)
    fit = int((np.cumsum(sizes) <= 1200).sum())
    assert recording.frames == len(list(read_frames(recording.mp4))) == fit > 9
    assert session.recorder.trouble == (
        f"The recording stops at frame {fit}: the server's disk is full or not writable."
    )


def test_what_was_written_in_part_is_overwritten(tmp_path):
    packets = PacketLog(tmp_path / "log.h264")
    first, write = packets.add(b"first"), packets._file.write
    packets._file = SimpleNamespace(seek=packets._file.seek, write=lambda data: write(data[:3]))
    with pytest.raises(OSError, match="No space left"):
        packets.add(b"second")
    packets._file = packets.path.open("r+b", buffering=0)
    packets._file.seek(0, 2)  # where the first three bytes of the second packet ended
    third = packets.add(b"third")
    assert list(packets.read([first, third])) == [b"first", b"third"]
    assert packets.size == 10


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    session = Session(tmp_path / "file")
    until(lambda: session.recorder.trouble)
    session.play(1, 0)
    assert session.finish(1) is None
    assert "stops at frame 0: the server's disk is full or not writable" in session.recorder.trouble


@pytest.mark.parametrize(
    "name",
    ["worlds/mine/model.safetensors", "/elsewhere/model.safetensors", "mine/", "..", "a:b*c", "C:\\w\\x"],
)
def test_a_checkpoint_that_is_a_path_leads_to_no_other_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    recorder = Recorder(tmp_path / "sessions", name, WIDTH, HEIGHT, 25)
    recorder.block(1, 0, ActionTrack.hold("universal", [], None, 9))
    encoder = H264Encoder(WIDTH, HEIGHT, 25)
    for i in range(9):
        recorder.frame(1, i, encoder.encode(np.zeros((HEIGHT, WIDTH, 3), np.uint8), key=not i))
    recording = recorder.finish(1, ABOUT)
    assert recording.mp4.parent == recorder.folder and recording.scenario.parent == recorder.folder
    assert [path.name for path in tmp_path.iterdir()] == ["sessions"]


def test_whatever_goes_wrong_while_it_is_written_is_said(tmp_path, monkeypatch):
    def fail(self, data):
        raise ValueError("broken")

    monkeypatch.setattr(PacketLog, "add", fail)
    session = Session(tmp_path)
    session.play(1, 0)
    session.finish(1)
    assert session.recorder.trouble == (
        "The recording stops at frame 0: something went wrong on the server; see its log."
    )
