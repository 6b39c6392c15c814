/**
 * The playout clock: decides when each received video frame is due, without touching the page.
 *
 * The server makes the next block just before the last one runs out, so the buffer is short on purpose.
 * Three things keep it right: a late block slows playback evenly instead of freezing it once per block, a
 * buffer that never gets near empty is trimmed by playing slightly faster, and a buffer that ran dry for a
 * moment asks for some reserve by reporting less than it has.
 *
 * A block may be regenerated with newer input, from its frame `splice` on. That must not tear the picture: its
 * packets are collected until it is whole, then take the place of the earlier ones that are still to be shown.
 *
 * @typedef {{block: number, node: number, parent?: number, first_frame: number, frames: number, made_ms: number,
 *   early_ms: number, splice: number | null, input_seq: number, held: string[], timings: Record<string, number>}} Block  an announcement
 * @typedef {{index: number, block: number, node: number, key: boolean, kind: number, data: Uint8Array, of?: Block,
 *   silent?: boolean}} Packet  of: its block, if it was announced; silent: to be decoded, not to be shown
 */

import { CODECS } from "./protocol.js";

const LOW_MARKS = 4; // blocks over which the low-water mark is taken
const RESERVE_LIMIT = 150; // ms
const STALL = 200; // ms behind the clock (a hidden tab, a frozen page) after which playback resumes instead of racing
const STALE = 2000; // ms of live video that is too old to be worth playing
const FRESH = 400; // ms that are then kept
const LOOK = 16; // ms between looks at whether something has come

export class Playout {
  /**
   * @param {{fps: number, live: boolean}} options live: trim the buffer to keep the answer to a key quick;
   *   otherwise (a scenario, made as fast as the server can) everything received is kept and played.
   */
  constructor({ fps, live }) {
    this.frameMs = 1000 / fps;
    this.live = live;
    /** Playback rate; 1 is the nominal frame rate. */
    this.speed = 1;
    /** The highest rate that the server can keep up, by the time that the last block took. */
    this.ceiling = 1;
    this.reserve = 0;
    /** @type {Packet[]} */
    this.queue = [];
    this.nextDue = 0;
    this.started = false;
    /** When the buffer ran dry, or null. */
    this.drySince = null;
    /** @type {number | null} since when nothing is shown, by wish */
    this.pausedAt = null;
    /** By how many ms the last block came before its moment on purpose. */
    this.early = 0;
    /** Whether the server makes blocks just in time now; else the buffer says nothing about it. */
    this.paced = true;
    /** The next frame that has not been shown. */
    this.next = 0;
    /** @type {{block: Block, packets: Packet[]} | null} a regenerated block that is not whole yet */
    this.regenerated = null;
    /** The node of the last packet, and how many packets came of it. @type {{node: number | null, frames: number}} */
    this.last = { node: null, frames: 0 };
    this.lows = [];
  }

  /** How many frames wait to be shown. */
  get waiting() {
    return this.queue.reduce((count, packet) => count + Number(!packet.silent), 0);
  }

  /** Milliseconds until a frame is due that is not there. @param {number} now */
  buffered(now) {
    if (!this.started) return 0;
    const step = this.frameMs / this.speed;
    return this.waiting * step + Math.max(0, Math.min(step, this.nextDue - (this.pausedAt ?? now)));
  }

  /** What to tell the server: the buffer less the reserve that recent trouble asks for. @param {number} now */
  reported(now) {
    return Math.max(0, this.buffered(now) - this.reserve);
  }

  /** Announces a block, before its packets. @param {Block} block */
  announce(block) {
    // One that is not whole by now never will be: what was lost on a slow connection ends at the next key frame.
    this.regenerated = block.splice === null ? null : { block, packets: [] };
    if (!this.regenerated) this.early = block.early_ms;
    // The first block's time includes reading the start image, so it says nothing about the next ones.
    if (!this.regenerated && this.last.node !== null && block.made_ms > 0)
      this.ceiling = (block.frames * this.frameMs) / block.made_ms;
  }

  /** Adds a received frame. @param {Packet} packet @param {number} now */
  push(packet, now) {
    if (this.regenerated?.block.node === packet.node) return this.collect(packet, now);
    if (packet.node !== this.last.node) {
      if (this.started && this.paced) this.adapt(now);
      this.last = { node: packet.node, frames: 0 };
    }
    this.last.frames++;
    this.queue.push(packet);
    this.wake(now);
  }

  /** There is something to show again, at once if nothing was. @param {number} now */
  wake(now) {
    if (!this.started || this.drySince !== null) this.nextDue = now;
    this.started = true;
    this.drySince = null;
  }

