/**
 * Reads the marks of `benchmarks/watermark.py` from a page's canvas, each time when so many pictures have been drawn
 * (`drawn.js`).
 */

window.marks = {
  seen: [],

  /** @param {{canvas: string, every: number, bits: number, rows: number, share: number}} options */
  begin({ canvas, every, bits, rows, share }) {
    const source = document.querySelector(canvas);
    const probe = new OffscreenCanvas(bits, rows).getContext("2d", { willReadFrequently: true, alpha: false });
    probe.imageSmoothingEnabled = false; // the middle of each cell
    let count = 0;
    window.afterDrawing(source, () => {
      if (count++ % every) return;
      probe.drawImage(source, 0, 0, source.width, source.height * share, 0, 0, bits, rows);
      const pixels = probe.getImageData(0, 0, bits, rows).data;
      this.seen.push(Array.from({ length: bits * rows }, (_, cell) => pixels[4 * cell + 1]));
    });
  },
};
