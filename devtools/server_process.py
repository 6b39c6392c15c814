"""A server in a process of its own: `python -m devtools.server_process FOLDER [SETTING=VALUE] …`.

Prints its port; for each line at stdin, a checkpoint, it opens a session there and prints its token.
`ServerProcess` is the other end.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path

from devtools.live_player import Server
from mgdemo.paths import ROOT
from mgdemo.serving import ServingError, Settings
from mgdemo.serving.shutdown import StopSignal


class ServerProcess:
    """A server that can be killed; `Player` takes it for a server."""

    def __init__(self, folder, **settings):
        command = [sys.executable, "-m", "devtools.server_process", str(folder)]
        command += [f"{name}={value}" for name, value in settings.items()]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(command, cwd=ROOT, **pipes)
        self.port = int(self.process.stdout.readline())

    def open(self, checkpoint="universal"):
        """Begin a session; its token."""
        self.process.stdin.write(f"{checkpoint}\n")
        return self.process.stdout.readline().strip()

    def url(self, path, scheme="ws"):
        return f"{scheme}://127.0.0.1:{self.port}/gradio_api/{path}"

    def end(self, number):
        """Send a signal; how long it takes to exit, and its exit code."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(60)
        return time.monotonic() - began, code


def main():
    folder, *settings = sys.argv[1:]
    values = dict(setting.split("=", 1) for setting in settings)
    fields = {name: type(getattr(Settings(), name))(value) for name, value in values.items()}
    defaults = {"loader": "benchmarks.remembering_world:load", "regenerate": False, "stand_seconds": 0}
    server = Server(Settings(**defaults | {"record_dir": Path(folder), "threads": 1} | fields))
    stop = StopSignal()
    print(server.port, flush=True)
    threading.Thread(target=listen, args=(server,), daemon=True).start()
    stop.serve(lambda: True, server.service.close)
    server.close()


def listen(server):
    for line in sys.stdin:
        try:
            print(server.open(line.strip()).token, flush=True)
        except ServingError as error:
            print(error, flush=True)


if __name__ == "__main__":
    main()
