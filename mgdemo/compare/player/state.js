/**
 * What a link to a moment of a comparison says: which row and frame, and how it is looked at.
 *
 * @typedef {import("./types.js").State} State
 * @typedef {import("./types.js").ViewKind} ViewKind
 */

import { SPEEDS } from "./clock.js";

/** @type {ViewKind[]} */
export const VIEWS = ["side", "wipe", "blink", "difference"];
const MOST_ZOOM = 8;
export const MOST_GAIN = 16;

/** @returns {State} */
export function initial() {
  return {
    row: 0,
    frame: 0,
    view: { kind: "side", a: 0, b: 1, gain: 4, wipe: 0.5 },
    loop: null,
    speed: 1,
    zoom: { scale: 1, x: 0, y: 0 },
    names: false,
    keys: false,
    curve: "",
  };
}

/** The part of an address after the #; only what is not as it begins. @param {State} state */
export function toText({ row, frame, view, loop, speed, zoom, names, keys, curve }) {
  const out = new URLSearchParams();
  if (row !== 0) out.set("row", row < 0 ? "all" : String(row + 1));
  if (frame) out.set("frame", String(frame));
  if (view.kind !== "side") {
    out.set("view", view.kind);
    out.set("pair", `${view.a + 1}-${view.b + 1}`);
    if (view.kind === "difference") out.set("gain", String(view.gain));
    if (view.kind === "wipe") out.set("at", view.wipe.toFixed(2));
  }
  if (loop) out.set("loop", `${loop.from}-${loop.to}`);
  if (speed !== 1) out.set("speed", String(speed));
  if (zoom.scale > 1) out.set("zoom", [zoom.scale, zoom.x, zoom.y].map((value) => value.toFixed(2)).join("_"));
  if (names) out.set("names", "1");
  if (keys) out.set("keys", "1");
  if (curve) out.set("curve", curve);
  return out.toString();
}

/**
 * What such a text says; what it does not say, or says wrongly, is as it begins. @param {string} text with or without #
 * @returns {State}
 */
export function fromText(text) {
  const said = new URLSearchParams(text.replace(/^#/, ""));
  const state = initial();
  const number = (name, low, high, whole = true) => {
    const value = Number.parseFloat(said.get(name) ?? "");
    return value >= low && value <= high && (!whole || Number.isInteger(value)) ? value : null;
  };
  const pair = (name) => /^(\d{1,6})-(\d{1,6})$/.exec(said.get(name) ?? "")?.slice(1).map(Number);
  state.row = said.get("row") === "all" ? -1 : (number("row", 1, 1e4) ?? 1) - 1;
  state.frame = number("frame", 0, 1e7) ?? 0;
  const kind = VIEWS.find((each) => each === said.get("view")) ?? "side";
  const [a, b] = pair("pair") ?? [1, 2];
  state.view = {
    kind,
    a: Math.max(1, a) - 1,
    b: Math.max(1, b) - 1,
    gain: number("gain", 1, MOST_GAIN) ?? state.view.gain,
    wipe: number("at", 0, 1, false) ?? state.view.wipe,
  };
  const [from, to] = pair("loop") ?? [0, 0];
  if (to > from) state.loop = { from, to };
  state.speed = SPEEDS.find((each) => each === number("speed", 0, 10, false)) ?? 1;
  const [scale, x, y] = (said.get("zoom") ?? "").split("_").map(Number);
  if (scale > 1) state.zoom = clampZoom({ scale, x, y });
  state.names = said.get("names") === "1";
  state.keys = said.get("keys") === "1";
  state.curve = (said.get("curve") ?? "").slice(0, 40);
  return state;
}

/** Keeps the picture within its frame. @param {{scale: number, x: number, y: number}} zoom */
export function clampZoom({ scale, x, y }) {
  const size = Math.min(MOST_ZOOM, Math.max(1, scale || 1));
  const most = (size - 1) / 2;
  const within = (value) => Math.min(most, Math.max(-most, value || 0)) || 0; // never -0
  return { scale: size, x: within(x), y: within(y) };
}
