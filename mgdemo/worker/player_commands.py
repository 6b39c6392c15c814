"""What a session's player does and asks for: it comes and goes, presses keys, pauses, rewinds."""

from __future__ import annotations

from mgdemo import messages as m
from mgdemo.worker.rewind import Emit, arrive, rewind
from mgdemo.worker.sessions import Playing

PlayerCommand = m.Attach | m.Detach | m.ToSession


def obey_player(session: Playing, command: PlayerCommand, came: float, emit: Emit) -> None:
    """came: the moment when the command was heard."""
    match command:
        case m.Attach(jpeg=jpeg, input=held):
            session.attach(jpeg)
            if held is not None:
                session.input.set(held.held, held.camera, held.input_seq)
            if session.pausing.on and session.repeating is None:
                arrive(session, emit)  # or the player would have nothing to show
        case m.Detach():
            session.input.release()
            session.player.attached = False
        case m.ToSession(message=m.Input() as message):
            session.input.set(message.held, message.camera, message.input_seq)
        case m.ToSession(message=m.Ack() as message):
            session.pace.acknowledge(message.block, message.buffer_ms / 1000, came)
        case m.ToSession(message=m.KeyFrame()):
            session.player.wants_key = True
        case m.ToSession(message=m.Pause() as message):
            session.pausing.on, session.pausing.steps = message.on, 0
        case m.ToSession(message=m.Step()):
            if session.pausing.on or session.standing:
                session.pausing.steps += 1
        case m.ToSession(message=m.Rewind() as message):
            rewind(session, message.node, emit)
