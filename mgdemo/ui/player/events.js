/** The short events between page and Python: what the player asks, the answers, and the tokens that outlast the page. */

import { keepInTab, keptInTab } from "./tab_memory.js";

const ANSWER_MS = 20_000; // that an event may take
const OPENED = "opened"; // the link that the page was opened by
const KEPT = 6; // tokens of sessions whose films the page shows again when it is reloaded

/** Whether the page was opened by a link that it has not opened before. */
export const newLink = () =>
  /^#(re)?play=/.test(window.location.hash) && window.location.hash !== keptInTab(OPENED);

export class Events {
  /**
   * @param {{trigger: (event: string, data?: object) => void, props: Record<string, any>}} gradio
   * @param {(event: import("./lifecycle.js").Event) => void} dispatch
   */
  constructor({ trigger, props }, dispatch) {
    this.trigger = trigger;
    this.props = props;
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

  /** Takes up what the page had when it was loaded before: its session or films, and what was chosen. */
  restore() {
    const { name, setup } = this.props;
    const [token, ...earlier] = keptInTab(name) ?? [];
    if (token) this.dispatch({ type: "restore", token, earlier });
    const chosen = keptInTab(`${name} choices`);
    const linked = name === "scenarios" && window.location.hash.startsWith("#replay=");
    if (!chosen || linked || newLink()) return;
    const { checkpoint, image, seed, open } = chosen;
    const same = checkpoint === setup.checkpoint && image === setup.image && !seed && open === (name === "play");
    if (!same) this.trigger("restore", chosen);
  }

  /** Keeps what is chosen when the page goes. @param {import("./view.js").View} view */
  keepChoices(view) {
    window.addEventListener("pagehide", () => {
      const { name, setup } = this.props;
      const { checkpoint, image } = setup;
      const chosen = { checkpoint, image, seed: view.seed, track: view.chosenTrack, open: view.shown };
      keepInTab(`${name} choices`, chosen);
      keepInTab(OPENED, window.location.hash);
    });
  }

  /** Keeps a token where it outlasts the page. @param {string} token */
  remember(token) {
    const tokens = (keptInTab(this.props.name) ?? []).filter((each) => each !== token);
    keepInTab(this.props.name, [token, ...tokens].slice(0, KEPT));
  }
}
