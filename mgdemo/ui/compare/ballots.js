/** Blind votes: two films without names, a question each for how they obey and how they look, then the names. */

import { element } from "../../compare/player/dom.js";
import { mountGrid } from "../../compare/player/index.js";
import { ask } from "./ask.js";
import { absolute } from "./films.js";
import { Questions } from "./questions.js";
import { drawStanding } from "./standing.js";

const NEXT = "Next pair";

export class Ballots {
  /** @param {HTMLElement} root filled by this @param {(text: string) => void} say what goes on */
  constructor(root, say) {
    this.say = say;
    this.grid = "";
    /** The token of the pair that is shown, until it is voted on. @type {string | null} */
    this.open = null;
    this.voted = this.pairs = 0;
    this.title = "";
    this.drawing = false;
    this.player = null;
    this.stage = element("div.pair");
    this.words = element("p.count");
    this.questions = new Questions((answers) => this.cast(answers));
    this.names = element("p.names", { tabIndex: -1, hidden: true });
    this.next = element("button.primary", { type: "button", hidden: true, onclick: () => this.draw() });
    this.standing = element("div.standing");
    root.append(this.words, this.stage, this.questions.root, this.names, this.next, this.standing);
  }

  /** Shows pairs of a grid from here on; "" shows none. @param {string} grid */
  show(grid) {
    if (grid === this.grid) return;
    this.grid = grid;
    this.clear();
    this.standing.replaceChildren();
    if (grid) this.draw();
  }

  /** More films are finished: there may be more pairs. */
  async refresh() {
    const { grid } = this;
    if (!grid || this.drawing) return;
    const idle = !this.open && this.names.hidden;
    if (idle) return this.draw();
    const answer = await this.ask(`gradio_api/compare/${grid}/ballot`);
    if (!answer || grid !== this.grid) return;
    this.pairs = answer.pairs;
    if (this.open) this.words.textContent = this.heading();
    else if (!this.names.hidden && this.voted < this.pairs) this.offer(NEXT);
  }

  heading() {
    return `Pair ${this.voted + 1} of ${this.pairs}: ${this.title}. The names come after your vote.`;
  }

  /** A button that draws a pair. @param {string} words */
  offer(words) {
    this.next.textContent = words;
    this.next.hidden = false;
  }

  clear() {
    this.open = null;
    this.player?.close();
    this.player = null;
    this.questions.reset();
    this.questions.root.hidden = this.names.hidden = this.next.hidden = true;
    this.words.textContent = "";
  }

  async draw() {
    this.clear();
    const grid = this.grid;
    this.drawing = true;
    const answer = await this.ask(`gradio_api/compare/${grid}/ballot`, {});
    this.drawing = false;
    if (grid !== this.grid || this.open) return;
    if (!answer) return this.offer("Try again");
    const { voted, pairs, ballot, view } = answer;
    this.voted = voted;
    this.pairs = pairs;
    if (!ballot) {
      this.words.textContent = pairs
        ? `You have voted on ${pairs === 1 ? "the only pair" : `all ${pairs} pairs`}. Thank you.`
        : "There are no two films to vote on yet.";
      if (pairs) this.showStanding();
      return;
    }
    this.open = ballot;
    this.title = view.rows[0].title;
    this.words.textContent = this.heading();
    this.questions.root.hidden = false;
    this.player = mountGrid(this.stage, absolute(view));
  }

  /** @param {Record<string, string>} answers to the questions */
  async cast(answers) {
    if (!this.open) return;
    const ballot = this.open;
    this.questions.button.disabled = true;
    const answer = await this.ask(`gradio_api/compare/ballots/${ballot}`, answers);
    if (this.open !== ballot) return;
    if (!answer) {
      this.questions.button.disabled = false;
      return;
    }
    this.open = null;
    const [left, right] = answer.names;
    this.names.replaceChildren("Left: ", element("b", {}, left), ". Right: ", element("b", {}, right), ".");
    this.questions.root.hidden = true;
    this.names.hidden = false;
    this.voted++;
    if (this.voted < this.pairs) this.offer(NEXT);
    (this.next.hidden ? this.names : this.next).focus();
    this.words.textContent = `Your vote is kept: ${this.voted} of ${this.pairs} pairs.`;
    this.showStanding();
  }

  async showStanding() {
    const grid = this.grid;
    const answer = await this.ask(`gradio_api/compare/${grid}/standing`);
    if (answer && grid === this.grid) drawStanding(this.standing, answer.questions);
  }

  /** The server's answer; null, with a sentence, if there is none. @param {string} path @param {object} [said] */
  async ask(path, said) {
    try {
      return await ask(path, said);
    } catch (error) {
      this.say(error.message);
      return null;
    }
  }
}
