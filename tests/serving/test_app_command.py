"""`mgdemo app` as operators start it: settings from everywhere, a login, a path of the proxy's."""

import subprocess
import sys
import time

import httpx

from devtools.web_process import PATIENCE, web_process
from mgdemo.paths import ROOT


def test_the_page_is_served_as_the_flags_say(tmp_path):
    (tmp_path / "hosting.yaml").write_text("warm: universal\noperator_token: secret\nsessions: 2\n")
    (tmp_path / "logins.txt").write_text("ann:pass\n")
    arguments = ["--settings", str(tmp_path / "hosting.yaml"), "--set", "sessions=3"]
    arguments += ["--auth", str(tmp_path / "logins.txt"), "--root-path", "/worlds"]
    with (
        web_process(tmp_path, arguments=arguments, MGDEMO_QUEUE="5") as web,
        httpx.Client(base_url=web.address) as client,
    ):
        assert client.get("/healthz").text == "ok"
        assert client.get("/config").status_code == 401
        until = time.monotonic() + PATIENCE
        while client.get("/readyz").text == "loading" and time.monotonic() < until:
            time.sleep(0.2)
        assert client.get("/readyz").text == "ok", "it has loaded what the file names"
        assert client.get("/metrics").status_code == 401
        metrics = client.get("/metrics", headers={"Authorization": "Bearer secret"}).text
        assert "mgdemo_places 3.0" in metrics, "a flag comes before the file"
        login = client.post("/login", data={"username": "ann", "password": "pass"})
        assert login.status_code == 200
        assert client.get("/config").json()["root"].endswith("/worlds")


def test_what_cannot_be_used_is_told_in_a_sentence(tmp_path):
    def told(*arguments):
        command = [sys.executable, "-m", "mgdemo", "app", "--no-browser", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        return done.stderr

    assert "--set sesions: there is no such setting; did you mean sessions?" in told("--set", "sesions=2")
    assert "give NAME=VALUE, as in sessions=2" in told("--set", "sessions")
    warm = told("--set", "warm=universal")
    assert "MGDEMO_WARM is 'universal'" in warm and "`python -m mgdemo download --mode universal`" in warm
    assert "none.txt cannot be read" in told("--auth", str(tmp_path / "none.txt"))
