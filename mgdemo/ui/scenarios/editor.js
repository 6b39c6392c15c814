/**
 * The editor of a scenario's text: has it checked a moment after each change, says what is wrong and marks the line,
 * keeps it in this browser, and downloads it.
 *
 * Python sets `doc`, {text, listed, own, edited, id}: what is open now, without an id as long as it is what the page
 * came with; and `verdict`, {words, problem, line, about}. It hears "edited" with {text}, and "mounted" once. The editor
 * itself is Gradio's: it tells of changes by the document's event "mg-typed".
 */

import { link } from "../player/choices.js";
import { MAX_SCENARIO_BYTES } from "../player/protocol.js";
import { keepInTab, keptInTab } from "../player/tab_memory.js";
import { bringBack, download, draft, keep, lacking, leave, remembered } from "./draft.js";
import { ownScenarios } from "./own.js";

const PAUSE_MS = 300; // in typing, before the text is checked
const LATE_MS = 10_000; // after which a text's verdict is no longer waited for
const QUIET_MS = 1200; // before an error is read out: half a word is none

class Editor {
  /** @param {HTMLElement} element @param {any} gradio */
  constructor(element, { trigger, props }) {
    this.element = element;
    this.trigger = trigger;
    this.props = props;
    /** @type {HTMLElement} */
    this.panel = element.closest('[role="tabpanel"]') ?? document.body;
    /** @type {HTMLElement} */
    this.box = element.closest(".editor");
    this.pause = this.quiet = this.late = 0;
    /** @type {(() => void) | null} */
    this.next = null; // what waits for the verdict
    this.checking = false; // one text at a time, so that the last one's verdict comes last
    /** @type {{put: boolean} | null} */
    this.again = null; // it has changed meanwhile
    const button = (name, action) => element.querySelector(`.${name}`).addEventListener("click", action);
    button("save", () => this.whenChecked(() => this.save()));
    button("download", () => this.whenChecked(download));
    button("undo", () => this.undo());
    button("bring-back", () => this.bringBack());
    document.addEventListener("mg-typed", (event) => this.ontyped(/** @type {CustomEvent} */ (event).detail));
    this.panel.addEventListener("click", ({ target }) => {
      if (/** @type {Element} */ (target).closest(".edit-toggle")) this.toggle(!draft.open, true);
    });
    this.panel.addEventListener("mg-leave", (event) => this.leave(/** @type {CustomEvent} */ (event)));
    window.addEventListener("pagehide", () => {
      if (draft.changed) keep(this.panel);
      keepInTab("scenarios draft", remembered(props.doc.id && link()));
    });
    new MutationObserver(() => this.dress()).observe(this.box, { childList: true, subtree: true });
  }

  get toggleButton() {
    return /** @type {HTMLButtonElement | null} */ (this.panel.querySelector(".edit-toggle"));
  }

  get content() {
    return /** @type {HTMLElement | null} */ (this.box.querySelector(".cm-content"));
  }

  /** @param {boolean} open @param {boolean} [byHand] whether the visitor has pressed the button */
  toggle(open, byHand = false) {
    draft.open = open;
    this.box.toggleAttribute("data-open", open);
    if (this.toggleButton) {
      this.toggleButton.disabled = false;
      this.toggleButton.ariaExpanded = String(open);
      this.toggleButton.textContent = open ? "Close editor" : "Edit scenario";
    }
    if (!open && draft.changed) keep(this.panel);
    if (!open || !byHand) return;
    const smooth = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    this.panel.querySelector(".scenario.chosen")?.scrollIntoView({ block: "start", behavior: smooth });
    if (!matchMedia("(pointer: coarse)").matches) this.content?.focus({ preventScroll: true });
  }

  /** Another scenario is to be opened, by what stands in the event: after the verdict that is on its way, which would
   * bring this one back. @param {CustomEvent} event */
  leave(event) {
    if (draft.changed) keep(this.panel);
    this.forget();
    if (!this.checking) return;
    event.preventDefault();
    this.next = event.detail.go;
  }

  /** What has changed last need not be checked. */
  forget() {
    clearTimeout(this.pause);
    this.pause = 0;
    this.again = null;
  }

