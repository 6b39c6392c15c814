/** The short events between page and Python: what the player asks, the answers, and the tokens that outlast the page. */

import { keepInTab, keptInTab } from "./tab_memory.js";

const ANSWER_MS = 20_000; // that an event may take
const KEPT = 6; // tokens of sessions whose films the page shows again when it is reloaded

export class Events {
  /**
   * @param {{trigger: (event: string, data?: object) => void, props: Record<string, any>,
   *   options: Record<string, any>}} gradio
   * @param {(event: import("./lifecycle.js").Event) => void} dispatch
   */
  constructor({ trigger, props, options }, dispatch) {
    this.trigger = trigger;
    this.props = props;
    this.name = options.name; // of the tab
    this.dispatch = dispatch;
    /** @type {string | null} of the last answer */
    this.answered = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = undefined;
  }

  /** @param {string} event @param {object} [data] */
  ask(event, data) {
    if (event !== "finished") {
      clearTimeout(this.patience);
      this.patience = setTimeout(() => this.dispatch({ type: "timeout" }), ANSWER_MS);
    }
    this.trigger(event, data);
  }

  onanswer() {
    const answer = this.props.session;
    if (!answer || answer.id === this.answered) return;
    this.answered = answer.id;
    clearTimeout(this.patience);
    this.dispatch({ type: "answered", answer });
  }

  /** Resumes what the page had before it was reloaded: its session, or its films. */
  restore() {
    const [token, ...earlier] = keptInTab(this.name) ?? [];
    if (token) this.dispatch({ type: "restore", token, earlier });
  }

  /** Keeps a token where it outlasts the page. @param {string} token */
  remember(token) {
    const tokens = (keptInTab(this.name) ?? []).filter((each) => each !== token);
    keepInTab(this.name, [token, ...tokens].slice(0, KEPT));
  }
}
