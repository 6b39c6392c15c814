/** What the buttons and menus of the player do, and the keys that do the same. */

import { leaveOnEscape, toggleFullScreen } from "./fullscreen.js";
import { bindMenu, bindPictureMenu } from "./picture.js";
import { bindShortcuts } from "./shortcuts.js";

const AT_PLAY = ["pause", "step", "statistics"];

/**
 * @param {import("./view.js").View} view
 * @param {Record<"start" | "stop" | "toggle" | "step" | "back" | "cure" | "statistics", () => void>} actions
 * @param {{running: () => boolean, picture: () => {canvas: HTMLCanvasElement, frame: string} | null}} hooks
 *   running: whether there is a session; picture: the shown one
 */
export function bindButtons(view, actions, { running, picture }) {
  const { parts, root } = view;
  const fullScreen = async () => (await toggleFullScreen(root)) && view.focus();
  const { start, stop, toggle, step, back, statistics } = actions;
  const buttons = { start, stop, pause: toggle, step, statistics, full: fullScreen };
  for (const [name, action] of Object.entries(buttons))
    parts[name].addEventListener("click", (event) => {
      action();
      // Clicked, not pressed by a key: the next Space is the world's.
      if (event.detail && AT_PLAY.includes(name)) view.focus();
    });
  parts.note.querySelector("button").addEventListener("click", () => {
    actions.cure();
    view.focus();
  });
  // A rewind by pointer is followed by playing; one by key stays on the slider.
  parts.past.addEventListener("pointerup", () => view.focus());
  bindMenu(parts.keep);
  bindMenu(parts.settings);
  bindPictureMenu(/** @type {any} */ (parts), picture);
  const keys = { KeyP: toggle, Period: step, Backspace: back, KeyH: statistics, KeyF: fullScreen };
  bindShortcuts(keys, { running, shown: () => view.shown });
  leaveOnEscape(root);
}
