/**
 * The parts of the player, and what passes between them: choices change the state, and the state is rendered.
 *
 * @typedef {import("./types.js").State} State
 */

import { Blink } from "./blink.js";
import { element, write } from "./dom.js";
import { FASTEST } from "./element_film.js";
import { Keyboard } from "./keyboard.js";
import { heldWords } from "./lanes.js";
import { Lockstep } from "./lockstep.js";
import { followPointer, zoomAt } from "./pointer.js";
import { Rows } from "./rows.js";
import { HELP } from "./shortcuts.js";
import { fromText, toText } from "./state.js";
import { Timeline } from "./timeline.js";
import { Toolbar } from "./toolbar.js";
import { Transport } from "./transport.js";

const REST_MS = 300; // after which what is shown is said and remembered
const LOOSE =
  "This browser cannot read these films frame by frame: they play at normal speed at most, and may be one frame apart.";

export class GridPlayer {
  /** @param {HTMLElement} root @param {import("./types.js").GridView} data @param {import("./types.js").Options} options */
  constructor(root, data, { state = "", keys = "inside", onstate = () => {} }) {
    this.state = fromText(state);
    this.onstate = onstate;
    this.fastest = Infinity; // speed at which the films that are seen stay in step
    this.lockstep = new Lockstep(data.fps, {
      onshown: (frame) => this.show(frame),
      onrest: () => this.rest(),
      onwaits: (waits) => this.transport.waits.toggleAttribute("data-on", waits),
    });
    const ongo = (frame) => this.lockstep.goTo(frame);
    const onloop = (loop) => this.change({ loop });
    this.toolbar = new Toolbar((change) => this.change(change), () => this.state, (factor) => this.zoom(factor)); // prettier-ignore
    this.rows = new Rows({ onfilm: () => this.arrange(), ongo });
    this.timeline = new Timeline(data.fps, { ongo, onloop, oncurve: (curve) => this.change({ curve }) });
    this.transport = new Transport({
      onplay: () => this.play(),
      onstep: (frames) => this.step(frames),
      onend: (last) => ongo(last ? Infinity : 0),
      onspeed: (speed) => this.change({ speed }),
      onunloop: () => onloop(null),
    });
    this.blink = new Blink((above) => this.root.style.setProperty("--blink", above ? "1" : "0"));
    this.note = element("p.note.quiet", { hidden: true }, LOOSE);
    this.told = element("p.told", { role: "status" });
    const help = HELP.map(([names, words]) => element("div", {}, element("dt", {}, element("kbd", {}, names)), element("dd", {}, words))); // prettier-ignore
    this.root = element(
      "section.lockstep",
      { "aria-label": "Videos in lockstep", tabIndex: -1 },
      this.toolbar.root,
      this.rows.root,
      element("div.time-panel", {}, this.transport.root, this.timeline.top),
      this.timeline.root,
      this.note,
      element("details.help", {}, element("summary", {}, "Keys"), element("dl", {}, ...help)),
      this.told,
    );
    root.replaceChildren(this.root);
    followPointer(this.rows.root, {
      zoom: () => this.state.zoom,
      wipes: () => this.state.view.kind === "wipe",
      onzoom: (zoom) => this.change({ zoom }),
      onwipe: (wipe) => this.change({ view: { ...this.state.view, wipe } }),
    });
    this.keyboard = new Keyboard(keys === "page" ? document : this.root, this);
    this.update(data);
    this.lockstep.goTo(this.state.frame);
  }

  /** @param {import("./types.js").GridView} data */
  update(data) {
    this.data = data;
    this.toolbar.offer(data);
    const last = data.columns.length - 1;
    const { view } = this.state;
    this.state.view = { ...view, a: Math.min(view.a, last), b: Math.min(view.b, last) };
    if (last < 1) this.state.view.kind = "side";
    if (this.state.row >= data.rows.length) this.state.row = 0;
    this.render({ row: 0, view: 0, loop: 0, speed: 0 });
  }

  /** The row whose lanes and marks are on the timeline. */
  get row() {
    return this.data.rows[Math.max(0, this.state.row)];
  }

  /** Frames of the longest run that is shown. */
  get frames() {
    const rows = this.state.row < 0 ? this.data.rows : [this.row];
    return Math.max(...rows.map(({ frames }) => frames));
  }

