/**
 * What is seen of a session: the elements of player.html, brought in line with the lifecycle.
 *
 * @typedef {import("./phases.js").State} State
 * @typedef {{mode: string, poster: string | null, loop: string | null, width: number, height: number, live: boolean,
 *   start: string, blocked: string}} Setup  start: the words of the button; blocked: why it cannot be pressed
 */

import { addressOf } from "./connection.js";
import { keyboard } from "./keyboard.js";
import { CLOSE } from "./notes.js";
import { pauses, pressable, rewindable, running, showing, startable } from "./phases.js";
import { words } from "./wording.js";

const PARTS =
  "stage poster loop screen preview message note start start-label progress past status announce pause step stop " +
  "statistics keep picture begin settings rebind full pads hud";

/** @type {Record<string, string>} what the button over the picture says, where it does not start another session */
const LABELS = { replaced: "Continue here", resting: "Go on" };

export class View {
  /** @param {HTMLElement} element */
  constructor(element) {
    const part = (name) => element.querySelector(`.${name}`);
    /** @type {HTMLElement} */
    this.root = element.querySelector(".player");
    /** @type {Record<string, any>} */
    this.parts = Object.fromEntries(PARTS.split(" ").map((name) => [name, part(name)]));
  }

  /** Whether its tab is open. */
  get shown() {
    return this.root.getClientRects().length > 0;
  }

  /** The number in the field, if it is a whole number. */
  get seed() {
    const field = this.root.closest('[role="tabpanel"]')?.querySelector(".seed input");
    const seed = Number(/** @type {HTMLInputElement | null | undefined} */ (field)?.value ?? 0);
    return Number.isSafeInteger(seed) ? seed : 0;
  }

  /** Which scenario is chosen on this tab; "" where there is none. */
  get chosenTrack() {
    const element = this.root.closest('[role="tabpanel"]')?.querySelector(".chosen [data-track]");
    return /** @type {HTMLElement | null | undefined} */ (element)?.dataset.track ?? "";
  }

  /** The index of the frame that is shown, or null. */
  get frame() {
    const { frame } = this.root.dataset;
    return frame === undefined ? null : Number(frame);
  }

  focus() {
    this.parts.stage.focus({ preventScroll: true });
  }

  /** Shows what would be started. @param {Setup} setup */
  setUp(setup) {
    const { poster, loop, "start-label": label } = this.parts;
    label.textContent = setup.start;
    poster.hidden = !setup.poster;
    if (setup.poster) poster.src = setup.poster;
    loop.hidden = !setup.loop || matchMedia("(prefers-reduced-motion: reduce)").matches;
    loop.muted = true; // or it may not begin by itself
    if (loop.hidden) loop.removeAttribute("src");
    else loop.src = addressOf(setup.loop).href;
    this.root.dataset.picture = "poster";
  }

  /** @param {number} width @param {number} height of the world's pictures */
  fit(width, height) {
    this.root.style.setProperty("--ratio", String(width / height));
  }

  /** @param {{axes: string[]}} mode @param {boolean} live whether the visitor steers */
  setMode({ axes }, live) {
    this.root.dataset.live = live ? "yes" : "no";
    this.root.dataset.looks = axes.length ? "yes" : "no";
  }

  /** Nothing can be seen yet of the session that begins. */
  open() {
    this.parts.loop.pause();
    this.root.dataset.picture = "poster";
    delete this.root.dataset.frame;
  }

  /** The shown picture, in its own size, and its number; null while there is none. @param {import("./decoder.js").Screen} screen */
  picture(screen) {
    return this.root.dataset.picture === "live" ? { canvas: screen.picture(), frame: this.root.dataset.frame } : null;
  }

  /** A frame is on the screen. @param {number} index */
  show(index) {
    this.root.dataset.picture = "live";
    this.root.dataset.frame = String(index);
  }

  /** The picture at the moment to which the slider would go; null: the session's own again. @param {string | null} url */
  preview(url) {
    this.parts.preview.hidden = url === null;
    if (url !== null) this.parts.preview.src = url;
  }

  /**
   * @param {State} state
   * @param {import("./wording.js").Facts & {start: string, note: string, cure: string}} facts  note: what else there is
   *   to say about the running session; cure: the button beside it, if there is one
   */
  render(state, facts) {
    const { stop, start, pause, step, message, announce, note, "start-label": label } = this.parts;
    const changed = this.root.dataset.state !== state.phase;
    const says = words(state, { ...facts, frame: this.frame });
    this.root.dataset.state = state.phase;
    this.root.dataset.running = state.session && !startable(state) ? "yes" : "no";
    if (document.activeElement === stop && !running(state)) this.focus(); // a disabled button would lose the keys
    stop.disabled = !running(state);
    const goes = LABELS[state.phase];
    start.disabled = !pressable(state) || (Boolean(facts.blocked) && !goes);
    label.textContent = goes ?? facts.start;
    pause.disabled = !(showing(state) || ["paused", "rewinding"].includes(state.phase));
    step.disabled = pause.disabled || state.phase === "rewinding" || !rewindable(state);
    pause.ariaLabel = pauses(state) ? "Resume" : "Pause";
    pause.title = `${pause.ariaLabel} (${keyboard.names.name("KeyP")})`;
    write(message, says.message);
    // The same words written again would be read out again.
    if (changed || says.message) write(announce, says.announcement);
    this.renderStatus(state, facts);
    note.hidden = !facts.note;
    write(note.querySelector("span"), facts.note);
    const button = note.querySelector("button");
    button.hidden = !facts.cure;
    button.disabled = facts.cure !== CLOSE && !rewindable(state);
    write(button, facts.cure);
  }

  /** The line below the picture, and the bar of progress. @param {State} state @param {import("./wording.js").Facts} facts */
  renderStatus(state, facts) {
    write(this.parts.status, words(state, { ...facts, frame: this.frame }).status);
    const progress = state.end ? 1 : (state.server?.progress ?? (state.phase === "loading" ? 1 : 0));
    const moves = showing(state) || ["loading", "rewinding", "paused"].includes(state.phase);
    this.parts.progress.value = moves ? progress : 0;
  }
}

/** @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
