"""How commands and events travel between processes and hosts: a JSON header and binary parts, with lengths.

    magic "mgd3", u32 bytes of the header, u32 bytes of all parts; header; parts

The header is {"message": …, "parts": [sizes]}; where the message has bytes, it says {"part": index}. Whatever
arrives is checked: anything else than a whole message of the expected family raises BadMessage.
"""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from mgdemo.messages.browser import BadMessage, Message, sentence

MAGIC = b"mgd3"
MAX_HEADER, MAX_PARTS = 2**20, 2**28  # bytes; a start image of 25 megapixels has 75 million

_PREFIX = struct.Struct("<4sII")
_adapter = cache(TypeAdapter)


def encode(message: Message) -> bytes:
    """The bytes of a message. Raises ValueError for one that is larger than a reader takes."""
    parts: list[bytes] = []
    fields = _taken_out(message.model_dump(), parts)
    header = json.dumps({"message": fields, "parts": list(map(len, parts))}).encode()
    size = sum(map(len, parts))
    if len(header) > MAX_HEADER or size > MAX_PARTS:
        raise ValueError(f"a message of {len(header)} + {size} bytes is too large")
    return b"".join((_PREFIX.pack(MAGIC, len(header), size), header, *parts))


def decode(data: bytes, kind: Any) -> Any:
    """The one message in `data`, a `kind`: `Command` or `Event`. Raises BadMessage."""
    header, size = _prefix(data[: _PREFIX.size])
    if len(data) != _PREFIX.size + header + size:
        raise BadMessage(f"a message of {_PREFIX.size + header + size} bytes came with {len(data)}")
    return _message(data[_PREFIX.size :], header, kind)


def read(stream: IO[bytes], kind: Any) -> Any:
    """The next message of a blocking stream, a `kind`; None at its end. Raises BadMessage."""
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    header, size = _prefix(prefix)
    body = stream.read(header + size)
    if len(body) != header + size:
        raise BadMessage(f"the stream ended within a message, after {len(body)} of {header + size} bytes")
    return _message(body, header, kind)


def _prefix(data: bytes) -> tuple[int, int]:
    if len(data) != _PREFIX.size:
        raise BadMessage(f"the stream ended within a prefix, after {len(data)} bytes")
    magic, header, size = _PREFIX.unpack(data)
    if magic != MAGIC:
        raise BadMessage(f"messages begin with {MAGIC!r}, not with {magic!r}")
    if header > MAX_HEADER or size > MAX_PARTS:
        raise BadMessage(f"a message of {header} + {size} bytes is too large")
    return header, size


def _message(body: bytes, header: int, kind: Any) -> Any:
    try:
        fields = json.loads(body[:header])
        parts = _cut(body[header:], fields["parts"])
        return _adapter(kind).validate_python(_put_back(fields["message"], parts))
    except ValidationError as error:
        raise BadMessage(sentence(error)) from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise BadMessage(f"a header that is not of this protocol ({type(error).__name__})") from None


def _cut(data: bytes, sizes: Any) -> list[bytes]:
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("sizes of parts")
    if sum(sizes) != len(data):
        raise ValueError("parts that don't fill the message")
    parts, start = [], 0
    for size in sizes:
        parts.append(data[start : start + size])
        start += size
    return parts


def _taken_out(value: Any, parts: list[bytes]) -> Any:
    """The value with its bytes replaced by references to `parts`, to which they are appended."""
    match value:
        case bytes():
            parts.append(value)
            return {"part": len(parts) - 1}
        case dict():
            return {key: _taken_out(item, parts) for key, item in value.items()}
        case list() | tuple():
            return [_taken_out(item, parts) for item in value]
        case Path():
            return str(value)
    return value


def _put_back(value: Any, parts: list[bytes]) -> Any:
    match value:
        case {"part": index, **others}:
            if others or type(index) is not int or index < 0:
                raise ValueError("a reference to a part")
            return parts[index]
        case dict():
            return {key: _put_back(item, parts) for key, item in value.items()}
        case list():
            return [_put_back(item, parts) for item in value]
    return value
