/** Tells when the page is hidden and shown again; not when it goes for good, or is loaded again. */

/** @param {(hidden: boolean) => void} onchange */
export function watchVisibility(onchange) {
  let leaving = false;
  window.addEventListener("pagehide", () => (leaving = true)); // comes first
  window.addEventListener("pageshow", () => (leaving = false));
  document.addEventListener("visibilitychange", () => leaving || onchange(document.hidden));
}
