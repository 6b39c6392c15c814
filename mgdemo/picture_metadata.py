"""Picture files without their metadata, in which Pillow takes damage for damage of the picture itself."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
ADOBE, SCAN, COMMENT = 0xEE, 0xDA, 0xFE  # JPEG markers; Adobe's says what the channels mean


def without_metadata(data: bytes) -> bytes:
    """A PNG or JPEG file with what its pixels need, and no more; anything else as it is."""
    try:
        if data.startswith(PNG):
            return PNG + b"".join(_png_chunks(data))
        if data.startswith(JPEG):
            return b"".join(_jpeg_segments(data))
    except struct.error:  # the file ends too soon
        pass
    return data


def _png_chunks(data: bytes) -> Iterator[bytes]:
    at = len(PNG)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + length + 12]
        sound = chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))
        if kind[:1].isupper() or (
            kind == b"tRNS" and sound
        ):  # what begins with a small letter can be left out
            yield chunk
        at += len(chunk)


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    yield data[:2]
    at, scan = 2, False
    while not scan:
        prefix, marker, length = struct.unpack_from(">BBH", data, at)
        if prefix != 0xFF:
            return
        scan, end = marker == SCAN, at + 2 + length
        application = 0xE0 <= marker < 0xF0 and not (marker == ADOBE and length == 14)
        if scan:
            yield data[at:]
        elif not application and marker != COMMENT:
            yield data[at:end]
        at = end
