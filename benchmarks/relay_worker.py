"""A worker that makes nothing: it sends packets that were made once, a block each 480 ms and session.

`python -m benchmarks.relay_worker app …` is the app over such workers; `benchmarks.relay` measures it.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import sys
import threading
import time

from benchmarks import stub_world
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.blocks import BLOCK_FRAMES, FPS, block_frames, frames_in_blocks
from mgdemo.video.digest import frame_digest
from mgdemo.video.encode import H264Encoder, thumbnail

KEY_BLOCKS = 4  # of these, the first one begins with a key frame: one in two seconds, as encoders do it
PERIOD = BLOCK_FRAMES / FPS
PARTS = (1, 3, 8)  # frames in an event, as the worker sends a block


class Sender:
    """Sends the blocks of all sessions that are open, each when it is due. One that is later than a block
    makes up for nothing: like a worker's, its packets never come faster than in real time."""

    def __init__(self):
        frames = [stub_world.paint(_idle(1), 0, i) for i in range(KEY_BLOCKS * BLOCK_FRAMES)]
        encoder = H264Encoder(stub_world.WIDTH, stub_world.HEIGHT, FPS)
        self._packets = [encoder.encode(frame, key=i == 0) for i, frame in enumerate(frames)]
        self._digest, self._picture = frame_digest(frames[0]), thumbnail(frames[0])
        self._out, self._lock = os.fdopen(os.dup(1), "wb"), threading.Lock()
        os.dup2(2, 1)
        self._due: list[tuple[float, str, int]] = []  # when, which session, and its block
        self._open: set[str] = set()

    def emit(self, *events: m.Event) -> None:
        data = b"".join(map(m.encode, events))
        with self._lock:
            self._out.write(data)
            self._out.flush()

    def obey(self, command: m.Command) -> None:
        match command:
            case m.Open(session=session):
                size = {"width": stub_world.WIDTH, "height": stub_world.HEIGHT, "fps": FPS}
                self.emit(m.Ready(session=session, mode="universal", **size))
            case m.Attach(session=session):
                self._open.add(session)
                heapq.heappush(self._due, (time.monotonic() + random.uniform(0, PERIOD), session, 0))
            case m.Close(session=session):
                self._open.discard(session)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            time.sleep(0.002)
            while self._due and self._due[0][0] <= time.monotonic():
                due, session, block = heapq.heappop(self._due)
                if session in self._open:
                    late = time.monotonic() - due > PERIOD
                    self._send(session, block)
                    due = time.monotonic() if late else due
                    heapq.heappush(self._due, (due + PERIOD, session, block + 1))

    def _send(self, session: str, block: int) -> None:
        count, first, node = block_frames(block), frames_in_blocks(block), block + 1
        start = block % KEY_BLOCKS * BLOCK_FRAMES
        message = m.BlockMessage(
            node=node,
            parent=block,
            block=block,
            first_frame=first,
            frames=count,
            made_ms=1000 * time.monotonic(),  # the same clock as the benchmark's
        )
        self.emit(
            m.Begun(session=session, parent=block),
            m.Block(session=session, message=message, actions=_idle(count)),
        )
        at = list(itertools.accumulate(PARTS, initial=0))
        for begin, end in itertools.pairwise([*at[:-1], count]):
            packets = tuple(self._packets[start + begin : start + end])
            digests = (self._digest,) * len(packets)
            common = {"session": session, "node": node, "block": block, "first": first + begin}
            self.emit(m.Frames(**common, h264=packets, digests=digests))
        self.emit(m.Thumbnail(session=session, node=node, picture=self._picture))


def _idle(frames: int) -> ActionTrack:
    return ActionTrack.hold("universal", [], None, frames)


def work() -> None:
    """The process of the worker."""
    sender = Sender()
    m.read(sys.stdin.buffer, m.Command)

    def beat() -> None:
        while True:
            sender.emit(m.Heartbeat(checkpoints=(stub_world.__name__,)))
            time.sleep(1)

    def listen() -> None:
        while (command := m.read(sys.stdin.buffer, m.Command)) is not None:
            sender.obey(command)
        os._exit(0)

    for target in (beat, listen):
        threading.Thread(target=target, daemon=True).start()
    sender.run()


if __name__ == "__main__":
    from mgdemo.cli import main
    from mgdemo.serving.engines import process

    process.WORKER = "from benchmarks.relay_worker import work; work()"
    sys.exit(main())
