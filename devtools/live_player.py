"""A player that speaks the live protocol, without a screen, and a real server on loopback for it."""

import asyncio
import contextlib
import json
import threading
import time

import numpy as np
import uvicorn
import websockets
from PIL import Image
from starlette.applications import Starlette

from mgdemo.messages import VERSION
from mgdemo.picture import StartImage
from mgdemo.serving import SessionRequest, SessionService, live_routes, operator_routes

PATIENCE = 60  # seconds; only reached when something is broken


class Server:
    """A service and the uvicorn that serves its routes in another thread, as Gradio does it."""

    def __init__(self, settings, fleet=None):
        self.service = SessionService(settings, fleet)
        app = Starlette(routes=[*live_routes(self.service), *operator_routes(self.service)])
        self._uvicorn = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        self._thread = threading.Thread(target=self._uvicorn.run)
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]

    def open(self, checkpoint="universal", reference=None, **request):
        start = StartImage(reference, Image.new("RGB", (90, 60), (30, 60, 90)))
        return self.service.open(SessionRequest(checkpoint, start, **request))

    def url(self, path, scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}/gradio_api/{path}"

    def close(self):
        self.service.close()
        self._uvicorn.should_exit = True
        self._thread.join()


class Player:
    """A player: collects what the server says, acknowledges blocks, presses keys."""

    def __init__(self, server, token, codecs=("h264",), acknowledge=True, buffer_ms=0):
        self.url, self.codecs, self.acknowledge = server.url(f"live/{token}"), codecs, acknowledge
        self.buffer_ms = buffer_ms  # what it says to have left when a block has come
        self.messages, self.frames = [], []  # frames: (codec number, key, frame, block, payload)
        self.nodes = []  # of each of the frames
        self.closed = None
        self._news = asyncio.Event()

    async def __aenter__(self):
        self.socket = await websockets.connect(self.url, max_size=2**22)
        with contextlib.suppress(websockets.ConnectionClosed):  # an unknown session is refused before
            await self.send(type="hello", version=VERSION, codecs=self.codecs)
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_):
        await self.socket.close()
        await self._task

    async def send(self, **message):
        await self.socket.send(json.dumps(message))

    async def press(self, *held, camera=None):
        await self.send(type="input", held=held, **({"camera": camera} if camera else {}))

    async def _listen(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                data = await self.socket.recv()
                if isinstance(data, str):
                    self.messages.append(json.loads(data))
                else:
                    header = np.frombuffer(data[:16], "<u4")
                    self.frames.append((data[0], data[1], int(header[1]), int(header[2]), data[16:]))
                    self.nodes.append(int(header[3]))
                    await self._answer()
                self._news.set()
        self.closed = (self.socket.close_code, self.socket.close_reason)
        self._news.set()

    async def _answer(self):
        block, last = self.frames[-1][3], self.frames[-1][2]
        again = any(b["splice"] is not None for b in self.of("block")[-1:])  # those are not acknowledged
        if self.acknowledge and not again and (last + 3) % 12 == 11:  # a block's last frame
            with contextlib.suppress(websockets.ConnectionClosed):
                await self.send(type="ack", block=block, buffer_ms=self.buffer_ms)

    def of(self, kind):
        return [message for message in self.messages if message["type"] == kind]

    async def until(self, condition):
        """Wait until condition() is true; its value."""
        async with asyncio.timeout(PATIENCE):
            while not (value := condition()):
                self._news.clear()
                await self._news.wait()
        return value

    async def block(self, number):
        """Wait for a block to have arrived whole; its announcement."""
        await self.until(lambda: self.frames and self.frames[-1][2] >= 12 * number + 8)
        return next(message for message in self.of("block") if message["block"] == number)


async def wait_for(session, condition):
    """The first status of a session that meets the condition."""
    async with asyncio.timeout(PATIENCE):
        async for status in session.statuses():
            if condition(status):
                return status
    raise AssertionError(f"the session has ended: {status}")


async def until(condition):
    """Wait until something is so that nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def end_of(session):
    """How a session ends."""
    async with asyncio.timeout(PATIENCE):
        return await session.ended()
