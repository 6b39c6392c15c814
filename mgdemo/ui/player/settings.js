/** The visitor's own switches, remembered by the browser where that is allowed. */

const KEY = "mgdemo.player";

/**
 * Binds the checkboxes inside `root`, each by its name, to what is remembered.
 * @param {HTMLElement} root @param {() => void} onchange
 * @returns {Record<string, HTMLInputElement>} they hold the values
 */
export function switches(root, onchange) {
  const boxes = Object.fromEntries([...root.querySelectorAll("input")].map((box) => [box.name, box]));
  for (const [name, on] of Object.entries(remembered())) if (boxes[name]) boxes[name].checked = on === true;
  root.addEventListener("change", () => {
    const values = Object.fromEntries(Object.entries(boxes).map(([name, { checked }]) => [name, checked]));
    try {
      localStorage.setItem(KEY, JSON.stringify(values));
    } catch {
      // a frame of another site may not remember anything
    }
    onchange();
  });
  return boxes;
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
