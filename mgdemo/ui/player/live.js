/**
 * A session's connection and what comes over it: messages for the lifecycle, pictures for the playback, nodes for the
 * filmstrip.
 *
 * @typedef {import("./phases.js").Session} Session
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 */

import { Connection, addressOf, socketUrl } from "./connection.js";
import { supportedCodecs } from "./decoder.js";

export class Live {
  /**
   * @param {import("./playback.js").Playback} playback
   * @param {import("./filmstrip.js").Filmstrip} filmstrip
   * @param {object} hooks
   * @param {(event: import("./lifecycle.js").Event) => void} hooks.dispatch
   * @param {() => import("./phases.js").State} hooks.state
   * @param {(welcome: import("./protocol.js").Welcome) => void} hooks.onwelcome
   */
  constructor(playback, filmstrip, hooks) {
    this.playback = playback;
    this.filmstrip = filmstrip;
    this.hooks = hooks;
    /** @type {Connection | null} */
    this.connection = null;
    /** @type {Session | null} */
    this.session = null;
  }

  /** @param {Session} session */
  async connect(session) {
    this.disconnect();
    this.session = session;
    const codecs = await supportedCodecs();
    if (session !== this.session || this.connection) return; // another one was quicker
    const { dispatch } = this.hooks;
    this.connection = new Connection(socketUrl(addressOf(session.path)), codecs, {
      onmessage: (message) => this.onmessage(message),
      onpacket: (data) => this.onpacket(data),
      onlost: (long) => dispatch({ type: "lost", long }),
      ongone: (reason) => dispatch({ type: "gone", reason }),
      onreplaced: () => dispatch({ type: "replaced" }),
    });
  }

  disconnect() {
    this.connection?.close();
    this.connection = this.session = null;
  }

  /** @param {object} message @returns {boolean} whether it could be sent */
  send(message) {
    return this.connection?.send(message) ?? false;
  }

  /** Whether a scenario that has been made is still arriving or being shown. */
  get draining() {
    return !this.session?.live && this.playback.busy;
  }

  /** @param {ServerMessage} message */
  onmessage(message) {
    const { dispatch } = this.hooks;
    const { draining } = this;
    if (message.type === "welcome") this.onwelcome(message);
    else if (message.type === "status") dispatch({ type: "status", status: message, draining });
    else if (message.type === "block") this.onblock(message);
    else if (message.type === "rewound") this.onrewound(message);
    else if (message.type === "end") dispatch({ type: "end", end: message, draining });
  }

  /** @param {import("./protocol.js").Welcome} welcome */
  onwelcome(welcome) {
    const { session, playback, filmstrip } = this;
    const again = playback.welcome !== null;
    if (again) playback.connect(welcome);
    else playback.open(welcome, session.live);
    if (session.live && !again) filmstrip.open(welcome.fps, (node) => addressOf(`${session.path}/thumb/${node}.jpg`).href);
    if (session.live) filmstrip.know(welcome);
    this.hooks.dispatch({ type: "welcome", paused: welcome.paused, again, notice: welcome.notice });
    this.hooks.onwelcome(welcome);
    playback.run();
  }

  /** @param {import("./protocol.js").BlockMessage} block */
  onblock(block) {
    const { node, parent, first_frame, frames, warning = null, rewind_to = null } = block;
    this.filmstrip.tree.add(node, parent, block.block);
    if (this.hooks.state().rewind) return; // it belongs to the moment that the rewind leaves
    this.playback.block(block);
    this.filmstrip.update();
    const made = first_frame + frames;
    const total = this.playback.welcome.frames;
    const news = { frames: made, progress: total && made / total, warning, rewind_to };
    this.hooks.dispatch({ type: "block", news });
  }

  /** @param {ArrayBuffer} data */
  onpacket(data) {
    if (!this.hooks.state().rewind || this.playback.still) this.playback.packet(data);
  }

  /** @param {import("./protocol.js").Rewound} rewound */
  onrewound(rewound) {
    this.filmstrip.rewound(rewound.node);
    this.playback.rewound(rewound);
    this.hooks.dispatch({ type: "rewound", node: rewound.node });
    this.filmstrip.update();
  }
}
