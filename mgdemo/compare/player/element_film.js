/**
 * A film in a `<video>` element, where WebCodecs is missing or the page may not read the file.
 *
 * The element plays by itself; every frame that it presents is kept for a moment, so that elements which are a few
 * frames apart still have one in common. A frame that it has skipped is sought. A page may hear of a frame so late
 * that it draws the next one: one frame is the most by which pictures differ, up to `FASTEST`.
 */

const KEPT = 6; // pictures
const LEAD = 3; // frames by which it may be ahead before it waits
const LOST = 12; // and beyond this it jumps
const LATE_MS = 20; // after which a presented frame is not believed: half of its time
export const FASTEST = 1; // speed at which that is so

/** @param {string} address @param {number} fps @returns {Promise<ElementFilm>} */
export function openElement(address, fps) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
  return new Promise((resolve, reject) => {
    video.onloadeddata = () => resolve(new ElementFilm(video, fps));
    video.onerror = () => reject(new Error(video.error?.message || "the film cannot be opened"));
    video.src = address;
  });
}

/** @implements {Film} */
export class ElementFilm {
  /** @param {HTMLVideoElement} video that has its first picture @param {number} fps */
  constructor(video, fps) {
    this.video = video;
    this.fps = fps;
    this.frames = Math.max(1, Math.round(video.duration * fps));
    /** @type {{frame: number, canvas: HTMLCanvasElement}[]} those presented last, the latest at the end */
    this.kept = [];
    this.presented = -1;
    this.onready = () => {};
    /** @type {(why: unknown) => void} */
    this.onfail = () => {};
    video.onerror = () => this.onfail(video.error);
    video.onseeked = () => this.arrived();
    this.listen();
    this.keep(0);
  }

  /** Hears of each presented frame, where the browser tells. */
  listen() {
    this.video.requestVideoFrameCallback?.((_, { mediaTime, expectedDisplayTime }) => {
      if (this.closed) return;
      this.keep(Math.round(mediaTime * this.fps), this.video.paused ? Infinity : expectedDisplayTime + LATE_MS);
      this.listen();
    });
  }

  /** The frame at the element's own time. */
  get now() {
    return Math.min(this.frames - 1, Math.floor(this.video.currentTime * this.fps + 1e-3));
  }

  /** Keeps the presented picture, if it is drawn by then. @param {number} frame @param {number} until ms */
  keep(frame, until = Infinity) {
    const { videoWidth: width, videoHeight: height } = this.video;
    const old = this.kept.findIndex((kept) => kept.frame === frame);
    const [place] = old >= 0 ? this.kept.splice(old, 1) : this.kept.length >= KEPT ? this.kept.splice(0, 1) : [];
    const canvas = place?.canvas ?? Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0);
    if (performance.now() > until) return;
    this.presented = frame;
    this.kept.push({ frame, canvas });
    this.onready();
  }

  /** The picture of a frame, if it is kept. @param {number} frame */
  picture(frame) {
    return this.kept.find((kept) => kept.frame === frame);
  }

  has(frame) {
    return Boolean(this.picture(frame));
  }

  want(frame, direction, speed = 0) {
    this.playing = speed > 0;
    this.wanted = frame;
    const { video } = this;
    if (this.playing && !video.requestVideoFrameCallback && !video.seeking && this.now !== this.presented)
      this.keep(this.now);
    const lead = this.presented - frame;
    const near = this.playing && lead > -LOST && (this.has(frame) || lead < 0);
    if (near && frame < this.frames - 1) this.run(speed, lead);
    else {
      video.pause();
      if (!this.has(frame)) this.seek(frame);
    }
  }

  /** @param {number} speed @param {number} lead frames by which the element is ahead */
  run(speed, lead) {
    const { video } = this;
    if (lead > LEAD) return video.pause();
    if (video.playbackRate !== speed) video.playbackRate = speed;
    if (video.paused && !video.seeking && lead <= 0) video.play().catch(this.onfail);
  }

  seek(frame) {
    if (this.video.seeking) return;
    this.video.currentTime = (frame + 0.5) / this.fps;
  }

  /** Is where it was to go; where that is not what is wanted any more, goes on. */
  arrived() {
    this.keep(this.now);
    if (!this.playing && this.wanted !== undefined && !this.has(this.wanted)) this.seek(this.wanted);
  }

  draw(context, frame) {
    context.drawImage(this.picture(frame).canvas, 0, 0, context.canvas.width, context.canvas.height);
  }

  close() {
    this.closed = true;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    this.kept.length = 0;
  }
}

/** @typedef {import("./film.js").Film} Film */
