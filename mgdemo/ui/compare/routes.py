"""What the page asks for beside Gradio's events: how a grid stands, its films and files, and blind votes.

A grid is found by its id, and all that belongs to it below that: of a comparison that holds a picture of
somebody's own, nobody can guess it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from mgdemo.compare.exports import FILES, title_of
from mgdemo.compare.jobs import Job
from mgdemo.errors import UserError
from mgdemo.messages import TOO_MANY
from mgdemo.serving.waiting import in_thread, shared
from mgdemo.ui.compare.bench import Bench
from mgdemo.ui.compare.blind import SIDES, blind_view
from mgdemo.ui.compare.live import live
from mgdemo.ui.compare.results import Results
from mgdemo.ui.login import LoginCheck, whose_request
from mgdemo.video.mp4 import without_tags

ROOT = "gradio_api/compare"
# What is found by an id or a token belongs to those who know it, and never changes.
PRIVATE = {"Cache-Control": "private, max-age=86400, immutable"}
UNCACHED = {"Cache-Control": "no-store"}
GONE = "This comparison isn't kept here any more. Press Run to make it again."
MAX_BODY = 10_000
FOLLOWERS = 12  # pages of one visitor that follow comparisons: each change makes a view for each of them
CROWDED = (
    f"Comparisons are followed on {FOLLOWERS} other pages of yours: close one of them, and this one goes on."
)

Answer = Callable[[Request], Awaitable[Response]]


def routes(bench: Bench) -> list[BaseRoute]:
    """To be added to the app's routes."""

    async def job_of(request: Request) -> Job:
        job = await in_thread(bench.find, request.path_params["id"])
        if job is None:
            raise Missing(GONE)
        return job

    def visitor_of(connection: HTTPConnection) -> str:
        """The same for all pages of one visitor: whoever clears the browser's memory votes no second time."""
        return bench.service.owners.name(whose_request(connection)) or "unknown"

    async def film(request: Request) -> Response:
        """A finished run of a grid."""
        path = await in_thread(bench.film, request.path_params["id"], request.path_params["key"])
        if path is None:
            raise Missing("This film isn't kept here any more.")
        return FileResponse(path, media_type="video/mp4", headers=PRIVATE)

    async def file(request: Request) -> Response:
        """A report or the like; with ?make it is only made, so that the page can say so meanwhile."""
        job, name = await job_of(request), request.path_params["name"]
        path = await shared(bench.exports.file(job, name, visitor_of(request)))
        if "make" in request.query_params:
            return JSONResponse({"name": _file_name(job, name)}, headers=UNCACHED)
        return FileResponse(path, media_type=FILES[name], filename=_file_name(job, name), headers=UNCACHED)

    async def ballot(request: Request) -> Response:
        """Two films of a grid to vote on, by POST; none if none are left, or by GET, which only counts."""
        job, voter = await job_of(request), visitor_of(request)
        draws = request.method == "POST"  # of which the gate lets each visitor have only so many
        drawn = await in_thread(bench.ballots.draw, job, voter) if draws else None
        progress = await in_thread(bench.ballots.progress, job, voter)
        view = drawn and blind_view(drawn, f"{ROOT}/ballots/{drawn.token}")
        token = drawn and drawn.token
        return JSONResponse({"ballot": token, "view": view, **vars(progress)}, headers=UNCACHED)

    async def nameless(request: Request) -> Response:
        """A film of a ballot, without the tags that would name its checkpoint."""
        drawn, side = bench.ballots.get(request.path_params["token"]), request.path_params["side"]
        if drawn is None or side not in SIDES:
            raise Missing("These films are not known here any more: take the next pair.")
        data = await in_thread(_without_tags, drawn.films[SIDES.index(side)])
        return Response(data, media_type="video/mp4", headers=UNCACHED)

    async def vote(request: Request) -> Response:
        """Takes the answers to all questions, and gives the names of the films."""
        answers = await _body(request)
        cast = await in_thread(bench.ballots.cast, request.path_params["token"], answers)
        names = [run.variant.title or run.variant.checkpoint for run in (cast.left, cast.right)]
        return JSONResponse({"names": names}, headers=UNCACHED)

    results = Results(bench.ballots.votes)

    async def standing(request: Request) -> Response:
        job = await job_of(request)
        found = await in_thread(results.standings, job.grid.columns)
        return JSONResponse({"questions": found}, headers=UNCACHED)

    async def votes(_request: Request) -> Response:
        """Every vote that was given here."""
        text = await in_thread(results.csv)
        headers = UNCACHED | {"Content-Disposition": 'attachment; filename="votes.csv"'}
        return Response(text, media_type="text/csv", headers=headers)

    followers: Counter[str] = Counter()  # sockets of each visitor

    async def follow(socket: WebSocket) -> None:
        visitor = visitor_of(socket)
        if followers[visitor] >= FOLLOWERS:
            bench.service.counts.refused("followers")
            await socket.accept()  # the browser hears no code of a socket that was not
            await socket.close(TOO_MANY, CROWDED)
            return
        followers[visitor] += 1
        try:
            await live(bench, socket, visitor)
        finally:
            followers[visitor] -= 1
            if not followers[visitor]:
                del followers[visitor]

    checked = [Middleware(LoginCheck)]
    return [
        WebSocketRoute(f"/{ROOT}/{{id}}/live", follow, middleware=checked),
        Route(f"/{ROOT}/{{id}}/films/{{key}}.mp4", _guarded(film), middleware=checked),
        Route(f"/{ROOT}/{{id}}/files/{{name}}", _guarded(file), middleware=checked),
        Route(f"/{ROOT}/{{id}}/ballot", _guarded(ballot), methods=["GET", "POST"], middleware=checked),
        Route(f"/{ROOT}/{{id}}/standing", _guarded(standing), middleware=checked),
        Route(f"/{ROOT}/ballots/{{token}}/{{side}}.mp4", _guarded(nameless), middleware=checked),
        Route(f"/{ROOT}/ballots/{{token}}", _guarded(vote), methods=["POST"], middleware=checked),
        Route(f"/{ROOT}/votes.csv", _guarded(votes), middleware=checked),
    ]


class Missing(UserError):
    """What is not here."""


def _guarded(answer: Answer) -> Answer:
    """With sentences for what goes wrong, as {"error": …}."""

    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except Missing as error:
            return JSONResponse({"error": str(error)}, 404, headers=UNCACHED)
        except UserError as error:
            return JSONResponse({"error": str(error)}, 409, headers=UNCACHED)

    return guarded


async def _body(request: Request) -> Any:
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY:
            break
    try:
        value = json.loads(data[:MAX_BODY])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UserError("A vote is a JSON object.")
    return value


def _file_name(job: Job, name: str) -> str:
    """What a downloaded file is called."""
    words = "".join(char if char.isalnum() else "-" for char in title_of(job.grid))[:60].strip("-")
    stem, _, ending = name.partition(".")
    return f"{words or 'comparison'}-{stem}.{ending}"


@lru_cache(4)
def _without_tags(path: Path) -> bytes:
    return without_tags(path)
