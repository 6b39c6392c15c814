/**
 * How a grid stands, as the server tells it over a WebSocket that is opened again whenever it drops.
 *
 * @typedef {{runs: number, finished: number, failed: number, cancelled: number, share: number, fps: number | null,
 *   seconds_left: number | null}} Totals
 * @typedef {import("../../compare/player/types.js").GridView} GridView
 * @typedef {{totals: Totals, over?: boolean, gpu?: boolean} & ({type: "grid", view: GridView}
 *   | {type: "progress", cells?: import("../../compare/player/types.js").Progress[]}
 *   | {type: "note", text: string}
 *   | {type: "done"})} Message  over: all runs have ended; scores may still come; gpu: a run waits to be lent one
 */

import { addressOf, backoff, socketUrl } from "../player/connection.js";
import { CLOSE } from "../player/protocol.js";

export class Following {
  /**
   * @param {string} grid its id @param {boolean} blind nothing that names a run may come
   * @param {{onmessage: (message: Message) => void, onlost: () => void, onunknown: () => void}} handlers
   *   onlost: the connection dropped and is being tried again
   * @param {{WebSocket: typeof WebSocket, setTimeout: (again: () => void, ms: number) => any}} [world]
   */
  constructor(grid, blind, handlers, world = { WebSocket: globalThis.WebSocket, setTimeout: globalThis.setTimeout.bind(globalThis) }) {
    this.url = socketUrl(addressOf(`gradio_api/compare/${grid}/live${blind ? "?blind" : ""}`));
    this.handlers = handlers;
    this.world = world;
    this.attempt = 0;
    this.done = false;
    this.open();
  }

  open() {
    const socket = (this.socket = new this.world.WebSocket(this.url));
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      this.attempt = 0;
      /** @type {Message} */
      const message = JSON.parse(data);
      this.done = message.type === "done";
      this.handlers.onmessage(message);
      if (this.done) this.close();
    };
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      if (code === CLOSE.UNKNOWN) return this.handlers.onunknown();
      this.handlers.onlost();
      this.world.setTimeout(() => this.socket === socket && this.open(), backoff(this.attempt++));
    };
  }

  /** @param {string} token of the page that asked for the grid */
  cancel(token) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify({ type: "cancel", token }));
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
