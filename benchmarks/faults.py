"""Is anything lost when workers and the server are killed in play? Every frame is compared, by its hash.

    python -m benchmarks.faults --worker-kills 20 --server-kills 5

Eight visitors play at once on two workers and press keys, in stub worlds whose pictures depend on all that
was done in them. A random worker is killed (SIGKILL) again and again, each time when everybody has new
frames; then the server itself with its workers. It is started again, and its pages ask for their recordings
by their tokens. At last all actions of each film are given to a fresh world, which has to make the frames
that the visitor saw.

lost: frames that a visitor never got though later ones came; repeated: those that came twice; different:
those that are not as a fresh world makes them. film_lacks: by how many frames, at most, the film of a killed
server is shorter than what its visitor saw. pauses: seconds from a worker's death to the next frame of the
visitors whose worker it was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from PIL import Image

from benchmarks import remembering_world
from benchmarks.ending import end_by_sigterm
from benchmarks.machine import machine
from benchmarks.watching import workers
from devtools.live_player import Player
from devtools.server_process import ServerProcess
from mgdemo.picture import prepare_image
from mgdemo.scenario import load_scenario
from mgdemo.serving import SessionService, Settings
from mgdemo.video.encode import jpeg

KEYS = ("KeyW", "KeyA", "KeyS", "KeyD")
CHECKPOINT = "universal-5"  # 5 ms a block
FRESH_BLOCKS = 2  # that each visitor has to get between two kills
PAUSE = 0.6  # seconds without a frame that nobody calls one: a block and a quarter
PATIENCE = 120.0  # seconds
IMAGE = Image.new("RGB", (90, 60), (30, 60, 90))  # that `ServerProcess` begins with


@dataclass
class Outcome:
    """See the module; trouble: what else went wrong, in words."""

    sessions: int
    worker_kills: int = 0
    server_kills: int = 0
    frames: int = 0
    compared: int = 0
    lost: int = 0
    repeated: int = 0
    different: int = 0
    film_lacks: int = 0
    pauses: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


class Visitor(Player):
    """Plays, and presses another key now and then."""

    def __init__(self, server: ServerProcess, choose: random.Random):
        self.token, self._choose = server.open(CHECKPOINT), choose
        super().__init__(server, self.token, codecs=("jpeg",))

    async def fresh(self, blocks: int) -> None:
        """Wait until so many more blocks have come. Raises TimeoutError."""
        wanted = len(self.of("block")) + blocks
        async with asyncio.timeout(PATIENCE):
            while len(self.of("block")) < wanted and self.closed is None:
                with contextlib.suppress(Exception):
                    await self.press(self._choose.choice(KEYS))
                await asyncio.sleep(0.2)

    async def next_frame(self) -> float:
        """When one more frame has come. Raises TimeoutError."""
        count = len(self.frames)
        async with asyncio.timeout(PATIENCE):
            while len(self.frames) == count and self.closed is None:
                await asyncio.sleep(0.005)
        return time.monotonic()


async def run(worker_kills: int, server_kills: int, sessions: int, folder: Path, seed: int = 0) -> Outcome:
    """Play, kill and compare."""
    outcome, choose = Outcome(sessions), random.Random(seed)
    lives = max(1, server_kills)
    for life in range(lives):
        kills = worker_kills * (life + 1) // lives - worker_kills * life // lives
        visitors = await _life(outcome, kills, bool(server_kills), folder / str(life), choose)
        with contextlib.closing(SessionService(Settings(record_dir=folder / str(life)))) as service:
            for visitor in visitors:
                compare(outcome, visitor, service)
        print(f"life {life + 1}: {outcome.frames} frames, {outcome.worker_kills} workers killed", flush=True)
    return outcome


async def _life(
    outcome: Outcome, kills: int, kill_server: bool, folder: Path, choose: random.Random
) -> list[Visitor]:
    """One life of the server, and the beginning of the next one; the visitors who were there."""
    settings = {"sessions": outcome.sessions, "device": "cpu,cpu", "record_seconds": 36000}
    server = ServerProcess(folder, idle_seconds=36000, **settings)
    try:
        visitors = [Visitor(server, choose) for _ in range(outcome.sessions)]
        async with contextlib.AsyncExitStack() as stack:
            for visitor in visitors:
                await stack.enter_async_context(visitor)
            await asyncio.gather(*[visitor.fresh(FRESH_BLOCKS) for visitor in visitors])
            for _ in range(kills):
                await _kill_a_worker(outcome, server, visitors, choose)
            outcome.trouble += [f"it ended: {v.of('end') or v.closed}" for v in visitors if v.closed]
            server.end(signal.SIGKILL if kill_server else signal.SIGTERM)
            outcome.server_kills += kill_server
            for visitor in visitors:
                await visitor.until(lambda visitor=visitor: visitor.closed)
    finally:
        server.process.kill()
    again = ServerProcess(folder, **settings)
    try:
        for visitor in visitors:
            async with Player(again, visitor.token) as page:
                await page.until(lambda page=page: page.closed)
            if not (page.of("end") and page.of("end")[0]["recording"]):
                outcome.trouble.append(f"no recording after the restart: {page.of('end') or page.closed}")
        again.end(signal.SIGTERM)
    finally:
        again.process.kill()
    return visitors


async def _kill_a_worker(
    outcome: Outcome, server: ServerProcess, visitors: list[Visitor], choose: random.Random
) -> None:
    await asyncio.sleep(choose.uniform(0, 1))
    os.kill(choose.choice(workers(server.process.pid)), signal.SIGKILL)
    killed = time.monotonic()
    outcome.worker_kills += 1
    arrivals = await asyncio.gather(*[visitor.next_frame() for visitor in visitors])
    outcome.pauses += [arrival - killed for arrival in arrivals if arrival - killed > PAUSE]
    await asyncio.gather(*[visitor.fresh(FRESH_BLOCKS) for visitor in visitors])


def compare(outcome: Outcome, visitor: Visitor, service: SessionService) -> None:
    """What a visitor saw, with what a fresh world makes of the actions of the film."""
    numbers = [frame for _, _, frame, _, _ in visitor.frames]
    seen = {frame: sha256(payload).digest() for _, _, frame, _, payload in visitor.frames}
    outcome.frames += len(seen)
    outcome.lost += max(seen) + 1 - len(seen)
    outcome.repeated += sum(count - 1 for count in Counter(numbers).values())
    recording = service.recording_of(visitor.token)
    if recording is None or recording.scenario is None:
        outcome.trouble.append("a recording is gone")
        return
    outcome.film_lacks = max(outcome.film_lacks, max(seen) + 1 - recording.frames)
    wanted = truth(recording.scenario)
    both = [frame for frame in seen if frame < len(wanted)]
    outcome.compared += len(both)
    outcome.different += sum(seen[frame] != wanted[frame] for frame in both)


def truth(scenario: Path) -> list[bytes]:
    """The hashes of all frames, as an undisturbed world makes them."""
    model = remembering_world.load(CHECKPOINT, device="cpu")
    model.seconds = 0.0
    track, hashes = load_scenario(scenario).track, []
    world = model.start(prepare_image(IMAGE, *model.size), 0)
    for block in range(track.blocks):
        hashes += [sha256(jpeg(frame)).digest() for frame in world.step(track.block(block))]
    return hashes


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--server-kills", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    end_by_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(
            run(args.worker_kills, args.server_kills, args.sessions, Path(folder), args.seed)
        )
    pauses = sorted(outcome.pauses) or [0.0]
    found = asdict(outcome) | {
        "pauses": len(outcome.pauses),
        "pause_median_s": round(statistics.median(pauses), 1),
        "pause_worst_s": round(pauses[-1], 1),
        "machine": machine(),
    }
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
