"""What Gradio remembers of the files that pages have sent."""

from __future__ import annotations

from collections.abc import Iterable
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


def forget_deleted_files(demo: gr.Blocks) -> None:
    """Of an app that has not been launched yet."""
    page: Any = demo
    sent = SentFiles()
    page.temp_file_sets = [sent if each is page.upload_file_set else each for each in page.temp_file_sets]
    page.upload_file_set = sent
