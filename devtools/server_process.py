"""A server in a process of its own: `python -m devtools.server_process FOLDER [SETTING=VALUE] …`.

Prints its port; for each line at stdin, a checkpoint, it opens a session there and prints its token.
"""

import sys
import threading
from pathlib import Path

from devtools.live_player import Server
from mgdemo.serving import ServingError, Settings
from mgdemo.serving.shutdown import StopSignal


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
