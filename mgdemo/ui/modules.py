"""The page's JavaScript modules: where they are served, and how a `gr.HTML` runs one."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

PACKAGE = Path(__file__).parent.parent
# Served as they lie, so that they import each other.
FOLDERS = ("ui/player", "ui/scenarios", "ui/compare", "ui/operator", "compare/player")
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
# The page may lie behind a path prefix, which only Gradio's configuration knows. Gradio lets Python listen to
# the events that it finds named here.
JS_ON_LOAD = """
  const events = EVENTS;
  const root = (window.gradio_config?.root || document.baseURI).replace(/^https?:/, location.protocol);
  import(root.split(/[?#]/)[0].replace(/[/]*$/, "/MODULES/SCRIPT"))
    .then((module) => module.mount(element, { trigger, props, watch, upload, options: OPTIONS }))
    .catch((error) => {
      console.error(error);
      const words = document.createElement("p");
      words.className = "problem";
      words.role = "alert";
      words.textContent = "A part of the page could not be loaded: reload it.";
      element.append(words);
    });
"""


@cache
def _modules() -> dict[str, Path]:
    """The modules by their addresses, relative to the folder below."""
    return {
        path.relative_to(PACKAGE).as_posix(): path
        for folder in FOLDERS
        for path in sorted((PACKAGE / folder).glob("*.js"))
    }


@cache
def _folder() -> str:
    """Where the modules are served: a new address for each version, so browsers may keep them for good."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in _modules().values()))
    return f"gradio_api/modules/{digest.hexdigest()[:12]}"


def address(script: str) -> str:
    """Of a module such as "ui/player/links.js", below the server's own address."""
    return f"{_folder()}/{script}"


def on_load(script: str, *events: str, **options: Any) -> str:
    """The JavaScript of a `gr.HTML` that a module such as "ui/player/links.js" runs, with events of its own.

    The `options` never change. (Of properties, an update makes Gradio forget those that it leaves out, while
    the tab has not been open.)
    """
    return (
        JS_ON_LOAD.replace("EVENTS", json.dumps(events))
        .replace("MODULES", _folder())
        .replace("SCRIPT", script)
        .replace("OPTIONS", json.dumps(options))
    )


def routes() -> list[Route]:
    """The route that serves them.

    (Starlette's StaticFiles would not find its files in an app with a root path.)
    """

    async def module(request: Request) -> Response:
        path = _modules().get(request.path_params["name"])
        if path is None:
            return Response(status_code=404)
        # Not by the system's table of types, which may say text/plain: browsers don't run that.
        return FileResponse(path, headers=FOREVER, media_type="text/javascript")

    return [Route(f"/{_folder()}/{{name:path}}", module)]
