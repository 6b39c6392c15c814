/**
 * The pictures of one session: received, shown when they are due, acknowledged and measured. What others need to
 * know of that becomes events of the lifecycle.
 *
 * @typedef {import("./playout.js").Packet} Packet
 * @typedef {import("./playout.js").Block} Block
 * @typedef {import("./protocol.js").Welcome} Welcome
 */

import { Screen, h264Failed, parsePacket } from "./decoder.js";
import { Playout } from "./playout.js";
import { Meter } from "./stats.js";

const SPIN_AFTER_MS = 600; // a shorter wait for pictures is not worth a word

export class Playback {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} hooks
   * @param {(event: {type: string}) => void} hooks.dispatch
   * @param {(message: object) => void} hooks.send
   * @param {() => string} hooks.phase of the lifecycle
   * @param {() => boolean} hooks.running whether there may be something to show, now or later
   * @param {(packet: Packet) => void} hooks.onshown
   * @param {(now: number) => void} hooks.ontick
   * @param {(why: string) => void} hooks.onblunt  pictures cannot be made sharper here
   */
  constructor(canvas, hooks) {
    this.hooks = hooks;
    this.screen = new Screen(canvas, {
      onshown: (packet) => this.onshown(packet),
      onneedkey: () => hooks.send({ type: "keyframe" }),
      onbroken: () => hooks.dispatch({ type: "undecodable" }),
      onblunt: hooks.onblunt,
    });
    /** @type {Welcome | null} */
    this.welcome = null;
    /** @type {Playout | null} */
    this.playout = null;
    /** @type {Meter | null} */
    this.meter = null;
    this.live = this.ticking = false;
    this.reset();
  }

  reset() {
    /** @type {Block | null} the last one that was announced */
    this.latest = null;
    this.whole = -1; // the last block that is here completely
    this.still = false; // whether the next packet is the picture at which a rewind has arrived
    this.standing = false;
    this.once = this.arriving = false; // one block is shown in a pause; it is not here yet
  }

  /** A session's pictures come, for the first time. @param {Welcome} welcome @param {boolean} live */
  open(welcome, live) {
    this.live = live;
    this.playout = new Playout({ fps: welcome.fps, live });
    this.meter = new Meter(welcome.fps);
    this.reset();
    this.screen.configure(welcome);
    this.connect(welcome);
  }

  /** They come over a new connection, which begins with a key frame. @param {Welcome} welcome */
  connect(welcome) {
    this.welcome = welcome;
    this.latest = null;
    if (this.live) this.screen.close();
    this.playout.connect();
    this.run();
  }

  /** Discards what was received. */
  clear() {
    this.screen.close();
    this.playout?.clear();
  }

  /** There is nothing of an earlier session. */
  forget() {
    this.welcome = this.playout = this.meter = null;
  }

  /** Whether something is still to be shown. */
  get busy() {
    return Boolean(this.playout?.queue.length) || this.screen.busy;
  }

  // What comes

  /** @param {Block} block */
  block(block) {
    const now = performance.now();
    this.standing = false;
    this.latest = block;
    this.playout.announce(block);
    this.meter.block(block, now, this.playout.buffered(now));
  }

  /** @param {ArrayBuffer} data */
  packet(data) {
    const packet = parsePacket(data);
    if (this.still) {
      this.still = false;
      return this.screen.show(packet);
    }
    const now = performance.now();
    // None: the block began before this page was there.
    if (this.latest?.node === packet.node) packet.of = this.latest;
    this.playout.push(packet, now);
    const { of } = packet;
    if (!of || of.splice !== null || packet.index + 1 < of.first_frame + of.frames) return;
    this.whole = of.block;
    this.arriving = false;
    this.acknowledge(now);
  }

  /** The session stands at the end of another block; a picture of it follows. */
  rewound({ block, frames }) {
    this.playout.rewind(frames);
    this.screen.close();
    this.latest = null;
    this.still = true;
    this.whole = block;
  }

  /** Acknowledges the block that is here, with how much there is to show. */
  acknowledge(now = performance.now()) {
    if (this.whole < 0 || !this.playout) return;
    const buffered = Math.round(this.playout.reported(now));
    this.hooks.send({ type: "ack", block: this.whole, buffer_ms: buffered });
  }

  // The clock

  hold() {
    this.once = false;
    this.playout?.pause(performance.now());
    this.rest();
  }

  /** @param {boolean} once only for the next block */
  release(once) {
    const now = performance.now();
    this.playout.pause(now); // a step may be under way
    this.playout.resume(now, !once);
    this.once = this.arriving = once;
    this.rest();
  }

  /** The server makes no blocks: when the last one is shown, nothing is late. */
  stand() {
    this.standing = true;
    this.rest();
  }

  /** Nothing has to move for a while: that is not measured. */
  rest() {
    this.meter?.rest();
  }

  /** Runs while there may be something to show: decoded when it is due, it still comes with the screen's next picture. */
  run() {
    if (this.ticking) return;
    this.ticking = true;
    const tick = () => {
      this.ticking = this.playout !== null && this.hooks.running();
      if (!this.ticking) return;
      this.tick(performance.now());
      if (document.hidden) requestAnimationFrame(tick); // when it is seen again
      else setTimeout(tick, this.playout?.wait(performance.now()));
    };
    tick();
  }

  /** @param {number} now */
  tick(now) {
    const { playout, hooks } = this;
    for (const packet of playout.due(now)) this.screen.show(packet);
    if (this.standing && !playout.queue.length) playout.restart();
    if (this.once && !this.arriving && !playout.queue.length) hooks.dispatch({ type: "stepped" });
    if (!this.live && !this.busy) hooks.dispatch({ type: "drained" });
    if (playout.dryFor(now) > SPIN_AFTER_MS) hooks.dispatch({ type: "dry" });
    hooks.ontick(now);
  }

  /** @param {Packet} packet */
  onshown(packet) {
    this.hooks.dispatch({ type: "shown" });
    if (this.hooks.phase() === "playing")
      this.meter.frame(packet.index, packet.of, performance.now(), this.playout.speed);
    this.hooks.onshown(packet);
  }

  /** An input was sent. @param {number} seq */
  input(seq) {
    if (["playing", "standing"].includes(this.hooks.phase())) this.meter?.input(seq, performance.now());
  }

  /** All that is measured now, and of what. */
  measured() {
    if (!this.meter) return null;
    const now = performance.now();
    const { checkpoint, seed, mode, codec, width, height, fps } = this.welcome;
    const { speed, ceiling } = this.playout;
    const summary = {
      ...{ checkpoint, seed, mode, codec, width, height, fps },
      ...this.meter.summary(now),
      ...{ buffer_ms: this.playout.buffered(now), speed, slow: ceiling < 1 && speed < 0.99 },
      h264_failed: h264Failed(),
    };
    return { summary, blocks: this.meter.blocks };
  }
}
