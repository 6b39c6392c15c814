/** What the pointer does on the pictures: moves the wipe, and moves and enlarges what is seen, in all cells alike. */

import { clampZoom } from "./state.js";

/** @typedef {import("./types.js").State["zoom"]} Zoom */

/**
 * The zoom after a change of scale that leaves the point (x, y) where it is. @param {Zoom} zoom
 * @param {number} factor @param {number} x and @param {number} y shares of the cell, from its middle
 */
export function zoomAt(zoom, factor, x, y) {
  const scale = clampZoom({ ...zoom, scale: zoom.scale * factor }).scale;
  const by = scale / zoom.scale;
  return clampZoom({ scale, x: x - (x - zoom.x) * by, y: y - (y - zoom.y) * by });
}

/**
 * @param {HTMLElement} stage with the cells' pictures
 * @param {{zoom: () => Zoom, wipes: () => boolean, onzoom: (zoom: Zoom) => void, onwipe: (share: number) => void}} handlers
 */
export function followPointer(stage, { zoom, wipes, onzoom, onwipe }) {
  const place = (event) => {
    const picture = /** @type {Element} */ (event.target).closest?.(".picture");
    if (!picture) return null;
    const { left, top, width, height } = picture.getBoundingClientRect();
    return { x: (event.clientX - left) / width - 0.5, y: (event.clientY - top) / height - 0.5, width, height };
  };
  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    const at = place(event);
    if (!at || event.button || (!wipes() && zoom().scale === 1)) return;
    drag = { ...at, from: zoom(), left: event.clientX, top: event.clientY, wipes: wipes() && !event.shiftKey };
    stage.setPointerCapture(event.pointerId);
    if (drag.wipes) onwipe(drag.x + 0.5);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [right, down] = [(event.clientX - drag.left) / drag.width, (event.clientY - drag.top) / drag.height];
    if (drag.wipes) onwipe(Math.min(1, Math.max(0, drag.x + 0.5 + right)));
    else onzoom(clampZoom({ scale: drag.from.scale, x: drag.from.x + right, y: drag.from.y + down }));
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (drag = null));
  stage.addEventListener("dblclick", (event) => {
    const at = place(event);
    if (at) onzoom(zoom().scale > 1 ? clampZoom({ scale: 1, x: 0, y: 0 }) : zoomAt(zoom(), 2.5, at.x, at.y));
  });
  // Alone the wheel moves the page; with Ctrl, or by two fingers on a touchpad, it enlarges.
  stage.addEventListener(
    "wheel",
    (event) => {
      const at = place(event);
      if (!at || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      onzoom(zoomAt(zoom(), Math.exp(-event.deltaY / 200), at.x, at.y));
    },
    { passive: false },
  );
}
