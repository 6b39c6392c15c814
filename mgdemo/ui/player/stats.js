/**
 * The statistics of a session, all measured here on the visitor's page, and the panel that shows them.
 *
 * @typedef {import("./playout.js").Block} Block
 */

const LAST = 50; // presses and blocks over which medians are taken
const KEPT = 10_000; // records of blocks in the exported file
const PENDING = 200; // inputs that may wait for their block

/** @param {number[]} values @returns {number | null} */
export function median(values) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** How many frames a second, over the last `windowMs`. */
class Rate {
  /** @type {[number, number][]} when, and how many */
  times = [];

  constructor(windowMs) {
    this.windowMs = windowMs;
  }

  add(now, count = 1) {
    this.times.push([now, count]);
    while (now - this.times[0][0] > this.windowMs) this.times.shift();
  }

  /** The first one only begins the time; too few say nothing. @param {number} now @returns {number | null} */
  at(now) {
    const times = this.times.filter(([at]) => now - at <= this.windowMs);
    const span = times.length < 3 ? 0 : times.at(-1)[0] - times[0][0];
    return span ? (times.slice(1).reduce((sum, [, count]) => sum + count, 0) * 1000) / span : null;
  }
}

/** Measures one session. Pure: it is called with what happens and when (ms), and knows no page. */
export class Meter {
  /** @param {number} fps the nominal frame rate */
  constructor(fps) {
    this.frameMs = 1000 / fps;
    this.generated = new Rate(6000);
    this.displayed = new Rate(2000);
    /** @type {Map<number, number>} inputs that no picture shows yet: seq → when */
    this.inputs = new Map();
    /** @type {number[]} from an input to the first picture that obeys it, ms */
    this.latencies = [];
    this.stalledMs = this.playedMs = this.regenerated = 0;
    /** @type {(Partial<import('./protocol.js').BlockMessage> & { at_ms?: number, buffer_ms?: number })[]} */
    this.blocks = [];
    this.last = null;
  }

  /** An input was sent. @param {number} seq @param {number} now */
  input(seq, now) {
    this.inputs.set(seq, now);
    if (this.inputs.size > PENDING) this.inputs.delete(this.inputs.keys().next().value);
  }

  /** A block was announced. @param {Block} block @param {number} now @param {number} bufferMs */
  block(block, now, bufferMs) {
    const { node, parent, block: number, frames, splice, input_seq, made_ms, timings, held } = block;
    if (splice === null) this.generated.add(now, frames);
    else this.regenerated++;
    const at_ms = Math.round(now);
    const buffer_ms = Math.round(bufferMs);
    this.blocks.push({ node, parent, block: number, frames, splice, input_seq, held, made_ms, timings, at_ms, buffer_ms });
    if (this.blocks.length > KEPT) this.blocks.shift();
  }

  /**
   * A frame is on the screen. @param {number} index @param {Block | undefined} block its announcement
   * @param {number} now @param {number} [speed] at which it plays
   */
  frame(index, block, now, speed = 1) {
    this.displayed.add(now);
    if (this.last !== null) {
      const gap = now - this.last;
      const step = this.frameMs / speed;
      this.playedMs += gap;
      if (gap > 2 * step) this.stalledMs += gap - step;
    }
    this.last = now;
    if (!block || (block.splice !== null && index < block.splice)) return;
    for (const [seq, at] of this.inputs)
      if (seq <= block.input_seq) {
        this.inputs.delete(seq);
        this.latencies.push(now - at);
      }
  }

  /** Nothing is expected to move for a while (a pause, a lost connection): that is not measured. */
  rest() {
    this.last = null;
    this.inputs.clear();
    this.generated.times = [];
    this.displayed.times = [];
  }

  /** The share of the time in which the picture stood still though it should have moved. */
  get stalled() {
    return this.playedMs ? this.stalledMs / this.playedMs : 0;
  }

  /** The median of a stage over the last blocks in ms, or null. @param {string} stage like "dit" */
  stage(stage) {
    return median(this.blocks.slice(-LAST).flatMap(({ timings }) => timings?.[stage] ?? []));
  }

  /** All statistics at this moment. @param {number} now */
  summary(now) {
    const recent = this.latencies.slice(-LAST);
    return {
      frames_per_second_generated: this.generated.at(now),
      frames_per_second_displayed: this.displayed.at(now),
      latency_ms: { last: recent.at(-1) ?? null, median: median(recent), count: this.latencies.length },
      stages_ms: { dit: this.stage("dit"), vae: this.stage("vae"), encode: this.stage("encode") },
      block: this.blocks.at(-1)?.block ?? null,
      blocks_regenerated: this.regenerated,
      stalled_ms: this.stalledMs,
      played_ms: this.playedMs,
      stalled: this.stalled,
    };
  }
}

const FAILS = ", since H.264 fails in this browser";
const whole = (value, unit) => (value === null ? "–" : `${Math.round(value)} ${unit}`);

/**
 * The statistics in words, in the order in which they are shown.
 * @param {ReturnType<Meter["summary"]> & {buffer_ms: number, speed: number, slow: boolean, seed: number,
 *   checkpoint: string, codec: string, h264_failed?: boolean}} statistics  slow: the machine is slower than real time
 * @returns {[string, string][]}
 */
export function words(statistics) {
  const { latency_ms: latency, stages_ms: stages, speed } = statistics;
  const { frames_per_second_generated: generated, frames_per_second_displayed: displayed } = statistics;
  const rate = (value) => (value === null ? "–" : value.toFixed(1));
  return [
    ["Generated, displayed", `${rate(generated)}, ${rate(displayed)} fps`],
    ["Input latency", `${whole(latency.last, "ms")}, median ${whole(latency.median, "ms")}`],
    ["Buffer", whole(statistics.buffer_ms, "ms")],
    ["Block", `${statistics.block ?? "–"}, ${statistics.blocks_regenerated} regenerated`],
    ["Transformer, decoder, encoder", Object.values(stages).map((ms) => whole(ms, "ms")).join(", ")],
    ["Stalled", `${(statistics.stalled_ms / 1000).toFixed(1)} s (${(100 * statistics.stalled).toFixed(1)} %)`],
    ["Speed", `${speed.toFixed(2)}×${statistics.slow ? ", slower than real time" : ""}`],
    ["World", `${statistics.checkpoint}, seed ${statistics.seed}`],
    ["Codec", statistics.codec === "h264" ? "H.264" : `JPEG${statistics.h264_failed ? FAILS : ""}`],
  ];
}

/** The panel: the statistics as a list, and a button that saves them. */
export class Hud {
  /**
   * @param {HTMLElement} root
   * @param {() => {summary: Parameters<typeof words>[0], blocks: object[]} | null} measured what there is to show
   */
  constructor(root, measured) {
    this.root = root;
    this.list = root.querySelector("dl");
    this.measured = measured;
    root.querySelector("button").addEventListener("click", () => {
      const all = measured();
      if (all) save(`statistics-${all.summary.checkpoint}.json`, "application/json", JSON.stringify(all, null, 2));
    });
  }

  /** @param {boolean} on */
  show(on) {
    this.root.hidden = !on;
    this.update();
  }

  update() {
    const all = this.root.hidden ? null : this.measured();
    if (!all) return;
    words(all.summary)
      .flat()
      .forEach((text, i) => {
        const each = this.list.children[i] ?? this.list.appendChild(document.createElement(i % 2 ? "dd" : "dt"));
        if (each.textContent !== text) each.textContent = text;
      });
  }
}

/** Hands the visitor a file. @param {string} name @param {string} type @param {string} text */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
