/**
 * Reads the drawing of a scenario: the time under the pointer, its frame and what is held there, also by keyboard
 * and in words for screen readers. While the scenario runs, a line shows where it is.
 *
 * What is drawn is all there is to know: the bars of the lanes are read (see mgdemo/ui/track_chart.py).
 *
 * @typedef {{label: string, starts: number[], ends: number[]}} Lane  what is held when, in frames
 */

const TURN = 10; // frames to go by Page Up and Page Down where nothing changes

/** The lanes of a drawing; one that has two ways is two. @param {Element} timeline @returns {Lane[]} */
function lanesOf(timeline) {
  return [...timeline.querySelectorAll(".lane")].flatMap((lane) => {
    const labels = lane.querySelector("span").textContent.split("\n");
    const found = labels.map((label) => ({ label, starts: [], ends: [] }));
    for (const bar of lane.querySelectorAll("rect")) {
      const [x, y, width] = ["x", "y", "width"].map((name) => Number(bar.getAttribute(name)));
      const way = found[labels.length > 1 && y >= 1 ? 1 : 0];
      way.starts.push(x);
      way.ends.push(x + width);
    }
    return found;
  });
}

/** How many of the sorted numbers are at most `value`. Pure. @param {number[]} numbers @param {number} value */
function upTo(numbers, value) {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is held at a frame. Pure. @param {Lane[]} lanes @param {number} frame */
export function heldAt(lanes, frame) {
  return lanes
    .filter(({ starts, ends }) => {
      const index = upTo(starts, frame) - 1;
      return index >= 0 && frame < ends[index];
    })
    .map(({ label }) => label);
}

/** The next frame, from `frame` on or back, at which something is pressed or let go. Pure. */
export function nextChange(lanes, frame, way, last) {
  const edges = lanes.flatMap(({ starts, ends }) => [...starts, ...ends]);
  const beyond = edges.filter((edge) => (way > 0 ? edge > frame : edge < frame));
  if (!beyond.length) return way > 0 ? last : 0;
  const next = beyond.reduce((a, b) => (way > 0 ? Math.min(a, b) : Math.max(a, b)));
  return Math.min(last, next);
}

/** @param {number} frame @param {number} fps @param {string[]} held */
export const wordsAt = (frame, fps, held) =>
  `${(frame / fps).toFixed(2)} s, frame ${frame}: ${held.join(", ") || "nothing held"}`;

class Reader {
  /** @param {HTMLElement} timeline */
  constructor(timeline) {
    this.timeline = timeline;
    /** @type {HTMLElement} */
    this.slider = timeline.querySelector(".reader");
    /** @type {HTMLElement} */
    this.cursor = timeline.querySelector(".cursor");
    this.frames = Number(timeline.dataset.frames);
    this.fps = Number(timeline.dataset.fps);
    this.lanes = lanesOf(timeline);
  }

  get frame() {
    return Number(this.slider.ariaValueNow);
  }

  /** @param {number} x of the pointer, in the window */
  frameAt(x) {
    const { left, width } = this.slider.getBoundingClientRect();
    return Math.floor(((x - left) / width) * this.frames);
  }

  /** @param {number} frame */
  show(frame) {
    const at = Math.min(this.frames - 1, Math.max(0, frame));
    const words = wordsAt(at, this.fps, heldAt(this.lanes, at));
    this.slider.ariaValueNow = String(at);
    this.slider.ariaValueText = words;
    this.cursor.hidden = false;
    this.cursor.style.left = `${(100 * (at + 0.5)) / this.frames}%`;
    const label = this.cursor.querySelector("span");
    label.textContent = words;
    this.cursor.dataset.side = at > this.frames / 2 ? "left" : "right";
  }

  hide() {
    this.cursor.hidden = true;
  }

  /** @param {string} key @returns {number | null} the frame to go to */
  target(key) {
    const { frame, frames, lanes } = this;
    const last = frames - 1;
    const turn = (way) => (lanes.some((lane) => lane.starts.length) ? nextChange(lanes, frame, way, last) : frame + TURN * way);
    if (key === "ArrowRight" || key === "ArrowUp") return frame + 1;
    if (key === "ArrowLeft" || key === "ArrowDown") return frame - 1;
    if (key === "PageUp") return turn(1);
    if (key === "PageDown") return turn(-1);
    if (key === "Home") return 0;
    return key === "End" ? last : null;
  }
}

/** Called by Gradio for an element in which drawings come and go. */
export function mount(element) {
  /** @type {WeakMap<Element, Reader>} */
  const readers = new WeakMap();
  const readerOf = ({ target }) => {
    const timeline = /** @type {HTMLElement | null} */ (target.closest?.(".reader")?.parentElement);
    if (!timeline) return null;
    if (!readers.has(timeline)) readers.set(timeline, new Reader(timeline));
    return readers.get(timeline);
  };
  element.addEventListener("pointermove", (event) => {
    const reader = readerOf(event);
    reader?.show(reader.frameAt(event.clientX));
  });
  element.addEventListener("pointerdown", (event) => {
    const reader = readerOf(event); // a tap on a screen without a pointer
    reader?.show(reader.frameAt(event.clientX));
  });
  element.addEventListener("pointerout", (event) => {
    if (event.pointerType === "mouse" && document.activeElement !== event.target) readerOf(event)?.hide();
  });
  element.addEventListener("focusin", (event) => {
    const reader = readerOf(event);
    reader?.show(reader.frame);
  });
  element.addEventListener("focusout", (event) => readerOf(event)?.hide());
  element.addEventListener("keydown", (event) => {
    const reader = readerOf(event);
    const frame = reader?.target(event.key) ?? null;
    if (frame === null) return;
    event.preventDefault();
    reader.show(frame);
  });
  followPlayer(element);
}

/**
 * Moves the line `now` of the drawing of what runs with the picture of the tab's player; that of the chosen scenario,
 * too, if it is the same. @param {HTMLElement} element
 */
function followPlayer(element) {
  const panel = element.closest('[role="tabpanel"]');
  const player = /** @type {HTMLElement | null} */ (panel?.querySelector(".player") ?? null);
  if (!player) return;
  /** @param {string} kind @returns {string | undefined} */
  const track = (kind) => /** @type {HTMLElement} */ (panel.querySelector(`.${kind} [data-track]`))?.dataset.track;
  const move = () => {
    const { frame, running } = player.dataset;
    const same = track("chosen") === track("running");
    panel.toggleAttribute("data-runs-chosen", same && running === "yes");
    for (const timeline of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(".timeline"))) {
      const now = /** @type {HTMLElement} */ (timeline.querySelector(".now"));
      now.hidden = frame === undefined || running !== "yes" || !(same || timeline.closest(".running"));
      now.style.left = `${(100 * (Number(frame) + 0.5)) / Number(timeline.dataset.frames)}%`;
    }
  };
  new MutationObserver(move).observe(player, { attributes: true, attributeFilter: ["data-frame", "data-running"] });
}
