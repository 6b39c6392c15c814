/**
 * The playout clock: decides when each received video frame is due, without touching the page.
 *
 * The server makes the next block just before the last one runs out, so the buffer is short on purpose.
 * Three things keep it right: a late block slows playback evenly instead of freezing it once a block, a
 * buffer that never gets near empty is trimmed by playing slightly faster, and a buffer that ran dry for a
 * moment asks for some reserve by reporting less than it has.
 *
 * @typedef {{index: number, block: number, key: boolean, kind: number, data: Uint8Array}} Packet
 */

const LOW_MARKS = 4; // blocks over which the low-water mark is taken
const RESERVE_LIMIT = 150; // ms
const STALL = 200; // ms behind the clock (a hidden tab, a frozen page) after which we go on instead of racing
const STALE = 2000; // ms of live video that is too old to be worth playing
const FRESH = 400; // ms that are then kept

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
    this.lastBlock = -1;
    this.lastBlockFrames = 0;
    this.lows = [];
    this.shownAt = [];
  }

  /** Milliseconds of video received and not yet due. @param {number} now */
  buffered(now) {
    if (!this.queue.length) return 0;
    const step = this.frameMs / this.speed;
    return this.queue.length * step + Math.max(0, Math.min(step, this.nextDue - now)) - step;
  }

  /** What to tell the server: the buffer less the reserve that recent trouble asks for. @param {number} now */
  reported(now) {
    return Math.max(0, this.buffered(now) - this.reserve);
  }

  /** Announces a block, before its packets. @param {number} frames @param {number} madeMs */
  announce(frames, madeMs) {
    // The first block's time includes reading the start image, so it says nothing about the next ones.
    if (this.lastBlock >= 0 && madeMs > 0) this.ceiling = (frames * this.frameMs) / madeMs;
  }

  /** Adds a received frame. @param {Packet} packet @param {number} now */
  push(packet, now) {
    if (packet.block !== this.lastBlock) {
      if (this.started) this.adapt(now);
      this.lastBlock = packet.block;
      this.lastBlockFrames = 0;
    }
    this.lastBlockFrames++;
    if (!this.started || this.drySince !== null) this.nextDue = now;
    this.started = true;
    this.drySince = null;
    this.queue.push(packet);
  }

  /** Sets the speed when a new block arrives, by how near the buffer came to running dry. */
  adapt(now) {
    if (this.drySince !== null) return this.slowDown(now - this.drySince);
    const low = this.buffered(now);
    this.lows = [...this.lows.slice(1 - LOW_MARKS), low];
    this.reserve *= 0.95;
    const spare = Math.min(...this.lows) - this.frameMs - this.reserve;
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
    const played = (this.lastBlockFrames * this.frameMs) / this.speed;
    const sustainable = (this.speed * played) / (played + late);
    if (this.ceiling < 1) this.speed = Math.max(sustainable, this.ceiling * 0.9);
    // Not the server's doing, and once may be an accident: go half the way. Again and again, that converges.
    else if (late > this.frameMs / 4) this.speed = (this.speed + sustainable) / 2;
    this.speed = Math.max(0.1, Math.min(this.speed, this.ceiling, 1));
    if (late > this.frameMs / 4) this.reserve = Math.min(RESERVE_LIMIT, this.reserve + Math.min(late, 40));
  }

  /** The frames to show now, in order; usually none or one. @param {number} now @returns {Packet[]} */
  due(now) {
    const out = [];
    if (now - this.nextDue > STALL && this.queue.length) this.nextDue = now;
    // After a hidden tab: through the decoder, since later frames build on these, but not at their pace.
    if (this.live && this.queue.length * this.frameMs > STALE)
      out.push(...this.queue.splice(0, this.queue.length - Math.round(FRESH / this.frameMs)));
    while (this.queue.length && now >= this.nextDue) {
      out.push(this.queue.shift());
      this.nextDue += this.frameMs / this.speed;
      this.shownAt.push(now);
    }
    if (this.started && !this.queue.length && this.drySince === null && now >= this.nextDue)
      this.drySince = this.nextDue;
    while (this.shownAt.length && now - this.shownAt[0] > 2000) this.shownAt.shift();
    return out;
  }

  /** Milliseconds for which nothing was there to show. @param {number} now */
  dryFor(now) {
    return this.drySince === null ? 0 : now - this.drySince;
  }

  /** Frames shown a second, measured over the last two seconds. @param {number} now */
  shownRate(now) {
    const times = this.shownAt.filter((at) => now - at <= 2000);
    return times.length < 3 ? 0 : ((times.length - 1) * 1000) / (times.at(-1) - times[0]);
  }

  /** Forgets what was received (a new connection starts with a key frame); the rates learnt stay. */
  clear() {
    this.queue = [];
    this.drySince = null;
    this.started = false;
    this.lows = [];
  }
}
