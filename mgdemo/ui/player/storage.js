/** What the browser remembers for this page, where that is allowed (a frame of another site may not). */

/** @param {string} key @returns {Record<string, any>} */
export function remembered(key) {
  try {
    const value = JSON.parse(localStorage.getItem(key));
    return value && typeof value === "object" && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

/** @param {string} key @param {Record<string, any>} value */
export function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // then it holds until the page is closed
  }
}
