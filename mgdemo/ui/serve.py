"""Serving the page: its address, its folders, and what is said at the start."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from mgdemo import logs
from mgdemo.errors import UserError
from mgdemo.folders import private_folder
from mgdemo.serving import SessionService
from mgdemo.serving.address import EVERYWHERE, Address
from mgdemo.serving.front import guard
from mgdemo.serving.gate import Gate
from mgdemo.serving.logins import read_logins
from mgdemo.serving.operator_port import OperatorPort
from mgdemo.serving.owners import KEY
from mgdemo.serving.shutdown import StopSignal
from mgdemo.serving.tunnel import Tunnel
from mgdemo.serving.visitors import trust_proxies
from mgdemo.serving.watchdog import Pulse, Watchdog
from mgdemo.ui.compare.bench import Bench, folder_of
from mgdemo.ui.failures import Events
from mgdemo.ui.gradio_memory import forget_deleted_files, page_forgetter
from mgdemo.ui.share import MAX_UPLOAD_BYTES
from mgdemo.ui.theme import CSS, theme
from mgdemo.ui.unread import Answers

PAGES = 1000  # whose choices are kept here, the latest ones
JOBS = 40  # short events at once; Gradio's own number


class Page(Events):
    """The page with the service and comparisons behind it, and the routes to serve beside Gradio's own."""

    service: SessionService
    bench: Bench
    trouble: Callable[[], str]  # what is wrong with the page, in a sentence; "" if nothing is
    live_routes: list[BaseRoute]
    operator_routes: list[BaseRoute]  # of a port of their own, if there is one
    operator_port: OperatorPort | None = None

    def end(self) -> None:
        """End all that runs, for good; the page is still there to say so."""
        self.service.drain(True)  # nobody gets in while comparisons end
        self.bench.close()
        self.service.close()

    def close(self, verbose: bool = True) -> None:
        self.bench.close()  # before the service, which the page does not own
        if self.operator_port is not None:
            self.operator_port.close()
        super().close(verbose)


class ServeError(UserError):
    """A page that cannot be served; the message names the cure."""


def launch(
    demo: Page,
    *,
    open_browser: bool = False,
    prevent_thread_lock: bool = False,
    quiet: bool = False,
) -> Page:
    """Serve a page that `build` made, with its live routes, until it is interrupted.

    prevent_thread_lock: return at once. Raises UserError with a cure.
    """
    settings, refused = demo.service.settings, demo.service.counts.refused
    logins = read_logins(Path(settings.auth)) if settings.auth else None
    address = Address(settings.host, settings.port or None)
    address.check()
    if settings.mcp and find_spec("mcp") is None:
        raise ServeError("MCP needs the package mcp: pip install 'mcp>=1.21,<2'.")
    if settings.mcp and logins:
        raise ServeError("MCP tools cannot log in: leave out --auth (MGDEMO_AUTH) or --mcp (MGDEMO_MCP).")
    private_folder(settings.record_dir, "MGDEMO_RECORD_DIR")
    trust_proxies(settings)
    if settings.operator_port:
        host, port = settings.operator_host, settings.operator_port
        demo.operator_port = OperatorPort(demo.operator_routes, host, port)
    forget_deleted_files(demo)
    queue: Any = demo._queue
    # For its monitoring, which is closed, Gradio would make a table of all events after each: 15 ms of CPU.
    queue.compute_analytics_summary = lambda _records: None
    gate = Middleware(
        Gate,
        settings=settings,
        refused=refused,
        unread=Answers(demo).events,
        forget=page_forgetter(demo),
    )
    sessions = settings.record_dir.resolve()
    options = {
        "theme": theme(),
        "css_paths": CSS,
        "ssr_mode": False,  # its front proxy cannot pass a WebSocket on
        "app_kwargs": {"routes": demo.live_routes, "middleware": [gate]},
        "allowed_paths": [str(sessions)],
        "blocked_paths": [str(folder_of(sessions)), str(sessions / KEY)],
        "enable_monitoring": False,
        "state_session_capacity": PAGES,
        "max_file_size": MAX_UPLOAD_BYTES,
        "footer_links": ["api"],
        "mcp_server": settings.mcp,
        "quiet": True,
        "max_threads": JOBS + demo.service.lending.at_once,
        "prevent_thread_lock": True,
        "_frontend": False,  # no second look at the page, which a busy machine fails after 3 s
        "inbrowser": open_browser,
        "server_name": address.host,
        "server_port": address.port,
        "root_path": settings.root_path or None,
        "auth": logins,
        # None: where there is no other way in, as on Kaggle, Gradio shares by itself.
        "share": settings.share or (False if os.environ.get("GRADIO_SHARE") else None),
    }
    try:
        demo.launch(**options)
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise ServeError("No port from 7860 on is free: choose one (--port, MGDEMO_PORT).") from error
    except Exception as error:
        if not _unreachable(error):
            raise
        raise ServeError(
            f"The page does not answer at {Address(address.host, demo.server_port).url}. If a proxy is set "
            "(HTTP_PROXY), set NO_PROXY=localhost,127.0.0.1 too."
        ) from error
    guard(demo.server, settings, refused)
    if demo.share_url:
        config: Any = demo.server.config
        config.loaded_app = Tunnel(
            config.loaded_app, demo.share_url, address.host
        )  # read for each connection
        config.loaded_app.look()
    logs.configure(settings.log)
    demo.service.watch()
    if settings.warm:
        demo.service.warm(settings.warm)
    stop = None if prevent_thread_lock else StopSignal()
    if stop is not None:  # what is there stays: collecting garbage need not look at it, for 100 ms each time
        gc.collect()
        gc.freeze()
    if not quiet:
        more = " and at this machine's other addresses" if address.host in EVERYWHERE else ""
        url = Address(address.host, demo.server_port).url
        print(f"The page is at {url}{more}. Ctrl-C ends it.", flush=True)
        if demo.share_url:
            print(f"Anyone can reach it at {demo.share_url}.", flush=True)
    if stop is not None:
        hung = Watchdog((_unattended(demo), demo.trouble, Pulse(demo.server).trouble), settings.stuck_seconds)
        stop.serve(lambda: demo.is_running, demo.end, hung.look)
        demo.close(verbose=False)
    return demo


def _unattended(demo: Page) -> Callable[[], str]:
    return lambda: "Sessions are not looked after any more." if demo.service.stuck else ""


def _unreachable(error: Exception) -> bool:
    """Whether Gradio failed to reach its own server, or somebody else answered for it."""
    return type(error).__module__.startswith("httpx") or "ensure localhost is accessible" in str(error)
