"""A port of its own for operators and their programs, which visitors cannot reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from mgdemo.serving.address import Address, AddressError
from mgdemo.settings import SettingsError

START_SECONDS = 20.0
CLOSE_SECONDS = 3.0


class OperatorPort:
    """Serves routes in a thread from its making on, until it is closed. Raises SettingsError."""

    def __init__(self, routes: Sequence[BaseRoute], host: str, port: int):
        try:
            Address(host, port).check()
        except AddressError as error:
            raise SettingsError(
                f"MGDEMO_OPERATOR_PORT is {port}, which cannot be had at {host} (MGDEMO_OPERATOR_HOST): "
                "choose others."
            ) from error
        config = uvicorn.Config(
            Starlette(routes=routes),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="operator", daemon=True)
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise SettingsError(f"MGDEMO_OPERATOR_PORT: nothing can be served at {host}:{port}.")
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(CLOSE_SECONDS)
