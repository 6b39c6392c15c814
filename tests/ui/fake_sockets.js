/**
 * WebSockets that are accepted and dropped by hand; those that were opened, the latest last.
 */
export function fakeSockets() {
  /** @type {Socket[]} */
  const sockets = [];
  class Socket {
    readyState = 0;
    sent = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close() {
      this.readyState = 3;
    }
    accept() {
      this.readyState = 1;
      this.onopen();
    }
    /** @param {object} message from the server */
    bring(message) {
      this.onmessage({ data: JSON.stringify(message) });
    }
    /** @param {number} code @param {string} [reason] */
    drop(code, reason = "") {
      this.readyState = 3;
      this.onclose({ code, reason });
    }
  }
  return { Socket, sockets };
}
