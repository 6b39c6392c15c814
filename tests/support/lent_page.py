"""A page whose GPU is lent, and its visitor, a script: asks for the GPU, plays, and sees it go."""

import asyncio
import contextlib
import hashlib

from devtools.live_player import Player
from devtools.web_process import Script, told, web_process
from mgdemo import checkpoints, scenario
from mgdemo.picture import prepare_image
from mgdemo.replay import open_replay
from mgdemo.ui.library import Library
from tests.support.device_api import visitor_token


@contextlib.contextmanager
def lent_web(folder, api, module="mgdemo", **settings):
    """A web process on a Space whose lender is `api`; it finds out by itself that it is one."""
    settings = {"REGENERATE": "0", "RECORD_DIR": str(folder / "sessions"), **settings}
    variables = {f"MGDEMO_{name}": value for name, value in settings.items()} | api.environment
    with web_process(folder, None, (), module, **variables) as web:
        yield web


class Page:
    """A visitor's page that plays on a tab, and asks for a GPU when its status says so."""

    def __init__(self, script, player, token, tab):
        self.script, self.player, self.token, self.tab = script, player, token, tab
        self.asked, self.request = 0, None

    async def leased(self):
        """Waits until a GPU is wanted, and asks for it."""
        seen = self.asked
        await self.player.until(lambda: len(self._wishes()) > seen)
        self.asked = len(self._wishes())
        order = self.script.order(self.script.events("lease")[self.tab], {"token": self.token})
        self.request = asyncio.create_task(self.script.answer(order))

    def _wishes(self):
        """The statuses with which a GPU begins to be wanted."""
        lease = [status["lease"] for status in self.player.of("status")]
        return [now for before, now in zip([None, *lease], lease, strict=False) if now == "wanted" != before]

    async def close(self):
        """Closes its connection to Gradio."""
        assert self.request is not None
        self.request.cancel()

    async def rests(self):
        """Waits until the GPU is gone; what is said of it."""
        await self.player.until(lambda: self.player.of("status")[-1:] and self.last["lease"] == "over")
        return self.last["text"]

    @property
    def last(self):
        return self.player.of("status")[-1]


@contextlib.asynccontextmanager
async def page(web, address="127.0.0.2", tab=0):
    """One that has pressed Start, or Run on the second tab."""
    headers = {"x-ip-token": visitor_token(address), "x-gradio-user": "app"}
    async with Script(web, address, headers) as script:
        answer = told(await script.answer(script.order(script.events("start")[tab])))
        async with Player(web, answer["token"]) as player:
            page = Page(script, player, answer["token"], tab)
            try:
                yield page
            finally:
                if page.request is not None:
                    page.request.cancel()


async def ended(player):
    await player.until(lambda: player.of("end"))
    return player.of("end")[0]


async def released(api, count):
    """The calls that gave GPUs back, once there are so many."""
    await asyncio.to_thread(api.wait, lambda: len(api.made("release")) >= count)
    return [call.get("fail") for call in api.made("release")]


def last_played(web, load):
    """The newest recording: its replay, and whether its frames are those of an undisturbed world.

    load: gives the model that has played where the page had chosen a checkpoint of this name.
    """
    films = [film for film in (web.folder / "sessions").rglob("*.mp4") if "icon" not in film.stem]
    replay = open_replay(max(films, key=lambda film: film.stat().st_mtime))
    shelf = Library(checkpoints.catalog, checkpoints.start_images, scenario.library, checkpoints.opening_loop)
    first = shelf.first().name
    model = load(first)
    path = shelf.start_image(replay.scenario) or str(shelf.start_images(first)[0])
    image = shelf.picture(path, first).picture
    world, digests = model.start(prepare_image(image, *model.size), replay.scenario.seed or 0), b""
    for block in range(replay.scenario.track.blocks):
        frames = world.step(replay.scenario.track.block(block))
        digests += b"".join(hashlib.sha256(frame.tobytes()).digest() for frame in frames)
    return replay, hashlib.sha256(digests).hexdigest() == replay.frames_sha256
