"""Pictures of strangers: read in a process of its own, with limits on memory and time.

A picture of a few kilobytes can unpack to gigabytes, and decoders have faults. What comes back is a plain RGB
picture of bounded size, without metadata.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

from PIL import Image

from mgdemo.picture import PictureError, open_picture

MEMORY_BYTES = 1200 * 10**6  # that the process may take, which is enough for all that `open_picture` reads
SECONDS = 20  # and how long it may take
AT_ONCE, PATIENCE = 2, 30.0  # pictures read at the same time, and seconds that others wait for that
SIZE = struct.Struct("<II")  # width and height, before the pixels
CHILD = "from mgdemo.picture_process import main; main()"

_slots = threading.BoundedSemaphore(AT_ONCE)


def open_apart(data: bytes, name: str) -> Image.Image:
    """As `open_picture`, in a process of its own. Raises PictureError, whatever the file holds or does."""
    if not _slots.acquire(timeout=PATIENCE):
        raise PictureError(f"{name} was not read: the server is busy with others. Try again in a minute.")
    try:
        return _read(data, name)
    finally:
        _slots.release()


def _read(data: bytes, name: str) -> Image.Image:
    path = os.pathsep.join(str(Path(each).resolve()) for each in sys.path)
    environment = dict(os.environ, PYTHONPATH=path, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    try:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, name],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise PictureError(f"{name} takes too long to read: give a smaller or plainer picture.") from None
    answer = child.stdout
    if child.returncode == 0 and answer.startswith(b"+"):
        width, height = SIZE.unpack_from(answer, 1)
        return Image.frombytes("RGB", (width, height), answer[1 + SIZE.size :])
    if child.returncode == 0 and answer.startswith(b"-"):
        raise PictureError(answer[1:].decode())
    raise PictureError(f"{name} needs too much memory to read, or is damaged: give a smaller picture.")


def main() -> None:
    """The process: a picture's file comes by standard input, its pixels or a sentence leave by the output."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    out = sys.stdout.buffer
    try:
        picture = open_picture(sys.stdin.buffer.read(), sys.argv[1])
    except PictureError as error:
        out.write(b"-" + str(error).encode(errors="replace"))
    else:
        out.write(b"+" + SIZE.pack(*picture.size) + picture.tobytes())
    out.flush()
