/**
 * A film of which any frame can be had: decoded by WebCodecs into a cache that is bounded in bytes.
 *
 * @typedef {{frames: number, has(frame: number): boolean, want(frame: number, direction: number, speed?: number): void,
 *   draw(context: CanvasRenderingContext2D, frame: number): void, close(): void, onready: () => void,
 *   onfail: (why: unknown) => void}} Film
 *   want: asks for a frame and for those that come next in that direction (1 or -1; speed: 0 at rest); onready: a
 *   frame that was wanted is there; draw: over the whole canvas, only what it `has`
 */

import { readIndex } from "./mp4.js";
import { Packets, configFor } from "./packets.js";
import { BYTES } from "./pictures.js";

const AHEAD = 12; // frames that are decoded before they are due
const LEAST = 8; // frames that a cache holds at least

/**
 * @param {ArrayBuffer} bytes of an mp4
 * @param {number} budget bytes of decoded frames
 * @returns {Promise<DecodedFilm | null>} null: this browser cannot decode it so
 * @throws {import("./mp4.js").NotAFilm}
 */
export async function openDecoded(bytes, budget) {
  const index = readIndex(bytes);
  const config = await configFor(index);
  return config && index.samples.length ? new DecodedFilm(bytes, index, config, budget) : null;
}

/** @implements {Film} */
export class DecodedFilm {
  /** @param {ArrayBuffer} bytes @param {import("./mp4.js").Index} index @param {VideoDecoderConfig} config @param {number} budget */
  constructor(bytes, index, config, budget) {
    this.frames = index.samples.length;
    this.frameBytes = index.width * index.height * BYTES;
    this.setBudget(budget);
    /** @type {Map<number, import("./pictures.js").Picture>} */
    this.cache = new Map();
    this.target = 0;
    this.direction = 1;
    this.onready = () => {};
    /** @type {(why: unknown) => void} */
    this.onfail = () => {};
    this.packets = new Packets(bytes, index, config, {
      onpicture: (frame, picture) => this.keep(frame, picture),
      onidle: () => this.pump(),
      onfail: (why) => this.onfail(why),
    });
  }

  /** @param {number} budget bytes of decoded frames */
  setBudget(budget) {
    this.capacity = Math.max(LEAST, Math.floor(budget / this.frameBytes));
  }

  has(frame) {
    return this.cache.has(frame);
  }

  want(frame, direction) {
    this.target = frame;
    this.direction = direction;
    this.pump();
  }

  draw(context, frame) {
    this.cache.get(frame).draw(context);
  }

  close() {
    this.closed = true;
    this.packets.stop();
    for (const picture of this.cache.values()) picture.close();
    this.cache.clear();
  }

  /** The next frame to decode: the target, or one that will be wanted soon; -1: all are there. */
  missing() {
    const many = Math.min(AHEAD, this.capacity - 2);
    for (let i = 0; i <= many; i++) {
      const frame = this.target + i * this.direction;
      if (frame < 0 || frame >= this.frames) break;
      if (!this.cache.has(frame)) return frame;
    }
    return -1;
  }

  /** Has the next missing frame decoded. */
  pump() {
    const frame = this.closed ? -1 : this.missing();
    if (frame >= 0) this.packets.decode(frame);
  }

  /** A decoded frame goes into the cache. @param {number} frame @param {import("./pictures.js").Picture} picture */
  keep(frame, picture) {
    if (this.closed || this.cache.has(frame)) {
      picture.close();
      return false;
    }
    this.cache.set(frame, picture);
    this.evict();
    this.onready();
    return true;
  }

  /** Lets go of the frames that are furthest from the wanted one; behind it they are further. */
  evict() {
    const far = (frame) => {
      const ahead = (frame - this.target) * this.direction;
      return ahead >= 0 ? ahead : -2 * ahead;
    };
    while (this.cache.size > this.capacity) {
      let worst = -1;
      for (const frame of this.cache.keys()) if (worst < 0 || far(frame) > far(worst)) worst = frame;
      this.cache.get(worst).close();
      this.cache.delete(worst);
    }
  }
}
