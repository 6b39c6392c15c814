"""What a session is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.picture import StartImage
from mgdemo.scenario import Mark
from mgdemo.settings import Settings
from mgdemo.video.films import About


@dataclass(frozen=True)
class SessionRequest:
    """What to run: live, or along `track`.

    visitor: the same text for all sessions of one visitor, like Gradio's session hash, to tell those
    who wait for their own session; "" if it is not known. background: a run of a comparison that nobody
    watches: it gives way to visitors, and there will be no film with the keys drawn on it. folder: where it
    is recorded, for the caller to keep or to delete; None: where the service keeps the newest recordings.
    optimization: None is that of the settings. marks: of the scenario that is watched; its recording keeps
    them. account: whose sessions are counted together, by login or network address; "" is not counted. The
    service keeps a name for it (see `Owners`).
    watched: a page is expected, without which it ends; live sessions always are.
    """

    checkpoint: str
    start: StartImage
    seed: int = 0
    track: ActionTrack | None = None
    title: str = ""
    visitor: str = ""
    background: bool = False
    folder: Path | None = None
    optimization: str | None = None
    marks: tuple[Mark, ...] = ()
    account: str = ""
    watched: bool = False

    @property
    def unseen(self) -> bool:
        """Whether nobody is expected who could press anything."""
        return self.track is not None and not self.watched

    @property
    def about(self) -> About:
        """For its films."""
        title = self.title or f"A session of {self.checkpoint}"
        return About(title, self.checkpoint, self.seed, self.start, marks=self.marks)

    def optimized(self, settings: Settings) -> str:
        """The words of the optimization that it is played with."""
        return settings.optimization if self.optimization is None else self.optimization

    def loads(self, event: m.Loading, settings: Settings) -> bool:
        """Whether an event is of what it is played with, and of no failure."""
        wanted = self.checkpoint, self.optimized(settings), ""
        return (event.checkpoint, event.optimization, event.error) == wanted

    def order(self, session: str, past: m.Past | None = None) -> m.Open:
        """The command that begins it on an engine, or goes on with it after a past."""
        return m.Open(
            session=session,
            checkpoint=self.checkpoint,
            image=self.start.picture,
            seed=self.seed,
            track=self.track,
            past=past,
            background=self.background,
            optimization=self.optimization,
        )
