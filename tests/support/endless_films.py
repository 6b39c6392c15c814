"""The app, except that no film with keys is ever finished: `python -m tests.support.endless_films app …`."""

import sys
import time

from mgdemo.cli import main
from mgdemo.video import films
from tests.support import endless_films


def draw(*_):
    time.sleep(3600)


if __name__ == "__main__":
    films.overlay_mp4 = endless_films.draw  # by the name that the other process finds it under
    sys.exit(main(sys.argv[1:]))
