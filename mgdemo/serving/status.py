"""The status of a session, in words: what each phase says."""

from __future__ import annotations

import math

from mgdemo import messages as m
from mgdemo.serving.limits import GRACE, QueueTurn, duration, queue_text
from mgdemo.serving.phases import Ended, Loading, Phase, Queued, Saving
from mgdemo.serving.playing import Playing

RESTARTING = "The server is about to be restarted: end your session when it suits you, and save its film."
MOVING = "The device was restarted; your world goes on in a moment."


def status_of(phase: Phase, ends: float, now: float) -> m.Status:
    """ends: the moment when others get its place, or infinite."""
    match phase:
        case Queued(turn=turn):
            wait = None if math.isinf(turn.at) else max(0.0, turn.at - now)
            text = queue_text(turn, now)
            return m.Status(phase="queued", text=text, position=turn.position, seconds_left=wait)
        case Loading(text=text, progress=progress):
            if ends - now <= GRACE:
                text = f"{text.rstrip('.')}. {_ending(ends - now)}"
            return m.Status(phase="loading", text=text, progress=progress)
        case Playing():
            return _playing_status(phase, ends - now)
        case Saving(frames=frames):
            return m.Status(phase="saving", text="Writing the recording.", frames=frames)
        case Ended():
            return m.Status(phase=phase.outcome, text=phase.text, frames=phase.frames)


def suspended_status(phase: Phase) -> m.Status:
    """Of a run that gave its place to a visitor."""
    share, frames = None, 0
    if isinstance(phase, Playing):
        frames, share = phase.frames, phase.frames / phase.length if phase.length else None
    text = queue_text(QueueTurn(1, background=True), 0.0)
    return m.Status(phase="queued", text=text, progress=share, frames=frames)


def _playing_status(phase: Playing, seconds_left: float) -> m.Status:
    name, text = _playing_text(phase, seconds_left)
    fps, progress, left = phase.rate.fps, phase.rewinding, None
    if phase.worker.move is not None and progress is None:
        progress = phase.worker.move.progress
    if phase.length is not None:
        progress = phase.frames / phase.length
        left = (phase.length - phase.frames) / fps if fps else None
    elif math.isfinite(seconds_left):
        left = max(0.0, seconds_left)
    warning = phase.warning
    return m.Status(
        phase=name,
        text=text,
        progress=progress,
        frames=phase.frames,
        fps=fps,
        seconds_left=left,
        warning=warning and warning.warning,
        rewind_to=warning and warning.rewind_to,
    )


def _playing_text(phase: Playing, seconds_left: float) -> tuple[m.Phase, str]:
    link, rate = phase.link, phase.rate
    resting = phase.paused or phase.standing or phase.rewinding is not None
    if phase.worker.move is not None and not resting:
        return "buffering", MOVING
    if phase.length is not None:
        text = f"Frame {phase.frames} of {phase.length}. {phase.recorder.trouble}".rstrip()
        if seconds_left <= GRACE and phase.length - phase.frames > seconds_left * (
            rate.fps or phase.ready.fps
        ):
            text += f" {_ending(seconds_left)}"
        return "playing", text
    if phase.rewinding is not None:
        return "rewinding", "Rewinding."
    if phase.paused:
        return "paused", "Paused."
    if not link.connected and link.met:
        return "buffering", "Lost the connection to your browser. Waiting for it to come back."
    if not link.connected:
        return "buffering", "Waiting for the player on your page."
    if link.behind:
        return "buffering", "Your connection is slow. Waiting for it to catch up."
    if seconds_left <= GRACE:
        return "standing" if phase.standing else "playing", _ending(seconds_left)
    if phase.standing:
        return "standing", "Standing still. Press any control to continue."
    if phase.recorder.trouble:
        return "playing", phase.recorder.trouble
    if rate.slow:
        return "playing", f"Generating {rate.fps:.0f} of {phase.ready.fps} fps, so playback is slowed down."
    return "playing", ""


def _ending(seconds_left: float) -> str:
    return f"Others are waiting: this session ends in {duration(max(1.0, seconds_left))}."
