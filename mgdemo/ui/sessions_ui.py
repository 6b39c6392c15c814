"""Start, resume, stop and the films of sessions: short Gradio events. The rest travels by WebSocket."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import gradio as gr
from gradio.blocks import Block

from mgdemo.errors import WENT_WRONG, UserError
from mgdemo.logs import Quiet
from mgdemo.serving import Session, SessionRequest, SessionService
from mgdemo.serving.waiting import in_thread
from mgdemo.ui import player
from mgdemo.ui.calls import Calls
from mgdemo.ui.events import AS_SENT, EVENT_OPTIONS
from mgdemo.ui.login import whoever, whose
from mgdemo.ui.page_watch import LEASE
from mgdemo.ui.results import Left, Results

LIVE = "gradio_api/live"  # where the service's WebSocket is
STOP_SECONDS = 15  # that a page waits for a film at once, before it asks again
STOPS = 8  # pages that wait so, each in one of Gradio's job slots
MAX_EARLIER = 10  # sessions of before whose films a page may ask for
READY = "Your film is ready."
FAILED = f"{WENT_WRONG} Press Start to try again."
log = logging.getLogger(__name__)
log.addFilter(Quiet())


def connect(
    service: SessionService,
    screen: gr.HTML,
    results: Results,
    request: Callable[..., SessionRequest],
    inputs: list[Block],
    running: gr.HTML | None = None,
    describe: Callable[..., str] | None = None,
) -> None:
    """Lets the player `screen` start sessions and show what they leave.

    `request` makes one from the `inputs`. While a session runs, `running` shows what `describe` says of its
    request (and of the inputs, if there are any), whatever else is chosen meanwhile.
    """
    about = [] if running is None else [running]
    stops = Calls(service.settings.visitor_sessions, "film", "being written")

    def described(session: Session, *values) -> tuple:
        return () if describe is None else (describe(session.request, *values),)

    async def start(visitor: gr.Request, *values) -> tuple | gr.HTML:
        def opened() -> Session:
            wanted = dataclasses.replace(
                request(*values),
                visitor=visitor.session_hash or "",
                account=whose(visitor, service.settings),
                watched=True,
            )
            return service.open(wanted)

        async def answer() -> tuple:
            session = await in_thread(opened)
            return _live(session), *described(session, *values)

        updates = await _guarded(answer, len(about))
        return updates if about else updates[0]

    async def resume(visitor: gr.Request, films: list[Left], event: gr.EventData) -> tuple:
        """A page that was loaded again takes up its session, and shows the films that it had."""

        def resumed() -> tuple:
            token = str(event._data.get("token"))
            session = service.resume(token, visitor.session_hash or "")
            seen = films
            earlier = list(event._data.get("earlier") or [])[:MAX_EARLIER]
            for each in reversed([token, *map(str, earlier)]):
                seen = with_film(seen, each)
            if session is None:
                return over(token), *(gr.skip() for _ in about), *results.show(seen)
            return _live(session), *described(session), *results.show(seen)

        async def answer() -> tuple:
            return await in_thread(resumed)

        return await _guarded(answer, len(about) + len(results.outputs))

    def lease(event: gr.EventData) -> Iterator[None]:
        """Holds a session's device while its page is there, on its visitor's account."""
        yield from service.lending.hold(str(event._data.get("token")))

    async def stop(films: list[Left], event: gr.EventData) -> tuple:
        """Ends a session whose socket is down, and waits for its film a while; the page asks again."""

        async def answer() -> tuple:
            token = str(event._data.get("token"))
            session = service.get(token)
            if session is not None:
                session.end("ended", "Stopped.")  # also if the page may not wait
                try:
                    with stops.one(whoever()):
                        await asyncio.wait_for(session.ended(), STOP_SECONDS)
                except TimeoutError:
                    return _answer(saving=True, token=token), *(gr.skip(),) * len(results.outputs)
            return await in_thread(leaving, films, token)

        return await _guarded(answer, len(results.outputs))

    def leaving(films: list[Left], token: str) -> tuple:
        return over(token), *results.show(with_film(films, token))

    def finished(films: list[Left], event: gr.EventData) -> tuple:
        """A session has ended: shows its film."""
        return results.show(with_film(films, str(event._data.get("token"))))

    def with_film(films: list[Left], token: str) -> list[Left]:
        """The films of a page, newest first, with what a session has left; may take seconds, like `over`."""
        recording = service.recording_of(token)
        if recording is None:
            return films
        return [Left(token, recording), *(left for left in films if left.token != token)]

    def delete(films: list[Left], key: str) -> tuple:
        """Deletes all that is kept of the session whose film is shown, its other branches too."""
        token = str(key).partition(" ")[0]
        service.delete(token)  # whoever knows its token owns it, even if `films` was forgotten
        gr.Info("Your recording was deleted.")
        return results.show([left for left in films if left.token != token])

    def over(token: str) -> gr.HTML:
        """The answer for a session that has ended; of one that is not known there is nothing to say."""
        ended = service.ended(token)
        text = ended.text if ended else ""
        return _answer(ended=True, token=token, text=f"{text} {READY}" if ended and ended.recording else text)

    options: dict[str, Any] = EVENT_OPTIONS | {"concurrency_limit": None}  # the service decides who may play
    shown = [screen, *results.outputs]
    screen.start(start, inputs, [screen, *about], trigger_mode="once", **options | AS_SENT)
    screen.resume(resume, results.films, [screen, *about, *results.outputs], trigger_mode="once", **options)
    if service.settings.leases:
        # The one event that lasts; Gradio has job slots of its own for these (`serve.launch`).
        held = {"concurrency_limit": service.lending.at_once, "concurrency_id": LEASE}
        screen.lease(lease, trigger_mode="multiple", **EVENT_OPTIONS, **held)
    # It is asked again by what comes of its answer, when Gradio has not noted its end yet: "once" drops that.
    few = {"concurrency_limit": STOPS, "concurrency_id": "stop", "trigger_mode": "multiple"}
    screen.stop(stop, results.films, shown, **options | few)
    results.delete.click(delete, [results.films, results.choice], results.outputs, **options | AS_SENT)
    screen.finished(finished, results.films, results.outputs, **options)


async def _guarded(answer: Callable[[], Awaitable[tuple]], others: int) -> tuple:
    """What `answer` gives; if it fails, an error for the player, and nothing for the `others`."""
    try:
        return await answer()
    except UserError as error:
        text = str(error)
    except Exception:
        log.exception("An event of a session failed.")
        text = FAILED
    return _answer(error=text), *(gr.skip(),) * others


def _live(session: Session) -> gr.HTML:
    request = session.request
    key = f"{player.choice_key(request.checkpoint, request.start.picture)} {player.track_key(request.track)}"
    return _answer(
        token=session.token,
        path=f"{LIVE}/{session.token}",
        live=session.live,
        choice=key,
    )


def _answer(**fields) -> gr.HTML:
    return gr.HTML(session={"id": secrets.token_hex(8), **fields})
