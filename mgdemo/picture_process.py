"""Pictures of strangers: read in a process of its own, with limits on memory and time.

A picture of a few kilobytes can unpack to gigabytes, and decoders have faults. What comes back is a plain RGB
picture of bounded size, without metadata.
"""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from mgdemo import apart
from mgdemo.picture import PictureError, open_picture

MEMORY_BYTES = 1200 * 10**6  # that the process may take, which is enough for all that `open_picture` reads
SECONDS = 20  # and how long it may take
SIZE = struct.Struct("<II")  # width and height, before the pixels
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
CHILD = "from mgdemo.picture_process import main; main()"


def open_apart(source: Path | bytes, name: str) -> Image.Image:
    """As `open_picture`, of a file or its content, in a process of its own: here a file is not read.

    Raises PictureError, whatever it holds or does, and OSError for a file that cannot be opened.
    """
    command = [sys.executable, "-c", CHILD, name]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "timeout": SECONDS}
    options["env"] = apart.environment() | ONE_THREAD
    try:
        if isinstance(source, bytes):
            child = subprocess.run(command, input=source, **options)
        else:
            with source.open("rb") as file:
                child = subprocess.run(command, stdin=file, **options)
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
    file, out = sys.stdin.buffer, sys.stdout.buffer
    try:
        picture = open_picture(file if file.seekable() else file.read(), sys.argv[1])
    except PictureError as error:
        out.write(b"-" + str(error).encode(errors="replace"))
    else:
        out.write(b"+" + SIZE.pack(*picture.size) + picture.tobytes())
    out.flush()
