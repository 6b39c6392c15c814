"""Who plays, who waits and for how long, and what ends a session: pure functions of what is known now.

Moments are seconds of the monotonic clock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mgdemo.messages import Outcome
from mgdemo.settings import Settings

DRAINING = "No new sessions begin here for now: the server is about to be restarted."
CLOSING = "The server is shutting down: try again in a minute."
GRACE = 30.0  # seconds that a session has left, at least, when somebody begins to wait


@dataclass(frozen=True)
class Place:
    """A session that has a place on a device. expected: when it ends by itself, as far as that is known."""

    token: str
    visitor: str  # whose it is; "": not known
    began: float  # when it got the place
    expected: float = math.inf


@dataclass(frozen=True)
class Waiter:
    """A session in the queue. lasts: the seconds that it takes by itself, as far as that is known."""

    token: str
    visitor: str
    since: float
    lasts: float = math.inf


@dataclass(frozen=True)
class QueueTurn:
    """How a waiting session stands: its position, from 1, and the moment when its turn comes, if known.

    behind_own: it is next, and a session of the same visitor has a place. background: a run of a comparison.
    held: nobody gets a place for now.
    """

    position: int
    at: float = math.inf
    behind_own: bool = False
    background: bool = False
    held: bool = False


@dataclass(frozen=True)
class Plan:
    turns: dict[str, QueueTurn]  # of those who wait
    ends: dict[str, float]  # when sessions have to end, since others wait; no entry: as late as they like


def plan(places: Sequence[Place], waiters: Sequence[Waiter], session_seconds: float, grace: float) -> Plan:
    """For each waiter, in order, a session has to end, the one that began first before the others.

    session_seconds: how long a session may last while others wait, from when it got its place, 0: no limit;
    grace: the seconds that it still has, at least, when somebody begins to wait.
    """
    oldest = sorted(places, key=lambda place: place.began)
    ends = {
        place.token: max(place.began + session_seconds, waiter.since + grace)
        for place, waiter in zip(oldest, waiters, strict=False)
        if session_seconds
    }
    # When places become free: those that nobody has to leave yet have to be left when their turn comes.
    moments = [min(place.expected, ends.get(place.token, math.inf)) for place in places]
    heapq.heapify(moments)
    owners = {place.visitor for place in places} - {""}
    turns = {}
    for position, waiter in enumerate(waiters, 1):
        at = heapq.heappop(moments) if moments else math.inf
        heapq.heappush(moments, at + min(session_seconds or math.inf, waiter.lasts))
        turns[waiter.token] = QueueTurn(position, at, position == 1 and waiter.visitor in owners)
    return Plan(turns, ends)


@dataclass(frozen=True)
class Refusal:
    """reason: a word for operators; text: a sentence for the visitor."""

    reason: str
    text: str


def full(free: bool, waiters: int, own: int, settings: Settings) -> Refusal | None:
    """Why nobody else can get in the queue, if that is so. free: whether there is a free place; own: sessions
    that this visitor has already."""
    if settings.visitor_sessions and own >= settings.visitor_sessions:
        have = f"You already have {several(own, 'session')} running or waiting (counted by login or address)"
        return Refusal("sessions", f"{have}: stop {'it' if own == 1 else 'one'}, then press Start again.")
    if free or waiters < settings.queue:
        return None
    if not waiters:
        return Refusal("queue", "All places are taken: try again in a few minutes.")
    visitors = "1 visitor is" if waiters == 1 else f"{waiters} visitors are"
    return Refusal("queue", f"{visitors} already waiting: try again in a few minutes.")


@dataclass(frozen=True)
class Facts:
    """What decides whether a session ends. Moments that do not apply are infinite.

    away_since: no player has been connected since then; met: there has been one. active: the last input, or
    when the world was ready. ends: the moment when others get the place. idle_allowed: paused or standing,
    which takes no device time. seconds_recorded: of video, all branches together. watched: it needs a player.
    without_device: until its visitor wants one again. loading_since: its world is not there yet.
    """

    live: bool
    watched: bool = True
    away_since: float = math.inf
    met: bool = False
    active: float = math.inf
    ends: float = math.inf
    idle_allowed: bool = False
    crowded: bool = False
    seconds_recorded: float = 0.0
    without_device: bool = False
    loading_since: float = math.inf


def ending(facts: Facts, settings: Settings, now: float) -> tuple[Outcome, str] | None:
    """The outcome ("ended" or "error") and the sentence, if a session has to end now."""
    away = now - facts.away_since
    if facts.met and away > settings.reconnect_seconds:
        return "ended", "The connection to your page was lost. Press Start to begin another session."
    if facts.watched and not facts.met and away > settings.connect_seconds:
        return (
            "error",
            "The player on your page could not reach the server. Reload the page; any proxy in between must "
            "allow WebSockets.",
        )
    loading = now - facts.loading_since
    # A worker is ended before that if it does not start, or loads for too long.
    if settings.load_seconds and loading > settings.load_seconds + 2 * settings.worker_timeout_seconds:
        return (
            "error",
            "Your world did not load in time. Press Start to try again; the server's log may say why.",
        )
    if facts.ends <= now and math.isfinite(loading):
        return (
            "ended",
            "Your time is up, since others are waiting, and your world has not loaded yet. Press Start to "
            "get in the queue again.",
        )
    if facts.ends <= now:
        return "ended", "Your time is up, since others are waiting. Press Start to get in the queue again."
    if not facts.live and not facts.without_device:
        return None  # what follows is about visitors who steer
    idle = settings.idle_seconds
    counts = facts.crowded or facts.without_device or not facts.idle_allowed
    if idle and now - facts.active > idle and counts:
        return "ended", f"Nothing was pressed for {duration(idle)}. Press Start to begin another session."
    if facts.seconds_recorded >= settings.record_seconds:
        length = duration(settings.record_seconds)
        return (
            "ended",
            f"The recording has reached its limit of {length}. Press Start to begin another session.",
        )
    return None


def queue_text(turn: QueueTurn, now: float) -> str:
    """What a waiting visitor reads."""
    if turn.held:
        return f"{DRAINING} You keep your position in the queue, number {turn.position}."
    if turn.background:
        return "Waiting for a free place: visitors go first."
    if turn.behind_own:
        return "Your own session on the other tab is still running: stop it there, and this one begins."
    place = (
        "You're next in the queue" if turn.position == 1 else f"You're number {turn.position} in the queue"
    )
    if math.isinf(turn.at):
        return f"{place}."
    return f"{place}; your turn comes in about {roughly(turn.at - now)}."


def roughly(seconds: float) -> str:
    """Seconds in words, at most a quarter away from them: "15 seconds", "5 minutes"."""
    if seconds > 120:
        return f"{round(seconds / 60)} minutes"
    return f"{max(5, 5 * round(seconds / 5))} seconds"


def duration(seconds: float) -> str:
    """Seconds in words, rounded up: "20 seconds", "5 minutes"."""
    count, unit = (math.ceil(seconds), "second") if seconds <= 90 else (math.ceil(seconds / 60), "minute")
    return several(count, unit)


def several(count: int, noun: str) -> str:
    """A number of things: "1 session", "2 sessions"."""
    return f"{count} {noun}{'s' * (count != 1)}"
