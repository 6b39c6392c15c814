/** The operator's list of sessions. Its entries stay in place while they change, so that the keyboard does, too. */

import { element, write } from "../../compare/player/dom.js";
import { factsOf, lineOf, titleOf } from "./wording.js";

/** @typedef {import("./wording.js").Session} Session */

export class SessionList {
  /** @param {HTMLElement} list @param {(session: Session) => void} end asked by the button of a session */
  constructor(list, end) {
    this.list = list;
    this.end = end;
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
  }

  /** @param {Session[]} sessions */
  show(sessions) {
    const ids = new Set(sessions.map(({ id }) => id));
    for (const [id, entry] of this.entries)
      if (!ids.has(id)) {
        entry.root.remove();
        this.entries.delete(id);
      }
    for (const session of sessions) {
      let entry = this.entries.get(session.id);
      if (!entry) {
        entry = new Entry((ended) => this.end(ended));
        this.entries.set(session.id, entry);
        this.list.append(entry.root);
      }
      entry.show(session);
    }
  }
}

class Entry {
  /** @param {(session: Session) => void} end */
  constructor(end) {
    /** @type {Session | null} */
    this.session = null;
    this.picture = element("img", { alt: "", hidden: true });
    this.title = element("h3");
    this.line = element("p");
    this.text = element("p.text");
    this.facts = element("p.facts");
    this.button = element("button.danger", { type: "button", onclick: () => this.session && end(this.session) }, "End");
    const words = element("div.words", {}, this.title, this.line, this.text, this.facts);
    this.root = element("li", {}, element("div.picture", {}, this.picture), words, this.button);
  }

  /** @param {Session} session */
  show(session) {
    const { picture, text, phase, id } = session;
    if (picture && this.session?.picture !== picture) this.picture.src = `data:image/jpeg;base64,${picture}`;
    this.session = session;
    this.picture.hidden = !picture;
    this.root.dataset.phase = phase;
    this.button.disabled = phase === "saving";
    this.button.setAttribute("aria-label", `End session ${id}`);
    write(this.title, titleOf(session));
    write(this.line, lineOf(session));
    write(this.text, phase === "queued" ? "" : text);
    write(this.facts, factsOf(session).map(([name, value]) => `${name} ${value}`).join(" · ")); // prettier-ignore
  }
}