  /** Another scenario is open. What was written of the one before is kept, or can be brought back. */
  ondoc() {
    const { text, listed, own, edited } = this.props.doc;
    if (text !== draft.text && !leave(this.panel)) this.toggle(true); // to offer what could not be kept
    this.forget();
    Object.assign(draft, { text, opened: text, listed, changed: edited });
    ownScenarios.open(own || null);
    this.onverdict();
  }

  /** @param {string} text */
  ontyped(text) {
    Object.assign(draft, { text, changed: text !== draft.opened });
    clearTimeout(this.pause);
    this.pause = window.setTimeout(() => this.check(), PAUSE_MS);
    this.dress();
  }

  /** Does something that names the scenario: if need be, as soon as its text has been checked. @param {() => void} action */
  whenChecked(action) {
    if (!this.pause && !this.checking) return action();
    this.next = action;
    return this.pause ? this.check() : undefined;
  }

  /** @param {boolean} [put] whether the text is to be put into the editor, too */
  check(put = false) {
    const again = this.again?.put || put;
    this.forget();
    if (this.checking) return void (this.again = { put: again });
    const size = new Blob([draft.text]).size;
    this.checking = size <= MAX_SCENARIO_BYTES;
    if (this.checking) {
      this.late = window.setTimeout(() => this.checked(), LATE_MS);
      return this.trigger("edited", { text: draft.text, put });
    }
    const words = `This is larger than ${MAX_SCENARIO_BYTES / 1024} KB: cut it into several scenarios.`;
    return this.say({ words, problem: true, line: null });
  }

  onverdict() {
    const { verdict } = this.props;
    if (verdict.about) draft.about = verdict.about;
    this.say(verdict);
  }

  /** @param {{words: string, problem: boolean, line: number | null}} verdict */
  say({ words, problem, line }) {
    const shown = this.element.querySelector(".verdict");
    shown.toggleAttribute("data-problem", problem);
    shown.querySelector("p").textContent = words;
    this.panel.toggleAttribute("data-broken", problem);
    this.line = problem ? line : null;
    this.dress();
    clearTimeout(this.quiet);
    if (draft.open) this.quiet = window.setTimeout(() => (this.element.querySelector('[role="status"]').textContent = words), QUIET_MS);
    this.checked();
  }

  checked() {
    clearTimeout(this.late);
    this.checking = false;
    if (this.again) return this.check(this.again.put);
    const { next } = this;
    this.next = null;
    return next?.();
  }

  /** Names the text field, marks the line of an error, and tells the buttons what there is to do. */
  dress() {
    if (this.content && this.content.ariaLabel !== "Text of the scenario") {
      this.content.ariaLabel = "Text of the scenario";
      this.content.spellcheck = false;
    }
    for (const number of this.box.querySelectorAll(".cm-lineNumbers .cm-gutterElement")) {
      const wrong = this.line !== null && number.textContent === String(this.line);
      if (number.hasAttribute("data-wrong") !== wrong) number.toggleAttribute("data-wrong", wrong);
    }
    const [save, undo] = /** @type {HTMLButtonElement[]} */ (
      [".save", ".undo"].map((name) => this.element.querySelector(name))
    );
    const kept = ownScenarios.get(ownScenarios.current)?.text === draft.text;
    if (save.disabled !== kept) save.disabled = kept;
    const same = draft.text === draft.opened;
    if (undo.disabled !== same) undo.disabled = same;
    this.element.querySelector(".unkept").toggleAttribute("hidden", !lacking());
  }

  bringBack() {
    bringBack(this.panel);
    this.check(true);
  }

  save() {
    const words = keep(this.panel)
      ? "Saved in this browser, under “Your scenarios”."
      : "This browser keeps nothing more: remove a scenario of yours, or download this one.";
    this.element.querySelector('[role="status"]').textContent = words;
    this.element.querySelector(".verdict p").textContent = words;
    this.dress();
  }

  undo() {
    Object.assign(draft, { text: draft.opened, changed: false });
    this.check(true);
    this.content?.focus({ preventScroll: true });
  }
}

/** Called by Gradio. */
export function mount(element, gradio) {
  const editor = new Editor(element, gradio);
  gradio.watch("doc", () => editor.ondoc());
  gradio.watch("verdict", () => editor.onverdict());
  editor.ondoc();
  gradio.trigger("mounted");
  editor.toggle(draft.open || keptInTab("scenarios draft")?.editing === true);
}
