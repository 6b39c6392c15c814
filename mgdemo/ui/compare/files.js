/** The buttons that make and save files of a grid. */

import { element } from "../../compare/player/dom.js";
import { addressOf } from "../player/connection.js";
import { ask } from "./ask.js";

const FILES = { "report.html": "Report", "report.csv": "CSV", "report.json": "JSON", "grid.mp4": "Film", "contact-sheet.png": "Contact sheet" }; // prettier-ignore

export class Files {
  /** @param {HTMLElement} root filled by this @param {(text: string) => void} say what goes on */
  constructor(root, say) {
    this.say = say;
    this.grid = "";
    this.buttons = Object.entries(FILES).map(([name, label]) =>
      element("button", { type: "button", onclick: ({ currentTarget }) => this.save(name, label, currentTarget) }, label),
    );
    root.append(element("span", { id: "compare-files" }, "Save"), element("div.buttons", { role: "group", "aria-labelledby": "compare-files" }, ...this.buttons)); // prettier-ignore
  }

  /** @param {string} name @param {string} label @param {HTMLElement} button */
  async save(name, label, button) {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    const { grid } = this;
    const url = addressOf(`gradio_api/compare/${grid}/files/${name}`);
    this.say(`${label} is being made. This may take a while.`);
    try {
      const answer = await ask(new URL("?make", url));
      if (grid !== this.grid) return;
      element("a", { href: url.href, download: answer.name }).click();
      this.say(`${label} is ready: ${answer.name}.`);
    } catch (error) {
      this.say(error.message);
    } finally {
      button.ariaBusy = "false";
    }
  }
}
