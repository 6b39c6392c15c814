/** Enlarges pictures on the GPU, by the shaders of enlarger_shaders.js. Knows WebGL 2, and nothing of the page. */

import { ENLARGE, GUIDE, TRIANGLE } from "./enlarger_shaders.js";

const TRIAL = [160, 90, 640, 360]; // two sizes of which the time is taken, in pixels
const HOPELESS_MS = 12; // for the smaller one
const [PICTURE, HINTS] = [0, 1]; // units of textures
const POLL_MS = 30; // between two looks whether the shaders are compiled

export class Enlarger {
  /** @param {HTMLCanvasElement} canvas to draw on. Throws an Error where there is no WebGL 2. */
  constructor(canvas) {
    this.canvas = canvas;
    const options = { alpha: false, antialias: false, depth: false, powerPreference: "low-power" };
    /** @type {WebGL2RenderingContext} */
    this.gl = /** @type {any} */ (canvas.getContext("webgl2", options));
    if (!this.gl) throw new Error("this browser has no WebGL 2");
    this.size = { width: 0, height: 0 }; // of the picture that was taken last
    /** @type {WebGLProgram | null} */
    this.guide = null;
    /** @type {WebGLProgram | null} */
    this.enlarge = null;
    /** @type {WebGLTexture | null} what the first pass has found */
    this.hints = null;
    /** @type {WebGLFramebuffer | null} */
    this.buffer = null;
    /** @type {WebGLUniformLocation | null} */
    this.drawn = null;
  }

  /** Compiles, without keeping the page waiting. Rejects with an Error where that fails. */
  async prepare() {
    const { gl } = this;
    const parallel = gl.getExtension("KHR_parallel_shader_compile");
    const programs = [GUIDE, ENLARGE].map((text) => this.link(text));
    if (parallel)
      while (!programs.every((program) => gl.getProgramParameter(program, parallel.COMPLETION_STATUS_KHR)))
        await new Promise((resolve) => setTimeout(resolve, POLL_MS)); // a lost context counts as complete
    for (const program of programs)
      if (!gl.getProgramParameter(program, gl.LINK_STATUS))
        throw new Error(`the shaders do not compile: ${gl.getProgramInfoLog(program)}`);
    [this.guide, this.enlarge] = programs;
    this.texture(PICTURE, gl.NEAREST);
    this.hints = this.texture(HINTS, gl.LINEAR);
    this.buffer = gl.createFramebuffer();
    gl.useProgram(this.enlarge); // in the other one, the picture is 0 by itself
    gl.uniform1i(gl.getUniformLocation(this.enlarge, "guide"), HINTS);
    this.drawn = gl.getUniformLocation(this.enlarge, "drawn");
  }

  /** @param {string} text of a fragment shader */
  link(text) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of /** @type {[number, string][]} */ ([
      [gl.VERTEX_SHADER, TRIANGLE],
      [gl.FRAGMENT_SHADER, text],
    ])) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    return program;
  }

  /** @param {number} unit where it stays @param {number} filter */
  texture(unit, filter) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, filter);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    return texture;
  }

  /**
   * Takes a picture, and looks at its edges. @param {TexImageSource} image of the size
   * @param {{width: number, height: number}} size
   */
  take(image, { width, height }) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + PICTURE);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.buffer);
    if (width !== this.size.width || height !== this.size.height) {
      this.size = { width, height };
      gl.activeTexture(gl.TEXTURE0 + HINTS);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.hints, 0);
    }
    this.run(this.guide, width, height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /** Draws it on the whole canvas. */
  draw() {
    this.drawAt(this.canvas.width, this.canvas.height);
  }

  drawAt(width, height) {
    this.gl.useProgram(this.enlarge);
    this.gl.uniform2f(this.drawn, width, height);
    this.run(this.enlarge, width, height);
  }

  run(program, width, height) {
    const { gl } = this;
    gl.useProgram(program);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** How long a million pixels take here, in ms. Keeps the page waiting, so it is asked once. */
  msPerMegapixel() {
    const [width, height, largeWidth, largeHeight] = TRIAL;
    Object.assign(this.canvas, { width: largeWidth, height: largeHeight });
    this.take(new ImageData(width, height), { width, height });
    this.time(width, height, 1); // the first time, drivers still prepare something
    const small = this.time(width, height, 2);
    if (small > HOPELESS_MS) return (1e6 * small) / (width * height);
    // What both have in common is waiting for the answer.
    const more = largeWidth * largeHeight - width * height;
    return (1e6 * Math.max(0, this.time(largeWidth, largeHeight, 2) - small)) / more;
  }

  /** The least time in ms of some drawings: others only wait for something else. */
  time(width, height, times) {
    const { gl } = this;
    let least = Infinity;
    for (let i = 0; i < times; i++) {
      const began = performance.now();
      this.drawAt(width, height);
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)); // waits until it is drawn
      least = Math.min(least, performance.now() - began);
    }
    return least;
  }

  get lost() {
    return this.gl.isContextLost();
  }

  /** Gives the GPU's memory back. */
  close() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
