"""The player's picture alone, on a bare page in a real browser: what is seen of a frame at some size."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route

from mgdemo import ui

MODULES = Path(ui.__file__).parent / "player"
ADDRESS = "http://stage.invalid/"  # answered here
HTML = """<!doctype html>
<style>
  body { margin: 0; }
  .player { position: relative; }
  canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
  [hidden] { display: none; }
</style>
<section class="player" data-sharper-ms="MS" style="width: WIDTHpx; height: HEIGHTpx">
  <canvas class="screen"></canvas>
</section>
<script type="module">
  import { Screen } from "./decoder.js";
  window.stage = new Screen(document.querySelector(".screen"), { onblunt: (why) => (window.blunt = why) });
  window.show = async (png) => {
    const bitmap = await createImageBitmap(await (await fetch(png)).blob());
    window.stage.draw(bitmap);
    await new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)));
  };
</script>
"""


class Stage:
    """The player's own canvas on a page of its own, in pixels of that page."""

    def __init__(self, page: Page, width: int, height: int, sharper_ms: float = float("inf")):
        self.page = page
        text = HTML.replace("WIDTH", str(width)).replace("HEIGHT", str(height))
        text = text.replace("MS", "Infinity" if sharper_ms == float("inf") else str(sharper_ms))

        def answer(route: Route) -> None:
            name = route.request.url.removeprefix(ADDRESS)
            body = (MODULES / name).read_text("utf-8") if name.endswith(".js") else text
            kind = "text/javascript" if name.endswith(".js") else "text/html"
            route.fulfill(body=body, content_type=kind)

        page.route(ADDRESS + "**", answer)
        page.goto(ADDRESS)
        page.wait_for_function("Boolean(window.show)")

    def configure(self, width: int, height: int, sharper: bool) -> None:
        """Pictures of this size come, enlarged by the shader or plainly."""
        self.page.evaluate(
            """async ({ width, height, sharper }) => {
              window.stage.configure({ width, height, codec_string: "" });
              window.stage.sharper.switch(sharper);
            }""",
            {"width": width, "height": height, "sharper": sharper},
        )
        if sharper:
            self.page.wait_for_function("stage.sharper.ready || Boolean(window.blunt)")

    def show(self, picture: np.ndarray) -> np.ndarray:
        """What is seen of a picture uint8 [h, w, 3]: uint8 [H, W, 3]."""
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "PNG")
        self.page.evaluate(
            "(png) => show(png)", "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
        )
        return self.seen()

    def seen(self) -> np.ndarray:
        """What is seen now: uint8 [H, W, 3]."""
        seen = self.page.locator(".player").screenshot(type="png")
        return np.asarray(Image.open(io.BytesIO(seen)).convert("RGB"))
