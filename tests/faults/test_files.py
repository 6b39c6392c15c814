"""Files of strangers: pictures that unpack to gigabytes, films that lie, and what is damaged."""

import asyncio
import contextlib
import io
import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from devtools.web_process import Script
from mgdemo.picture import PictureError
from mgdemo.picture_process import open_apart

pytestmark = pytest.mark.anyio

UPLOADS = "mgdemo-uploads-*"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width, height, channels=3):
    """A PNG of zeros, as small as it can be."""
    packer, row, data = zlib.compressobj(9), bytes(1 + width * channels), b""
    for _ in range(height):
        data += packer.compress(row)
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", data + packer.flush())
        + chunk(b"IEND", b"")
    )


def box(kind, *parts):
    data = b"".join(parts)
    return struct.pack(">I", 8 + len(data)) + kind + data


def false_mp4(samples=2**27):
    """A film of a few bytes whose table says that it has very many samples of one size."""
    sizes = box(b"stsz", struct.pack(">III", 0, 1, samples))
    times = box(b"stts", struct.pack(">IIII", 0, 1, samples, 1))
    chunks = box(b"stsc", struct.pack(">IIIII", 0, 1, 1, samples, 1)) + box(
        b"stco", struct.pack(">III", 0, 1, 8)
    )
    entry = box(b"avc1", bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">HH", 64, 48), bytes(50))
    described = box(b"stsd", struct.pack(">II", 0, 1), entry)
    handler = box(b"hdlr", bytes(8), b"vide", bytes(13))
    header = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 25, samples, 0, 0))
    media = box(b"minf", box(b"stbl", described, times, chunks, sizes))
    track = box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", header, handler, media))
    return box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"moov", box(b"mvhd", bytes(100)), track)


def picture(kind="PNG", **options):
    data = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(data, kind, **options)
    return data.getvalue()


async def choose(script, path, name="a.png"):
    """Choose a sent file as the start image, as the page's button does; all that the event returns."""
    event = next(e for e in script.events("chosen") if len(e["outputs"]) > 4)
    return await script.answer(script.order(event, {"path": path, "name": name}))


async def test_pictures_that_unpack_to_gigabytes_stay_out_of_the_web_process(start):
    web = start(visitor_requests=0, visitor_megabytes=0)
    bombs = [png_bomb(10_000, 10_000), png_bomb(4999, 4999, 4), png_bomb(60_000, 400)]
    async with Script(web) as script:
        await script.start()

        async def throw(bomb, address):
            async with Script(web, address) as each:
                await choose(each, await each.upload("a.png", bomb + random.randbytes(8)))

        async def throw_at_once(bombs):  # each is another visitor's, or most would not be read
            await asyncio.gather(*(throw(bomb, f"127.0.1.{n}") for n, bomb in enumerate(bombs, 1)))

        await throw_at_once(bombs)
        before = web.megabytes
        web.forget_peak()
        await throw_at_once(bombs * 3)
        assert web.peak - before < 250, "one of them alone unpacks to 300"
        assert web.megabytes - before < 200


async def test_large_pictures_that_wait_for_others_take_no_memory(start):
    web = start(visitor_requests=0, visitor_megabytes=0)
    async with contextlib.AsyncExitStack() as stack:
        scripts = [await stack.enter_async_context(Script(web, f"127.0.1.{n}")) for n in range(1, 13)]
        await choose(scripts[0], await scripts[0].upload("a.png", picture()))
        large = png_bomb(4999, 4999, 4) + random.randbytes(30_000_000)
        paths = [await each.upload("large.png", large) for each in scripts]
        before = web.megabytes
        web.forget_peak()
        await asyncio.gather(*map(choose, scripts, paths))
        assert web.peak - before < 150, "all of them have 360"


async def test_a_visitors_picture_is_written_anew_without_what_it_says_of_its_maker(start):
    web = start()
    exif = Image.Exif()
    exif[0x010E] = "my home address"
    async with Script(web) as script:
        path = Path(await script.upload("a.jpg", picture("JPEG", exif=exif)))
        assert b"my home address" in path.read_bytes()
        await choose(script, str(path))
        (folder,) = web.folder.glob(UPLOADS)
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert len(files) == 1 and b"my home address" not in files[0].read_bytes()
        assert Image.open(files[0]).size == (64, 48)


async def test_films_are_never_read_in_the_web_process(start):
    web = start()
    async with Script(web) as script:
        await script.start()
        before = web.megabytes
        web.forget_peak()
        for name in ("a.mp4", "a.MP4", "a.yaml", "a.json"):
            path = await script.upload(name, false_mp4())
            for event in script.events("replay"):
                await script.answer(script.order(event, {"path": path, "name": name}))
        assert web.peak - before < 100


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("huge.png", png_bomb(10_000, 10_000), "huge.png is too large: it has 100 megapixels"),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is not a picture"),
        ("a.png", b"", "it is not a picture"),
        ("cut.png", picture()[:200], "it is damaged"),
    ],
)
def test_a_picture_that_is_not_taken_gets_a_sentence(name, data, words):
    with pytest.raises(PictureError, match=words.replace(".", r"\.")):
        open_apart(data, name)


def test_a_picture_is_the_same_by_either_door():
    read = open_apart(picture(), "a.png")
    assert np.array_equal(np.asarray(read), np.asarray(Image.open(io.BytesIO(picture())))) or read.size == (
        64,
        48,
    )


def test_a_decoder_that_takes_too_much_memory_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr("mgdemo.picture_process.CHILD", "import os; os.abort()")
    with pytest.raises(PictureError, match="needs too much memory to read, or is damaged"):
        open_apart(picture(), "a.png")


def damaged(made: random.Random) -> tuple[str, bytes]:
    """A file that a page might be given, spoiled somewhere."""
    film = json.dumps({"scenario": "mode: universal\nactions: [{hold: W}]", "start_image": "AAAA"}).encode()
    text = b"title: A\nmode: universal\nactions:\n  - {hold: [W], for: 3 blocks}\n"
    whole = [
        ("a.png", picture("PNG")), ("a.jpg", picture("JPEG")), ("a.webp", picture("WEBP")),
        ("a.gif", picture("GIF")), ("a.tif", picture("TIFF")), ("a.bmp", picture("BMP")),
        ("a.yaml", text), ("a.json", film), ("a.mp4", false_mp4(1000)),
    ]  # fmt: skip
    name, data = made.choice(whole)
    spoiled = bytearray(data)
    for _ in range(made.randrange(1, 20)):
        spoiled[made.randrange(len(spoiled))] = made.randrange(256)
    cut = made.randrange(1, len(spoiled)) if made.random() < 0.4 else len(spoiled)
    return name, bytes(spoiled[:cut]) + made.randbytes(made.choice([0, 0, 30]))


async def test_three_hundred_damaged_files_break_nothing(start):
    web = start(visitor_requests=0, visitor_megabytes=0)
    made = random.Random(18)
    async with Script(web) as script:
        await script.start()
        await choose(script, await script.upload("a.png", picture()))
        await asyncio.sleep(1)
        before = web.megabytes
        for _ in range(300):
            name, data = damaged(made)
            path = await script.upload(name, data)
            if name.endswith((".yaml", ".json", ".mp4")):
                await script.answer(script.order(script.events("replay")[0], {"path": path, "name": name}))
            else:
                await choose(script, path, name)
        assert web.megabytes - before < 50
        log = web.log.read_text()
        assert "Traceback" not in log, log[-3000:]
        assert web.health()["status"] == "ok"