  /** Takes one packet of a regenerated block; with the last one, the block goes to its place in the queue. */
  collect(packet, now) {
    const { block, packets } = this.regenerated;
    packets.push(packet);
    if (packets.length < block.first_frame + block.frames - block.splice) return;
    this.regenerated = null;
    const from = Math.max(block.splice, this.next);
    const cut = this.queue.findIndex(({ index, silent }) => !silent && index >= from);
    if (cut >= 0) this.queue.length = cut;
    // H.264 starts over at the splice, so the decoder needs those before `from` too.
    for (const each of packets)
      if (each.index >= from) this.queue.push(each);
      else if (each.kind !== CODECS.jpeg) this.queue.push({ ...each, silent: true });
    if (packets.at(-1).index >= from) this.wake(now);
  }

  /** Sets the speed when a new block arrives, by how near the buffer came to running dry. */
  adapt(now) {
    if (this.drySince !== null) return this.slowDown(now - this.drySince);
    const low = this.buffered(now);
    this.lows = [...this.lows.slice(1 - LOW_MARKS), low - this.early];
    this.reserve *= 0.95;
    const spare = Math.min(...this.lows) - 2 * this.frameMs - this.reserve;
    if (this.speed < 1) {
      if (low > this.frameMs / 4) this.speed = Math.min(1, this.speed + 0.04);
      if (this.ceiling < 1 && spare < 0) this.speed = Math.min(this.speed, this.ceiling * 1.02);
    } else if (this.live && this.lows.length === LOW_MARKS && spare > 0) {
      this.speed = 1 + Math.min(0.25, 0.03 + spare / 4000);
    } else {
      this.speed = 1;
    }
  }

  /** A block came `late` ms after the buffer ran dry. @param {number} late */
  slowDown(late) {
    this.lows = [];
    const played = (this.last.frames * this.frameMs) / this.speed;
    const sustainable = (this.speed * played) / (played + late);
    if (this.ceiling < 1) this.speed = Math.max(sustainable, this.ceiling * 0.9);
    // Not the server's doing, and once may be an accident: go half the way. Again and again, that converges.
    else if (late > this.frameMs / 4) this.speed = (this.speed + sustainable) / 2;
    this.speed = Math.max(0.1, Math.min(this.speed, this.ceiling, 1));
    if (late > this.frameMs / 4) this.reserve = Math.min(RESERVE_LIMIT, this.reserve + Math.min(late, 40));
  }

  /** The packets to decode now, in order; usually none or one. @param {number} now @returns {Packet[]} */
  due(now) {
    const out = [];
    if (this.pausedAt !== null) return out;
    if (now - this.nextDue > STALL && this.queue.length) this.nextDue = now;
    // After a hidden tab: through the decoder, since later frames build on these, but not at their pace.
    if (this.live && this.waiting * this.frameMs > STALE)
      out.push(...this.queue.splice(0, this.queue.length - Math.round(FRESH / this.frameMs)));
    while (this.queue.length && (this.queue[0].silent || now >= this.nextDue)) {
      const packet = this.queue.shift();
      out.push(packet);
      if (!packet.silent) this.nextDue += this.frameMs / this.speed;
    }
    for (const { index, silent } of out) if (!silent) this.next = index + 1;
    if (this.started && !this.queue.length && this.drySince === null && now >= this.nextDue)
      this.drySince = this.nextDue;
    return out;
  }

  /** Milliseconds until there may be something to show. @param {number} now */
  wait(now) {
    if (!this.queue.length || this.pausedAt !== null) return LOOK;
    return Math.max(0, Math.min(this.frameMs, Math.ceil(this.nextDue - now)));
  }

  /** Milliseconds for which nothing was there to show. @param {number} now */
  dryFor(now) {
    return this.drySince === null || this.pausedAt !== null ? 0 : now - this.drySince;
  }

  /** Stops the clock: what is received waits. @param {number} now */
  pause(now) {
    this.pausedAt ??= now;
  }

  /** Lets the clock go on. @param {number} now @param {boolean} [paced] whether blocks come in time again */
  resume(now, paced = true) {
    if (this.pausedAt === null) return;
    this.nextDue += now - this.pausedAt;
    this.pausedAt = null;
    this.paced = paced;
    this.lows = [];
    if (!this.waiting) this.restart();
  }

  /** Nothing is expected before the next packet, however late it comes. */
  restart() {
    this.started = false;
    this.drySince = null;
  }

  /** A new connection starts with a key frame: what came before is too old to be played, except of a scenario. */
  connect() {
    if (this.live) this.clear();
    else if (!this.queue.length) this.restart();
  }

  /** Forgets what was received; the rates learned stay. */
  clear() {
    this.queue = [];
    this.regenerated = null;
    this.lows = [];
    this.restart();
  }

  /** Stands elsewhere: frame `next` is the next one to come and to be shown. @param {number} next */
  rewind(next) {
    this.clear();
    this.next = next;
  }
}
