"""What goes wrong in events of the page: visitors read a sentence, and none of them fills the log."""

from __future__ import annotations

import logging
from html import escape
from typing import Any

import gradio as gr

from mgdemo.errors import WENT_WRONG, UserError
from mgdemo.logs import Quiet

FAILED = f"{WENT_WRONG} Try again."

log = logging.getLogger(__name__)
log.addFilter(Quiet())


class Events(gr.Blocks):
    """A page; Gradio alone would print a traceback for each error of an event, whoever caused it."""

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return await super().process_api(*args, **kwargs)
        except Exception as error:
            raise _said(error) from None


def _said(error: Exception) -> gr.Error:
    if isinstance(error, gr.Error):  # of Gradio itself, about what was sent, or of ours
        error.print_exception = False
        return error
    if isinstance(error, UserError):
        return gr.Error(escape(str(error)), print_exception=False)
    log.error("An event of the page failed.", exc_info=error)
    return gr.Error(FAILED, print_exception=False)
