/** Keys that are no controls; like those, they count by their place on the keyboard. */

import { isTyping } from "./input.js";

const REPEATED = new Set(["Period", "Backspace"]); // while they are held

/**
 * @param {Record<string, () => void>} actions by the code of their key
 * @param {{shown: () => boolean, running: () => boolean}} hooks shown: whether the player can be seen
 */
export function bindShortcuts(actions, { shown, running }) {
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event, running()) || !shown()) return;
    const action = actions[event.code];
    if (!action || (event.repeat && !REPEATED.has(event.code))) return;
    event.preventDefault();
    action();
  });
}
