/** As much of a page as the Compare tab's modules need without a browser. Import it before them. */

import { fakeSockets } from "../fake_sockets.js";

class Element {
  hidden = false;
  textContent = "";
  value = "";
  dataset = {};
  children = [];
  listeners = {};
  found = {};
  addEventListener(event, listener) {
    this.listeners[event] = listener;
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  querySelector(selector) {
    return (this.found[selector] ??= new Element());
  }
  getClientRects() {
    return [];
  }
  click() {
    this.listeners.click?.({ currentTarget: this });
  }
  setAttribute() {}
  focus() {}
  reset() {}
}

const { Socket, sockets } = fakeSockets();

export { sockets };

Object.assign(globalThis, {
  window: { addEventListener() {}, location: { hash: "" } },
  document: { baseURI: "http://h/", createElement: () => new Element(), addEventListener() {} },
  WebSocket: Socket,
});

export const newElement = () => new Element();

/** The server answers all requests so from now on. @param {number} status @param {string} text */
export function answer(status, text) {
  globalThis.fetch = async () => new Response(text, { status, headers: { "Content-Type": "text/plain" } });
}
