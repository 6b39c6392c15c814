/** What a vote asks: a form with a question each for how two films obey and how they look. */

import { element } from "../../compare/player/dom.js";
import { QUESTIONS } from "../player/protocol.js";

const ANSWERS = { left: "Left", right: "Right", tie: "Tie", "both bad": "Both bad" };

export class Questions {
  /** @param {(answers: Record<string, string>) => void} onvote all questions are answered, and the vote is to count */
  constructor(onvote) {
    this.onvote = onvote;
    this.answers = new Map(Object.keys(QUESTIONS).map((question) => [question, ""]));
    this.button = element("button.primary", { type: "submit", disabled: true }, "Vote");
    this.root = element("form.questions", { onsubmit: (event) => this.submit(event), onchange: (event) => this.chosen(event) }, ...fields(), this.button); // prettier-ignore
  }

  /** No question is answered. */
  reset() {
    this.root.reset();
    for (const question of this.answers.keys()) this.answers.set(question, "");
    this.button.disabled = true;
  }

  chosen({ target }) {
    this.answers.set(target.name.replace("vote-", ""), target.value);
    this.button.disabled = [...this.answers.values()].includes("");
  }

  submit(event) {
    event.preventDefault();
    if (!this.button.disabled) this.onvote(Object.fromEntries(this.answers));
  }
}

function fields() {
  return Object.entries(QUESTIONS).map(([question, words]) =>
    element(
      "fieldset",
      {},
      element("legend", {}, words),
      ...Object.entries(ANSWERS).map(([value, label]) =>
        element("label", {}, element("input", { type: "radio", name: `vote-${question}`, value }), element("span", {}, label)),
      ),
    ),
  );
}
