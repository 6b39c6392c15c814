/** The short events between page and Python: what the player asks, the answers, and the tokens that outlast the page. */

import { keepInTab, keptInTab } from "./tab_memory.js";

export const ANSWER_MS = 20_000; // that an event may take
const STOP_MS = 60_000; // that Stop may take: the server waits for the film, and the event for its turn
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
    /** @type {string | null} the event whose answer is awaited */
    this.awaited = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = undefined;
  }

  /** @param {string} event @param {object} [data] */
  ask(event, data) {
    if (event === "stop" && event === this.awaited) return; // it waits for the film already
    if (event !== "finished") this.wait(event);
    this.trigger(event, data);
  }

  /** @param {string | null} event whose answer is waited for from now on */
  wait(event) {
    clearTimeout(this.patience);
    this.awaited = event;
    if (!event) return;
    const late = () => {
      this.awaited = null;
      this.dispatch({ type: "timeout" });
    };
    this.patience = setTimeout(late, event === "stop" ? STOP_MS : ANSWER_MS);
  }

  onanswer() {
    const answer = this.props.session;
    if (!answer || answer.id === this.answered) return;
    this.answered = answer.id;
    this.wait(null);
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
