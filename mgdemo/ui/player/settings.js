/** The visitor's own settings, kept by the browser. */

import { remember, remembered } from "./storage.js";

const KEY = "mgdemo.player";

/**
 * Binds the named checkboxes inside `root` to what is remembered.
 * @param {HTMLElement} root @param {() => void} onchange
 * @returns {Record<string, HTMLInputElement>} they hold the values
 */
export function settings(root, onchange) {
  /** @type {NodeListOf<HTMLInputElement>} */
  const inputs = root.querySelectorAll("input[name]");
  const boxes = Object.fromEntries([...inputs].map((box) => [box.name, box]));
  for (const [name, on] of Object.entries(remembered(KEY))) if (boxes[name]) boxes[name].checked = on === true;
  root.addEventListener("change", () => {
    remember(KEY, Object.fromEntries(Object.entries(boxes).map(([name, { checked }]) => [name, checked])));
    onchange();
  });
  return boxes;
}

/** A switch that does nothing here says so. @param {HTMLInputElement} box @param {string} why */
export function disable(box, why) {
  box.disabled = true;
  box.labels[0].querySelector(".unable").textContent = `(${why})`;
}