  /** @param {Partial<State>} change */
  change(change) {
    Object.assign(this.state, change);
    this.render(change);
    this.rest();
  }

  /** Brings what is seen in line with the parts of the state that are named. @param {object} changed */
  render(changed) {
    const { state, lockstep } = this;
    const { clock } = lockstep;
    if ("row" in changed) this.rows.update(this.data, state.row);
    if ("row" in changed || "curve" in changed) this.timeline.draw(this.row, this.frames, state.curve);
    if ("row" in changed || "view" in changed) {
      this.rows.look(state.view);
      this.blink.run(state.view.kind === "blink");
      this.arrange();
    }
    if ("speed" in changed) lockstep.setSpeed(Math.min(state.speed, this.fastest));
    if ("loop" in changed) {
      clock.loop = state.loop;
      if (state.loop && (lockstep.frame < state.loop.from || lockstep.frame > state.loop.to)) lockstep.goTo(state.loop.from);
    }
    this.timeline.select(state.loop);
    this.toolbar.render(state);
    this.transport.render(clock, this.data.fps, this.fastest);
    const { zoom, view, names, keys } = state;
    const numbers = { zoom: zoom.scale, x: zoom.x, y: zoom.y, wipe: view.wipe, gain: view.gain };
    for (const [name, value] of Object.entries(numbers)) this.root.style.setProperty(`--${name}`, String(value));
    this.root.toggleAttribute("data-names", names || view.kind !== "side");
    this.root.toggleAttribute("data-keys", keys);
    this.root.toggleAttribute("data-zoomed", zoom.scale > 1);
    this.timeline.show(lockstep.frame);
  }

  /** Has the films of the cells that can be seen run together. */
  arrange() {
    const seen = this.rows.cells.filter(({ screen, root }) => screen.film && !root.hidden).map(({ screen }) => screen);
    this.lockstep.setScreens(seen.map(({ film, context }) => ({ film, context })), this.frames); // prettier-ignore
    this.fastest = seen.every(({ exact }) => exact) ? Infinity : FASTEST;
    this.note.hidden = this.fastest > FASTEST;
    this.lockstep.setSpeed(Math.min(this.state.speed, this.fastest));
    this.transport.render(this.lockstep.clock, this.data.fps, this.fastest);
  }

  /** All films show this frame. @param {number} frame */
  show(frame) {
    for (const cell of this.rows.cells) cell.show(frame);
    this.timeline.show(frame);
  }

  play() {
    this.lockstep.play(!this.lockstep.clock.playing);
    this.transport.render(this.lockstep.clock, this.data.fps, this.fastest);
  }

  step(frames) {
    if (this.lockstep.clock.playing) this.play();
    this.lockstep.goTo(this.lockstep.frame + frames);
  }

  /** Nothing moves, or a choice was made: soon it is said and remembered. */
  rest() {
    this.transport.render(this.lockstep.clock, this.data.fps, this.fastest);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.lockstep.clock.playing) return;
      const words = this.words();
      write(this.told, words);
      this.timeline.name(words);
      this.onstate(this.link());
    }, REST_MS);
  }

  /** The moment, for people who do not see it. */
  words() {
    const { frame } = this.lockstep;
    const { marks, cells } = this.row;
    const mark = marks.findLast((one) => one.frame <= frame);
    const held = heldWords(cells[0].lanes, frame);
    return `Frame ${frame} of ${this.frames}, ${(frame / this.data.fps).toFixed(2)} s${mark ? `, after ${mark.name}` : ""}: ${held}.`; // prettier-ignore
  }

  /** @param {number} factor 0: the whole picture */
  zoom(factor) {
    const { zoom } = this.state;
    this.change({ zoom: factor ? zoomAt(zoom, factor, 0, 0) : { scale: 1, x: 0, y: 0 } });
  }

  /** @returns {State} */
  now() {
    return { ...this.state, frame: this.lockstep.frame };
  }

  link() {
    return toText(this.now());
  }

  close() {
    clearTimeout(this.resting);
    this.keyboard.close();
    this.blink.run(false);
    this.lockstep.play(false);
    this.lockstep.setScreens([], 1);
    this.rows.resized.disconnect();
    this.rows.close();
    this.root.remove();
  }
}
