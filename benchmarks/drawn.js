/**
 * Calls back after the page has drawn on a canvas, when the browser is about to put that on the screen. So a
 * measurement keeps no page busy that has nothing to show.
 */

/** @type {Map<HTMLCanvasElement, {callbacks: ((now: number) => void)[], asked: boolean}>} */
const watched = new Map();
const { drawImage } = CanvasRenderingContext2D.prototype;

CanvasRenderingContext2D.prototype.drawImage = function (...args) {
  drawImage.apply(this, args);
  const it = watched.get(this.canvas);
  if (!it || it.asked) return;
  it.asked = true;
  requestAnimationFrame(() => {
    it.asked = false;
    for (const callback of it.callbacks) callback(performance.now());
  });
};

/** @param {HTMLCanvasElement} canvas @param {(now: number) => void} callback */
window.afterDrawing = (canvas, callback) => {
  const it = watched.get(canvas) ?? { callbacks: [], asked: false };
  watched.set(canvas, it);
  it.callbacks.push(callback);
};
