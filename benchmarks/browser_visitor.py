"""A visitor with a real browser: presses keys on the page, and reads the marks that the canvas shows."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
from playwright.async_api import Browser, Error, Page, expect

from benchmarks import watermark
from benchmarks.latency import KEYS, MODE, PATIENCE
from benchmarks.visitor import Record, address

FOLDER = Path(__file__).parent
EVERY = 4  # pictures from one look at the marks to the next
SETTLE = 4.0  # seconds in which player and server find their pace


class BrowserVisitor:
    """Plays at `url` until `leave` is set, then presses Stop. number: see `Visitor`."""

    def __init__(self, browser: Browser, url: str, number: int, leave: asyncio.Event):
        self.browser, self.url, self.number, self.leave = browser, url, number, leave
        self.record = Record(f"browser {number}")
        self.plays = asyncio.Event()
        self._random = random.Random(number)

    async def visit(self) -> Record:
        """Come, play and leave; whatever goes wrong stands in the record."""
        context = await self.browser.new_context(
            viewport={"width": 1280, "height": 900},
            extra_http_headers={"X-Forwarded-For": address(self.number)},
        )
        try:
            page = await context.new_page()
            page.on("pageerror", lambda error: self.record.trouble.append(f"on the page: {error}"))
            for script in ("drawn.js", "latency.js", "watermark.js"):
                await page.add_init_script(path=FOLDER / script)
            await self._visit(page)
        except (Error, AssertionError, TimeoutError) as error:
            self.record.trouble.append(f"{type(error).__name__}: {str(error)[:300]}")
        finally:
            self.plays.set()  # or never will
            await context.close()
        return self.record

    async def _visit(self, page: Page) -> None:
        await page.goto(self.url)
        await expect(page.locator("#play .pad").first).to_be_visible(timeout=1000 * PATIENCE)
        seed = page.get_by_label("Seed").first
        await seed.fill(str(self.number))
        await seed.blur()
        await page.locator("#play .start").click()
        player = page.locator("#play .player")
        await expect(player).to_have_attribute("data-state", "playing", timeout=1000 * PATIENCE)
        self.record.played = True
        await self._look(page)
        self.plays.set()
        await asyncio.sleep(SETTLE)
        await page.evaluate("latency.clear()")
        while not self.leave.is_set():
            await self._press(page)
        seen = await page.evaluate("({ presses: latency.presses, marks: marks.seen })")
        self.record.latencies = [each["shown"] - each["at"] for each in seen["presses"] if "shown" in each]
        self._judge(seen["marks"])
        await page.locator("#play .stop").click()
        panel = page.get_by_role("tabpanel").filter(has=player)
        await expect(panel.locator(".results video")).to_be_visible(timeout=1000 * PATIENCE)

    async def _look(self, page: Page) -> None:
        width, height = await page.evaluate(
            "(({ width, height }) => [width, height])(document.querySelector('#play canvas'))"
        )
        await page.evaluate(
            "(options) => latency.begin(options)",
            {
                "canvas": "#play canvas",
                "keys": _middle(watermark.KEYS, width, height),
                "tick": _middle(watermark.TICK, width, height),
                "names": {code: MODE.control(code).name for code in KEYS},
            },
        )
        share = watermark.STRIP / watermark.HEIGHT
        options = {"canvas": "#play canvas", "every": EVERY, "bits": watermark.BITS, "rows": watermark.ROWS}
        await page.evaluate("(options) => marks.begin(options)", options | {"share": share})

    async def _press(self, page: Page) -> None:
        await asyncio.sleep(self._random.uniform(0.05, 0.53))
        code = self._random.choice(KEYS)
        await page.keyboard.down(code)
        await _until(page, "true")
        await asyncio.sleep(self._random.uniform(0.02, 0.5))
        await page.keyboard.up(code)
        await _until(page, "false")

    def _judge(self, cells: list[list[int]]) -> None:
        self.record.frames = len(cells)
        for each in cells:
            mark = watermark.read_cells(np.reshape(each, (watermark.ROWS, watermark.BITS)))
            if mark is None:
                self.record.trouble.append("a frame on the canvas cannot be read")
            elif mark.seed != self.number:
                self.record.foreign += 1


async def _until(page: Page, changed: str) -> None:
    late = f"new Promise((_, fail) => setTimeout(fail, {1000 * PATIENCE}, 'The picture does not obey.'))"
    await page.evaluate(f"Promise.race([latency.until({changed}), {late}])")


def _middle(patch: tuple[slice, slice], width: int, height: int) -> list[int]:
    """x and y on a canvas of this size."""
    rows, columns = patch
    x = (columns.start + columns.stop) * width // (2 * watermark.WIDTH)
    return [x, (rows.start + rows.stop) * height // (2 * watermark.HEIGHT)]
