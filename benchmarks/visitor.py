"""A visitor without a browser: Gradio's events by HTTP, the protocol by WebSocket, a screen that checks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import time
from dataclasses import dataclass, field

import websockets
from pydantic import TypeAdapter, ValidationError

from benchmarks.screen import Screen
from devtools.web_process import Script, WebProcess
from mgdemo import messages as m

LEVELS = {"KeyW": 80, "KeyS": 120, "KeyA": 160, "KeyD": 200}  # of `stub_world.keys_level`
PATIENCE = 60.0  # seconds; only reached when something is broken
GAP = 0.5  # seconds for which a reloading page is away
JPEG = 8  # one of so many visitors has no H.264

_server = TypeAdapter(m.ServerMessage)


@dataclass
class Record:
    """What became of a visitor. Moments are of one clock; latencies: from a key to its first frame, in ms."""

    name: str
    asked: float = math.nan  # Start was pressed
    answered: float = math.nan  # and it was answered
    token: str = ""
    played: bool = False
    positions: list[int] = field(default_factory=list)  # in the queue, as they were told
    frames: int = 0
    foreign: int = 0
    latencies: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How a visitor behaves. leaves: "stop", "close" (the tab), "reload" (and then stops), "impatient" (out
    of the queue after `stay` seconds), or "never" (connects). stay: seconds of play."""

    leaves: str = "stop"
    stay: float = 8.0


class Visitor:
    """Number `number` of a crowd behind a proxy, with an address and a seed of its own.

    page: whether he reads the page first.
    """

    def __init__(self, web: WebProcess, config: dict, number: int, plan: Plan, page: bool = True):
        self.web, self.plan, self.page, self.seed = web, plan, page, number
        self.record = Record(f"visitor {number}")
        self.headers = {"X-Forwarded-For": address(number)}
        self.script = Script(web, "127.0.0.1", self.headers)
        self.script.config = config
        self.codec = "jpeg" if number % JPEG == JPEG - 1 else "h264"
        self.screen = Screen(self.seed, time.monotonic)
        self._random, self._welcome, self._end = random.Random(number), asyncio.Event(), asyncio.Event()
        self._inputs = 0

    async def visit(self) -> Record:
        """Come, wait, play and leave; whatever goes wrong stands in the record."""
        try:
            await self._visit()
        except Exception as error:
            self.record.trouble.append(f"{type(error).__name__}: {error}")
        finally:
            await self.script.client.aclose()
        self.record.frames, self.record.foreign = self.screen.frames, self.screen.foreign
        self.record.trouble += self.screen.trouble
        return self.record

    async def _visit(self) -> None:
        if self.page:
            (await self.script.client.get("/")).raise_for_status()
        self.record.asked = time.monotonic()
        told = await self.script.start(values={self._seed_field: self.seed})
        self.record.answered = time.monotonic()
        if "token" not in told:
            self.record.trouble.append(f"Start was refused: {told}")
            return
        self.record.token = told["token"]
        if self.plan.leaves == "never":
            return
        if self.plan.leaves == "impatient":
            await self._connected(self._lose_patience)
        elif self.plan.leaves == "reload":
            await self._connected(self._half)
            await asyncio.sleep(GAP)
            self._welcome.clear()
            await self._connected(self._whole)
        else:
            await self._connected(self._whole)

    @property
    def _seed_field(self) -> int:
        """Where the seed stands among the inputs of Start."""
        names = {c["id"]: c["props"].get("label") for c in self.script.config["components"]}
        return next(
            i for i, each in enumerate(self.script.events("start")[0]["inputs"]) if names.get(each) == "Seed"
        )

    async def _connected(self, course) -> None:
        """Follow the course while connected."""
        options = {"additional_headers": self.headers, "max_size": 2**22, "compression": None}
        async with websockets.connect(self.web.live(self.record.token), **options) as socket:
            await say(socket, m.Hello(version=m.VERSION, codecs=(self.codec,)))
            listening = asyncio.create_task(self._listen(socket))
            acting = asyncio.create_task(course(socket))
            try:
                await asyncio.wait({listening, acting}, return_when=asyncio.FIRST_COMPLETED)
                if acting.done():
                    acting.result()
                else:
                    listening.result()
                    await asyncio.wait_for(acting, 1)
            finally:
                for task in (listening, acting):
                    task.cancel()
                await asyncio.gather(listening, acting, return_exceptions=True)

    # What a visitor does

    async def _lose_patience(self, socket: websockets.ClientConnection) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._welcome.wait(), self.plan.stay)

    async def _half(self, socket: websockets.ClientConnection) -> None:
        await self._play(socket, self.plan.stay / 2)

    async def _whole(self, socket: websockets.ClientConnection) -> None:
        await self._play(socket, self.plan.stay)
        if self.plan.leaves != "close":
            await say(socket, m.Stop())
            await asyncio.wait_for(self._end.wait(), PATIENCE)

    async def _play(self, socket: websockets.ClientConnection, seconds: float) -> None:
        """Press keys, each until the picture obeys, and let go of them until it has gone back."""
        await self._welcome.wait()
        self.record.played = True
        end = time.monotonic() + seconds
        await asyncio.sleep(min(2.0, seconds / 3))  # server and player find their pace
        while time.monotonic() < end:
            await asyncio.sleep(self._random.uniform(0.05, 0.53))
            code, level = self._random.choice(list(LEVELS.items()))
            took = await self._hold(socket, (code,), level)
            if took is None:
                self.record.trouble.append("the picture did not obey")
                return
            self.record.latencies.append(1000 * took)
            await asyncio.sleep(self._random.uniform(0.02, 0.5))
            if await self._hold(socket, (), None) is None:
                self.record.trouble.append("the picture did not go back")
                return

    async def _hold(
        self, socket: websockets.ClientConnection, held: tuple[str, ...], level: int | None
    ) -> float | None:
        """The seconds from a change of what is held to the frame that obeys."""
        self._inputs += 1
        self.screen.forget()
        began = time.monotonic()
        await say(socket, m.Input(held=held, input_seq=self._inputs))
        due = await self.screen.until(level, PATIENCE)
        return None if due is None else due - began

    # What the server says

    async def _listen(self, socket: websockets.ClientConnection) -> None:
        try:
            async for item in socket:
                if isinstance(item, bytes):
                    if (answer := self.screen.packet(item)) is not None:
                        await say(socket, answer)
                else:
                    self._hear(item)
        except websockets.ConnectionClosed:
            pass
        if not self._end.is_set() and socket.close_code != 1000:
            self.record.trouble.append(f"disconnected: {socket.close_code} {socket.close_reason}")

    def _hear(self, text: str) -> None:
        try:
            message = _server.validate_json(text)
        except ValidationError as error:
            self.record.trouble.append(f"not of the protocol: {json.dumps(text[:80])} {error}")
            return
        match message:
            case m.Welcome():
                self.screen.welcome(message)
                self._welcome.set()
            case m.BlockMessage():
                self.screen.announce(message)
            case m.Status(phase="queued", position=int(position)):
                self.record.positions.append(position)
            case m.End():
                if self.record.played and not (message.phase == "ended" and message.recording):
                    self.record.trouble.append(f"it ended so: {message}")
                self._end.set()


def address(number: int) -> str:
    """A network address for each visitor."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


async def say(socket: websockets.ClientConnection, message: m.ClientMessage) -> None:
    await socket.send(message.model_dump_json())
