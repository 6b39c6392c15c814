/**
 * What the browser keeps of a page while its tab is open, also when the page is loaded again: the tokens of its
 * sessions and what was chosen. Kept twice, since a frame of another site may be forbidden to store anything, and a
 * link that is opened begins a new entry of the history.
 */

/** @param {string} key @param {any} value a JSON value */
export function keepInTab(key, value) {
  try {
    history.replaceState({ ...history.state, [key]: value }, "");
  } catch {
    // too large for this browser
  }
  try {
    sessionStorage.setItem(`mgdemo.${key}`, JSON.stringify(value));
  } catch {
    // forbidden, or full
  }
}

/** @param {string} key @returns {any} what was remembered, or null */
export function keptInTab(key) {
  try {
    const text = sessionStorage.getItem(`mgdemo.${key}`);
    if (text !== null) return JSON.parse(text);
  } catch {
    // forbidden
  }
  return history.state?.[key] ?? null;
}
