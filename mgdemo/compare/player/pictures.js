/**
 * Decoded frames in memory of their own: a decoder that has all its pictures lent out makes no more.
 *
 * Plain pixels where the browser gives them: it keeps copies of other pictures that were drawn, by the hundred.
 *
 * @typedef {{draw(context: CanvasRenderingContext2D): void, close(): void}} Picture  draw: over the whole canvas
 */

export const BYTES = 4; // a pixel

/** @type {VideoFrameCopyToOptions} */
const RGBA = { format: "RGBA", colorSpace: "srgb" };

/** @param {VideoFrame} frame is closed @returns {Promise<Picture>} */
export async function pictureOf(frame) {
  const { width, height } = frame.visibleRect;
  try {
    const data = new Uint8ClampedArray(frame.allocationSize(RGBA));
    await frame.copyTo(data, RGBA);
    return new Pixels(new ImageData(data, width, height));
  } catch {
    return new Bitmap(await createImageBitmap(frame)); // a browser that converts no colors
  } finally {
    frame.close();
  }
}

/** @type {CanvasRenderingContext2D | null} in which pixels are scaled */
let scratch = null;

/** @implements {Picture} */
class Pixels {
  /** @param {ImageData} data */
  constructor(data) {
    this.data = data;
  }

  draw(context) {
    const { width, height } = context.canvas;
    const { data } = this;
    if (data.width === width && data.height === height) return context.putImageData(data, 0, 0);
    scratch ??= document.createElement("canvas").getContext("2d", { alpha: false });
    if (scratch.canvas.width !== data.width || scratch.canvas.height !== data.height)
      Object.assign(scratch.canvas, { width: data.width, height: data.height });
    scratch.putImageData(data, 0, 0);
    context.drawImage(scratch.canvas, 0, 0, width, height);
  }

  close() {
    this.data = null;
  }
}

/** @implements {Picture} */
class Bitmap {
  /** @param {ImageBitmap} bitmap */
  constructor(bitmap) {
    this.bitmap = bitmap;
  }

  draw(context) {
    context.drawImage(this.bitmap, 0, 0, context.canvas.width, context.canvas.height);
  }

  close() {
    this.bitmap.close();
  }
}
