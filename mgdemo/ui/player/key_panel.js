/** Where the visitor chooses which key holds which control, and reads what the other keys do. */

import { keyboard } from "./keyboard.js";

const ASK = "Press a key";

export class KeyPanel {
  /** @param {HTMLElement} root with a list `.bindings`, a line `.told` and a button `.reset` */
  constructor(root) {
    this.root = root;
    this.list = root.querySelector(".bindings");
    this.told = root.querySelector(".told");
    this.resetButton = /** @type {HTMLButtonElement} */ (root.querySelector(".reset"));
    /** @type {import("./bindings.js").Mode | null} */
    this.mode = null;
    /** @type {Map<string, HTMLButtonElement>} control's name → its button */
    this.buttons = new Map();
    this.resetButton.addEventListener("click", () => {
      keyboard.reset(this.mode);
      this.told.textContent = "All keys are back to their defaults.";
    });
    keyboard.follow(() => {
      this.update();
      KeyPanel.nameCommands(root.closest(".player"));
    });
  }

  /** @param {import("./bindings.js").Mode} mode */
  setMode(mode) {
    this.mode = mode;
    this.told.textContent = "";
    this.buttons.clear();
    this.list.replaceChildren(
      ...mode.controls.map((control) => {
        const row = document.createElement("li");
        const button = Object.assign(document.createElement("button"), { type: "button" });
        button.addEventListener("click", () => this.ask(control));
        button.addEventListener("keydown", (event) => this.onkey(control, event));
        button.addEventListener("keyup", (event) => this.onkeyup(event));
        button.addEventListener("blur", () => this.stopAsking());
        this.buttons.set(control.name, button);
        row.append(control.hint, button);
        return row;
      }),
    );
    this.update();
  }

  update() {
    if (!this.mode) return;
    const { names, bindings } = keyboard;
    for (const control of this.mode.controls) {
      const button = this.buttons.get(control.name);
      const code = bindings.first(this.mode, control);
      if (button.dataset.takesKeys === undefined) {
        button.textContent = names.name(code);
        button.ariaLabel = `${control.hint}: ${names.spoken(code)}. Change the key`;
      }
    }
    this.resetButton.disabled = !bindings.changed(this.mode);
  }

  /** Names the keys of the player's own buttons, and in the list of them. @param {HTMLElement} player */
  static nameCommands(player) {
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (player.querySelectorAll("[data-key]"))) {
      const name = keyboard.names.name(element.dataset.key);
      if (element.tagName === "KBD") element.textContent = name;
      else {
        element.title = `${element.ariaLabel} (${name})`;
        element.setAttribute("aria-keyshortcuts", name);
      }
    }
  }

  /** The next key is the control's. */
  ask(control) {
    this.stopAsking();
    const button = this.buttons.get(control.name);
    button.focus(); // Safari does not focus a button that is clicked
    button.dataset.takesKeys = "";
    button.textContent = ASK;
    button.ariaLabel = `${ASK} for ${control.hint}`;
    this.told.textContent = `${ASK} for ${control.hint}, or Escape to leave it.`;
  }

  stopAsking() {
    for (const button of this.buttons.values()) delete button.dataset.takesKeys;
    this.update();
  }

  onkey(control, event) {
    if (event.currentTarget.dataset.takesKeys === undefined) return;
    if (event.code === "Tab") return this.stopAsking();
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    this.took = event.code;
    this.told.textContent = event.code === "Escape" ? "" : this.take(control, event.code);
    if (event.code === "Escape" || !this.told.hasAttribute("data-problem")) this.stopAsking();
  }

  /** Space, given to a control, would press the button when it goes up. */
  onkeyup(event) {
    if (event.code === "Space" && this.took === "Space") event.preventDefault();
    this.took = null;
  }

  /** Tries to give the control a key; what came of it, in words. */
  take(control, code) {
    const { names } = keyboard;
    const { problem, swapped, lost } = keyboard.assign(this.mode, control, code);
    const key = names.name(code);
    this.told.toggleAttribute("data-problem", Boolean(problem));
    if (problem) return `${key || "This key"} ${problem}. Press another key for ${control.hint}.`;
    const words = `${control.hint} is ${key}.`;
    const first = (other) => names.name(keyboard.bindings.first(this.mode, other));
    if (swapped) return `${words} ${swapped.hint} had this key and is ${first(swapped)} now.`;
    if (lost) return `${words} ${lost.hint} had this key, too, and keeps ${first(lost)}.`;
    return words;
  }
}
