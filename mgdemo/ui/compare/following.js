/**
 * How a grid stands, as the server tells it over a WebSocket that is opened again whenever it drops or falls silent.
 *
 * @typedef {{runs: number, finished: number, failed: number, cancelled: number, share: number, fps: number | null,
 *   seconds_left: number | null}} Totals
 * @typedef {import("../../compare/player/types.js").GridView} GridView
 * @typedef {{totals: Totals, over?: boolean, gpu?: boolean} & ({type: "grid", view: GridView}
 *   | {type: "progress", cells?: import("../../compare/player/types.js").Progress[]}
 *   | {type: "note", text: string}
 *   | {type: "done", text: string})} Message  text: for the visitor; over: all runs have ended; scores may still come; gpu: a run waits to be lent one
 */

import { addressOf, backoff, socketUrl } from "../player/connection.js";
import { CLOSE } from "../player/protocol.js";

const SILENCE_MS = 15_000; // the server says something every 5 seconds; a connection this silent is dead
const CROWDED_MS = 10_000; // between tries, where other pages of this visitor have to be closed first

export class Following {
  /**
   * @param {{grid?: string, token?: string}} job the grid's id, and with what this page asked for it
   * @param {boolean} blind nothing that names a run may come
   * @param {{onmessage: (message: Message) => void, onlost: (reason: string) => void, onunknown: () => void}} handlers
   *   onlost: there is no connection, and it is tried again; reason: the server's, if it has one
   * @param {{WebSocket: typeof WebSocket}} [world]
   */
  constructor({ grid, token }, blind, handlers, world = { WebSocket: globalThis.WebSocket }) {
    this.url = socketUrl(addressOf(`gradio_api/compare/${grid}/live${blind ? "?blind" : ""}`));
    this.token = token;
    this.handlers = handlers;
    this.world = world;
    this.attempt = 0;
    this.canceling = false; // which the server has not answered yet
    this.open();
  }

  open() {
    const socket = (this.socket = new this.world.WebSocket(this.url));
    this.heard();
    socket.onopen = () => {
      if (this.token) this.send("follow");
      if (this.canceling) this.send("cancel");
    };
    socket.onmessage = ({ data }) => this.socket === socket && this.receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.socket === socket && this.dropped(code, reason);
  }

  /** @param {Message | {type: "alive"}} message */
  receive(message) {
    this.attempt = 0;
    this.heard();
    if (message.type === "alive") return;
    if (message.type === "note" || message.over) this.canceling = false;
    this.handlers.onmessage(message);
    if (message.type === "done") this.close();
  }

  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.dropped(0, ""), SILENCE_MS);
  }

  /** @param {number} code @param {string} reason */
  dropped(code, reason) {
    this.close();
    if (code === CLOSE.UNKNOWN) return this.handlers.onunknown();
    const crowded = code === CLOSE.TOO_MANY;
    this.retry = setTimeout(() => this.open(), crowded ? CROWDED_MS : backoff(this.attempt++));
    this.handlers.onlost(crowded ? reason : "");
  }

  /** The grid is not wanted any more: said at once, and again until the server has heard it. */
  cancel() {
    this.canceling = true;
    this.send("cancel");
  }

  /** @param {"follow" | "cancel"} type */
  send(type) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify({ type, token: this.token }));
  }

  close() {
    clearTimeout(this.silence);
    clearTimeout(this.retry);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
