"""What Gradio remembers of pages and of the files that they have sent, and how it forgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr

LEAST = 1000  # paths that are never looked through


class SentFiles(set[str]):
    """Paths, in place of a set of Gradio's that would keep those of deleted files for good."""

    def __init__(self):
        super().__init__()
        self._most = LEAST

    def update(self, *sent: Iterable[str]) -> None:
        super().update(*sent)
        if len(self) > self._most:
            self.intersection_update([path for path in self if Path(path).exists()])
            self._most = max(LEAST, 2 * len(self))


def page_forgetter(demo: gr.Blocks) -> Callable[[str], None]:
    """What drops all that is kept of a page, by its name; it begins anew with its next event."""
    page: Any = demo

    def forget(name: str) -> None:
        holder = page.state_holder
        holder.delete_state(name)
        with holder.lock:
            holder.session_data.pop(name, None)
            holder.time_last_used.pop(name, None)

    return forget


def forget_deleted_files(demo: gr.Blocks) -> None:
    """Of an app that has not been launched yet."""
    page: Any = demo
    sent = SentFiles()
    page.temp_file_sets = [sent if each is page.upload_file_set else each for each in page.temp_file_sets]
    page.upload_file_set = sent
