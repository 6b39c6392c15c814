/**
 * The line to the server: one WebSocket a play, opened again with the same token when it drops.
 */

import { VERSION } from "./protocol.js";

const RETRY_MS = 30_000; // the server keeps a play this long without its visitor
const SILENCE_MS = 8_000; // the server says something at least once a second; a line this silent is dead
const ELSEWHERE = 4409; // a duplicated tab has taken up the play
const FINAL = new Set([4400, 4404, ELSEWHERE]); // refused; unknown play: no use trying again either

/**
 * The address of a path of the app: behind a path prefix, in an iframe, by https or not.
 * @param {string} path like "gradio_api/live/x"
 * @param {{root?: string} | undefined} config Gradio's page configuration
 * @param {string} page the page's own address
 */
export function appUrl(path, config, page) {
  const url = new URL(path, (config?.root || page).split(/[?#]/)[0].replace(/\/*$/, "/"));
  // A proxy that ends TLS may leave http in the root that Gradio believes in.
  if (new URL(page).protocol === "https:") url.protocol = "https:";
  return url;
}

/** The same address for a WebSocket. @param {URL} url */
export function socketUrl(url) {
  const out = new URL(url);
  out.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return out;
}

/** Milliseconds to wait before attempt n (from 0). */
export function backoff(attempt) {
  return Math.min(4000, 250 * 2 ** attempt);
}

export class Connection {
  /**
   * @param {URL} url
   * @param {string[]} codecs
   * @param {{onmessage: (message: object) => void, onpacket: (data: ArrayBuffer) => void,
   *   onlost: () => void, ongone: (reason: string, elsewhere?: boolean) => void}} handlers
   *   onlost: the line dropped and is being tried again; ongone: it will not come back, and why.
   * @param {{WebSocket: typeof WebSocket, now: () => number}} [world]
   */
  constructor(url, codecs, handlers, world = { WebSocket: globalThis.WebSocket, now: () => performance.now() }) {
    Object.assign(this, { url, codecs, handlers, world });
    this.attempt = 0;
    /** Since when there is no line, or null. */
    this.lostSince = world.now();
    this.closed = false;
    this.open();
  }

  open() {
    const socket = new this.world.WebSocket(this.url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.heard();
      this.send({ type: "hello", version: VERSION, codecs: this.codecs });
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      this.heard();
      if (typeof data !== "string") return this.handlers.onpacket(data);
      this.attempt = 0;
      this.lostSince = null;
      this.handlers.onmessage(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => socket === this.socket && this.dropped(code, reason);
  }

  get up() {
    return this.lostSince === null;
  }

  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.dropped(0, ""), SILENCE_MS);
  }

  dropped(code, reason) {
    if (this.closed) return;
    this.cut();
    if (FINAL.has(code)) return this.handlers.ongone(reason || "This play is over", code === ELSEWHERE);
    this.lostSince ??= this.world.now();
    if (this.world.now() - this.lostSince > RETRY_MS)
      return this.handlers.ongone("The connection did not come back");
    this.handlers.onlost();
    this.retry = setTimeout(() => this.open(), backoff(this.attempt++));
  }

  cut() {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null; // so that its late events are not taken for the next one's
    socket?.close();
  }

  /** Sends a message if the line is up; says whether it was. @param {object} message */
  send(message) {
    if (this.socket?.readyState !== 1) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  close() {
    this.closed = true;
    clearTimeout(this.retry);
    this.cut();
  }
}
