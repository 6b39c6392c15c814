/**
 * The connection to the server: one WebSocket per session, opened again with the same token whenever it drops.
 */

import { CLOSE, RECONNECT_SECONDS, VERSION } from "./protocol.js";

const SILENCE_MS = 8_000; // the server says something at least once a second; a connection this silent is dead
// No use in trying again: the same would come of it, or the page has to be loaded again.
const FINAL = new Set([CLOSE.BAD_MESSAGE, CLOSE.UNKNOWN, CLOSE.REPLACED, CLOSE.TOO_MANY]);

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

/** The address of a path of the app, on this page. @param {string} path */
export const addressOf = (path) => appUrl(path, /** @type {any} */ (window).gradio_config, document.baseURI);

/** The same address for a WebSocket. @param {URL} url */
export function socketUrl(url) {
  const out = new URL(url);
  out.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return out;
}

/** Milliseconds to wait before attempt n (from 0). */
export function backoff(attempt) {
  return Math.min(5000, 250 * 2 ** attempt);
}

export class Connection {
  /**
   * @param {URL} url
   * @param {string[]} codecs
   * @param {object} handlers
   * @param {(message: import("./protocol.js").ServerMessage) => void} handlers.onmessage
   * @param {(data: ArrayBuffer) => void} handlers.onpacket
   * @param {(long: boolean) => void} handlers.onlost it dropped and is being tried again; long: for longer than the
   *   server keeps a session
   * @param {(reason: string) => void} handlers.ongone the server does not take it, and why
   * @param {() => void} handlers.onreplaced another window has taken the session up
   * @param {{WebSocket: typeof WebSocket, now: () => number}} [world]
   */
  constructor(url, codecs, handlers, world = { WebSocket: globalThis.WebSocket, now: () => performance.now() }) {
    this.url = url;
    this.codecs = codecs;
    this.handlers = handlers;
    this.world = world;
    this.attempt = 0;
    /** Since when there is no connection, or null. @type {number | null} */
    this.lostSince = world.now();
    this.closed = false;
    this.open();
  }

  open() {
    const socket = new this.world.WebSocket(this.url);
    this.socket = socket;
    this.heard(); // its handshake may hang, too
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

  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.dropped(0, ""), SILENCE_MS);
  }

  dropped(code, reason) {
    if (this.closed) return;
    this.cut();
    if (FINAL.has(code)) this.closed = true;
    if (code === CLOSE.REPLACED) return this.handlers.onreplaced();
    if (this.closed) return this.handlers.ongone(reason || "This session is over.");
    this.lostSince ??= this.world.now();
    this.handlers.onlost(this.world.now() - this.lostSince > RECONNECT_SECONDS * 1000);
    this.retry = setTimeout(() => this.open(), backoff(this.attempt++));
  }

  cut() {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null; // so that its late events are not taken for the next one's
    socket?.close();
  }

  /** Sends a message if the connection is up; says whether it was. @param {object} message */
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
