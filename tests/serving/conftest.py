"""Services over stub worlds behind a real server on loopback."""

import contextlib
import threading
import time

import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette

from mgdemo.serving import PlayRequest, PlayService, Settings


class Server:
    """A service and the uvicorn that serves its routes in another thread, as Gradio does it."""

    def __init__(self, settings):
        self.service = PlayService(settings)
        app = Starlette(routes=self.service.routes())
        self._uvicorn = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        self._thread = threading.Thread(target=self._uvicorn.run)
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.01)
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]

    def open(self, checkpoint="universal", **request):
        image = Image.new("RGB", (90, 60), (30, 60, 90))
        return self.service.open(PlayRequest(checkpoint, image, **request))

    def url(self, path, scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}/gradio_api/{path}"

    def close(self):
        self.service.close()
        self._uvicorn.should_exit = True
        self._thread.join()


@pytest.fixture
def serve(tmp_path):
    """serve(**settings) -> Server; all of them are closed in the end."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            settings = {"plays": 1, "record_dir": tmp_path / "plays"} | settings
            server = Server(Settings(loader="stub:load", threads=1, **settings))
            stack.callback(server.close)
            return server

        yield start
