/** Opens a run's film in the best way that this browser and this page allow. */

import { openDecoded } from "./film.js";
import { openElement } from "./element_film.js";

/**
 * @param {string} address @param {number} fps @param {number} budget bytes of decoded frames
 * @returns {Promise<{film: import("./film.js").Film, exact: boolean}>} exact: any frame can be had, in any moment
 */
export async function openFilm(address, fps, budget) {
  try {
    if (typeof VideoDecoder !== "undefined") {
      const response = await fetch(address);
      if (!response.ok) throw new Error(`the server says ${response.status}`);
      const film = await openDecoded(await response.arrayBuffer(), budget);
      if (film) return { film, exact: true };
    }
  } catch (error) {
    console.warn("a film cannot be read frame by frame here:", error); // a page from a disk may not fetch its neighbors
  }
  return { film: await openElement(address, fps), exact: false };
}
