/** Where a cell's film is seen: its canvas, and the film once it is open. */

import { element } from "./dom.js";
import { openFilm } from "./films.js";

const SMALL = 512; // pixels; narrower pictures are drawn doubled, so that their edges stay crisp

export class Screen {
  /** @param {number} fps @param {() => void} onchange  its film is open, is not any more, or cannot be shown */
  constructor(fps, onchange) {
    this.fps = fps;
    this.onchange = onchange;
    /** @type {import("./film.js").Film | null} */
    this.film = null;
    /** Whether the film is read frame by frame. */
    this.exact = true;
    /** Why there is no film, in words. */
    this.problem = "";
    this.canvas = element("canvas", { role: "img" });
    this.context = this.canvas.getContext("2d", { alpha: false });
  }

  /** Opens a film, unless it is open. @param {import("./types.js").CellData} data @param {number} budget bytes of decoded frames */
  async open({ title, video, width, height }, budget) {
    if (!video || this.opening === video) return;
    this.opening = video;
    this.problem = "";
    const scale = width < SMALL ? 2 : 1;
    Object.assign(this.canvas, { width: width * scale, height: height * scale });
    this.context.imageSmoothingEnabled = false;
    const fail = (error) => {
      console.error(`The film of ${title} cannot be shown:`, error);
      this.close();
      this.problem = "Its film cannot be shown in this browser.";
      this.onchange();
    };
    try {
      const { film, exact } = await openFilm(video, this.fps, budget);
      if (this.opening !== video) return film.close();
      film.onfail = fail;
      this.film = film;
      this.exact = exact;
    } catch (error) {
      if (this.opening === video) return fail(error);
    }
    this.onchange();
  }

  /** Lets go of its film. */
  close() {
    this.opening = null;
    this.film?.close();
    this.film = null;
  }
}
