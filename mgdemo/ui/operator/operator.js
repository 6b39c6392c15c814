/**
 * The operator's page: asks for the token once, then shows how the service is every two seconds.
 *
 * @typedef {import("./wording.js").Session} Session
 * @typedef {import("./wording.js").Engine} Engine
 * @typedef {{version: string, status: string, draining: boolean, playing: number, places: number, queued: number,
 *   queue: number, sessions: Session[], engines: Engine[], refusals: Record<string, number>,
 *   disk: Record<string, number>}} State
 */

import { element, write } from "../../compare/player/dom.js";
import { SessionList } from "./sessions.js";
import { engineLine, refusalOf, size, stateOf } from "./wording.js";

const EVERY = 2000; // ms
const TOKEN = "mgdemo-operator-token";
const SILENT = "The server does not answer. Trying again.";

/** @param {string} selector @returns {any} */
const part = (selector) => document.querySelector(selector);

class OperatorPage {
  constructor() {
    this.token = sessionStorage.getItem(TOKEN) ?? "";
    this.draining = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.sessions = new SessionList(part(".sessions"), (session) => this.end(session));
    part(".ask").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.token = part("#token").value;
      part("#token").value = "";
      this.look();
    });
    part(".drain").addEventListener("click", () => this.order("drain", { on: !this.draining }));
    part(".leave").addEventListener("click", () => this.forget(""));
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    if (this.token) this.look();
    else this.forget("");
  }

  /** Shows the state, now and every two seconds as long as the page is seen. */
  async look() {
    clearTimeout(this.timer);
    const { token } = this;
    if (!token) return;
    const state = await this.ask("state");
    if (token !== this.token) return;
    if (state) this.show(state);
    clearTimeout(this.timer);
    if (this.token && !document.hidden) this.timer = setTimeout(() => this.look(), EVERY);
  }

  /** @param {string} what @param {object} order */
  async order(what, order) {
    await this.ask(what, order);
    this.look();
  }

  /** The server's answer; null, with a sentence, if there is none. @param {string} what @param {object} [order] */
  async ask(what, order) {
    try {
      const response = await fetch(`operator/${what}`, {
        headers: { Authorization: `Bearer ${this.token}` },
        credentials: "omit",
        cache: "no-store",
        ...(order && { method: "POST", body: JSON.stringify(order) }),
      });
      const answer = await response.json();
      if (response.status === 401) this.forget(answer.error);
      else this.say(response.ok ? "" : answer.error);
      return response.ok ? answer : null;
    } catch {
      this.say(SILENT);
      return null;
    }
  }

  /** Asks for the token again. @param {string} trouble */
  forget(trouble) {
    this.token = "";
    sessionStorage.removeItem(TOKEN);
    part("main").hidden = part(".actions").hidden = true;
    part(".ask").hidden = false;
    write(part(".state"), "");
    this.say(trouble);
    part("#token").focus();
  }

  /** @param {string} trouble */
  say(trouble) {
    write(part(".trouble"), trouble);
    part(".trouble").hidden = !trouble;
  }

  /** @param {Session} session */
  async end(session) {
    const dialog = part(".sure");
    const keeps = session.frames ? "The visitor is told, and the recording so far is kept." : "Its visitor reads a sentence.";
    write(part(".sure p"), `${session.id}, ${session.checkpoint}. ${keeps}`);
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue === "end") await this.order("end", { session: session.id });
  }

  /** @param {State} state */
  show(state) {
    sessionStorage.setItem(TOKEN, this.token);
    part(".ask").hidden = true;
    part("main").hidden = part(".actions").hidden = false;
    this.draining = state.draining;
    document.body.dataset.status = state.status;
    write(part(".state"), stateOf(state.status));
    write(part(".drain"), state.draining ? "Let sessions begin again" : "Drain");
    part(".drain").title = state.draining ? "" : "No new sessions begin, and every page says so. You can undo it.";
    part(".drain").disabled = state.status === "closing";
    const { most, free, ...used } = state.disk;
    const kept = Object.values(used).reduce((sum, each) => sum + each, 0);
    pairs(part(".tiles"), [
      ["Playing", `${state.playing} of ${state.places}`],
      ["Waiting", `${state.queued} of ${state.queue}`],
      ["On the disk", `${size(kept)} of ${size(most)}`],
      ["Refused", String(Object.values(state.refusals).reduce((sum, count) => sum + count, 0))],
    ]);
    this.sessions.show(state.sessions);
    part(".sessions + .none").hidden = state.sessions.length > 0;
    part(".engines").replaceChildren(...state.engines.map(engineOf));
    const refusals = Object.entries(state.refusals).sort(([, one], [, other]) => other - one);
    pairs(part(".refusals"), refusals.map(([reason, count]) => [refusalOf(reason), String(count)]));
    part(".refusals + .none").hidden = refusals.length > 0;
    pairs(part(".disk"), [
      ["Recordings", size(used.recordings)],
      ["Uploads and copies", size(used.uploads)],
      ["Comparisons and the rest", size(used.other)],
      ...(free === undefined ? [] : [/** @type {[string, string]} */ (["Free on this disk", size(free)])]),
    ]);
  }
}

/** @param {Engine} engine */
function engineOf(engine) {
  const trouble = engine.trouble || engine.reason;
  const lines = [element("b", {}, `${engine.engine}: ${engine.device}`), element("span", {}, engineLine(engine))];
  if (trouble) lines.push(element("span.problem", {}, trouble));
  const made = element("li", {}, ...lines);
  made.dataset.state = engine.state;
  return made;
}

/** Fills a list of terms, touching only what has changed. @param {HTMLElement} list @param {[string, string][]} wanted */
function pairs(list, wanted) {
  while (list.children.length > wanted.length) list.lastElementChild?.remove();
  while (list.children.length < wanted.length) list.append(element("div", {}, element("dt"), element("dd")));
  wanted.forEach(([term, value], at) => {
    write(list.children[at].children[0], term);
    write(list.children[at].children[1], value);
  });
}

new OperatorPage();
