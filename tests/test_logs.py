"""Logs for programs: JSON lines with a session, and nothing about who plays."""

import json
import logging
import os
import subprocess
import sys

import pytest
from PIL import Image

from mgdemo.logs import JsonLines, Quiet, session_id
from mgdemo.picture import StartImage
from mgdemo.serving import SessionRequest, SessionService, Settings, SettingsError
from mgdemo.serving.engines import EngineHealth
from mgdemo.serving.engines.fleets import Fixed


class Silent:
    """An engine that does nothing."""

    def __init__(self, settings, device, on_event, on_lost):
        self.device = device

    def send(self, command):
        pass

    def health(self):
        return EngineHealth(self.device, False)

    def close(self):
        pass


def test_sessions_are_told_by_a_hash_and_without_a_visitor(tmp_path, caplog):
    caplog.set_level(logging.INFO, "mgdemo")
    settings = Settings(record_dir=tmp_path)
    service = SessionService(settings, Fixed(settings, Silent))
    start = StartImage(None, Image.new("RGB", (90, 60)))
    session = service.open(SessionRequest("meadow", start, account="user ann", visitor="10.9.8.7"))
    session.end("ended", "Stopped.")
    service.close()
    text = [JsonLines().format(record) for record in caplog.records if record.name.startswith("mgdemo")]
    begun, ended = (json.loads(line) for line in text if "session" in json.loads(line))
    assert begun["session"] == ended["session"] == session_id(session.token)
    assert (begun["checkpoint"], ended["outcome"], ended["reason"]) == ("meadow", "ended", "Stopped.")
    assert begun["level"] == "info" and begun["time"].endswith("+00:00")
    for secret in (session.token, "ann", "10.9.8.7"):
        assert not any(secret in line for line in text)


def test_every_line_is_json_those_of_uvicorn_and_of_errors_too():
    code = (
        "import logging, warnings, uvicorn; from mgdemo.logs import configure\n"
        "uvicorn.Config(None); configure('json')\n"
        "logging.getLogger('uvicorn.error').error('down'); warnings.warn('old')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('mgdemo.x').exception('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["uvicorn.error", "py.warnings", "mgdemo.x"]
    assert "ZeroDivisionError" in lines[2]["error"] and lines[2]["message"] == "failed"


def test_an_error_that_strangers_repeat_is_told_once_and_hides_no_other(caplog):
    log = logging.getLogger("strangers")
    log.addFilter(Quiet())

    def fail(number):
        try:
            if number:
                raise ValueError(number)
            raise KeyError(number)
        except LookupError:
            log.exception("An event failed.")
        except ValueError:
            log.exception("An event failed.")

    for number in (1, 2, 0, 3, 0):
        fail(number)
    assert [line.exc_info[0] for line in caplog.records] == [ValueError, KeyError]


def test_a_style_that_there_is_not_is_said():
    with pytest.raises(SettingsError, match="MGDEMO_LOG is 'xml': give text or json"):
        Settings(log="xml")
