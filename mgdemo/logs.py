"""What the program writes of itself: text for people, or a JSON object a line for programs that collect logs.

No line has a visitor's name, address, picture or token; `session` is a hash of the token.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import traceback
from collections import OrderedDict
from datetime import UTC, datetime

STYLES = ("text", "json")
QUIET_SECONDS = 60.0  # in which a line is not repeated where strangers could have it written over and over
_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def configure(style: str) -> None:
    """Write the whole process's log to stderr in one of the STYLES. json has the lives of sessions, too."""
    if style != "json":
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("mgdemo").setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # they have handlers of their own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def session_id(token: str) -> str:
    """What a session is called in logs: nobody can open it by that."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


class JsonLines(logging.Formatter):
    """time (UTC), level, logger, message, what was given as `extra`, and error: the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _USUAL},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Quiet(logging.Filter):
    """Lets the same line through once in a while: what strangers do must not fill the disk.

    Errors are the same if they are of one type, and raised at one place.
    """

    def __init__(self):
        super().__init__()
        self._last: OrderedDict[str, float] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        now, line = time.monotonic(), str(record.msg)
        if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            places = [f"{place.filename}:{place.lineno}" for place in traceback.extract_tb(trace)]
            line = " ".join((line, kind.__name__, *places[-1:]))
        if now - self._last.get(line, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._last[line] = now
        while len(self._last) > 100:
            self._last.popitem(last=False)
        return True
