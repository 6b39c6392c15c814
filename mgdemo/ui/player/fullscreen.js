/** Full screen by the browser's own means, or where it has or allows none (iPhone, frames), by filling the window. */

const FILLED = "filled"; // the class; its style is in player.css

/**
 * @param {HTMLElement} root
 * @returns {Promise<boolean>} whether it fills the screen or the window now
 */
export async function toggleFullScreen(root) {
  if (document.fullscreenElement) {
    await document.exitFullscreen().catch(() => {});
    return false;
  }
  if (root.classList.contains(FILLED)) return fill(root, false);
  try {
    await root.requestFullscreen();
  } catch {
    return fill(root, true); // missing (a TypeError) or refused
  }
  return true;
}

/** Escape leaves a filled window as it leaves the full screen. @param {HTMLElement} root */
export function leaveOnEscape(root) {
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.classList.contains(FILLED)) fill(root, false);
  });
}

/** @param {HTMLElement} root @param {boolean} on */
function fill(root, on) {
  root.classList.toggle(FILLED, on);
  document.documentElement.classList.toggle("player-filled", on);
  return on;
}
