/**
 * A sharper picture: a canvas over the player's own, on which the GPU enlarges each picture. What is below stays as it
 * is, is what pictures are saved from, and is seen where this is switched off, impossible, or would take too long.
 */

import { Enlarger } from "./enlarger.js";

const LEAST_SCALE = 1.1; // below which there is nothing to enlarge
const LEAST_GAIN = 1.5; // times the picture's size, below which a smaller drawing is not worth it
const SLOW = "this computer is too slow for it";
const IMPOSSIBLE = "this browser cannot do it";

/** @typedef {{width: number, height: number}} Size */

/**
 * At which size to draw: that of the screen, or less where the machine cannot do as much.
 * @param {Size} picture in its own pixels @param {Size} box in pixels of the screen
 * @param {number} megapixels that can be drawn in time
 * @returns {Size | null} null: it gains nothing
 */
export function sizeFor(picture, box, megapixels) {
  if (!(box.width >= LEAST_SCALE * picture.width)) return null;
  const share = Math.sqrt(Math.min(1, (1e6 * megapixels) / (box.width * box.height)));
  const size = { width: Math.round(box.width * share), height: Math.round(box.height * share) };
  return share === 1 || size.width >= LEAST_GAIN * picture.width ? size : null;
}

/** What a million pixels cost in ms: measured once on a page. @type {number | null} */
let cost = null;

export class Sharper {
  /**
   * @param {HTMLCanvasElement} below the player's own
   * @param {{current: () => HTMLCanvasElement, onunable: (why: string) => void}} hooks current: the picture that the
   *   player shows; onunable: it is impossible here
   */
  constructor(below, { current, onunable }) {
    this.below = below;
    this.current = current;
    this.onunable = onunable;
    this.on = false;
    /** @type {Enlarger | null} */
    this.enlarger = null;
    this.ready = this.unable = false;
    /** @type {Size} */
    this.picture = { width: 0, height: 0 };
    /** @type {Size} of the page's pixels */
    this.box = { width: 0, height: 0 };
    new ResizeObserver(([entry]) => this.resize(entry)).observe(below);
  }

  /** @param {boolean} on */
  switch(on) {
    this.on = on;
    if (on) this.prepare();
    else this.close();
  }

  /** Pictures of this size come. @param {number} width @param {number} height */
  configure(width, height) {
    this.picture = { width, height };
    this.prepare();
  }

  async prepare() {
    if (!this.on || !this.picture.width || this.enlarger || this.unable) return;
    const canvas = Object.assign(document.createElement("canvas"), { className: "sharper", hidden: true });
    canvas.ariaHidden = "true";
    canvas.addEventListener("webglcontextlost", () => this.enlarger?.canvas === canvas && this.close());
    try {
      const enlarger = (this.enlarger = new Enlarger(canvas));
      await enlarger.prepare();
      if (enlarger !== this.enlarger) return; // it was switched off meanwhile, or the GPU went away
      cost ??= enlarger.msPerMegapixel();
    } catch (error) {
      return this.fail(error);
    }
    const [width, height] = [2 * this.picture.width, 2 * this.picture.height];
    if (!sizeFor(this.picture, { width, height }, this.megapixels)) return this.giveUp(SLOW);
    this.below.after(canvas);
    this.ready = true;
    this.show(this.current());
  }

  /** How much can be drawn in the time that a picture may take. */
  get megapixels() {
    const { sharperMs } = /** @type {HTMLElement} */ (this.below.closest(".player")).dataset;
    return Number(sharperMs) / cost;
  }

  /** The player shows this picture now. @param {TexImageSource} image */
  show(image) {
    if (!this.ready) return;
    try {
      this.enlarger.take(image, this.picture);
      this.draw();
    } catch (error) {
      this.fail(error);
    }
  }

  draw() {
    const { canvas } = this.enlarger;
    const [width, height] = [this.box.width, this.box.height].map((css) => Math.round(css * devicePixelRatio));
    const size = sizeFor(this.picture, { width, height }, this.megapixels);
    canvas.hidden = !size;
    if (!size) return;
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
    this.enlarger.draw();
  }

  /** @param {ResizeObserverEntry} entry */
  resize({ contentRect: { width, height } }) {
    this.box = { width, height };
    if (this.ready) this.draw();
  }

  /** @param {unknown} error */
  fail(error) {
    if (this.enlarger?.lost) return this.close(); // by accident: the next session tries again
    console.warn("pictures are not made sharper:", error);
    this.giveUp(IMPOSSIBLE);
  }

  /** @param {string} why */
  giveUp(why) {
    this.close();
    this.unable = true;
    this.onunable(why);
  }

  close() {
    const { enlarger } = this;
    this.enlarger = null;
    this.ready = false;
    enlarger?.canvas.remove();
    enlarger?.close();
  }
}
