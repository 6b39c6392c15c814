/**
 * The scenarios to choose from: one group of radio buttons with pictures, which move under the pointer.
 *
 * Python sets `items` (each {key, title, about, detail, src, frames}), `selected` (a key, or "open") and `open`: what is
 * open if it is none of them. It hears "chosen"; the value is then the {key}, or what the browser keeps, {id, text}.
 *
 * @typedef {{key: string, title: string, about: string, detail: string, src: string | null, frames: number,
 *   own?: import("./own.js").Own}} Item
 */

import { addressOf } from "../player/connection.js";
import { draft } from "./draft.js";
import { ownScenarios } from "./own.js";

const OPEN = "open";
let count = 0;

class Gallery {
  /** @param {HTMLElement} element @param {any} gradio */
  constructor(element, { trigger, props, options }) {
    /** @type {HTMLElement} */
    this.root = element.querySelector(".gallery");
    this.trigger = trigger;
    this.props = props;
    this.modes = options.modes;
    this.group = `scenario-${++count}`;
    this.drawn = "";
    this.root.addEventListener("change", ({ target }) => this.choose(/** @type {HTMLInputElement} */ (target).value));
    this.root.addEventListener("click", ({ target }) => this.reopen(target));
    ownScenarios.follow(() => this.update());
  }

  /** What was changed a moment ago still shows as one of these: pressing that brings it back. @param {EventTarget | null} target */
  reopen(target) {
    const pressed = target instanceof HTMLInputElement && target.value === this.selected;
    if (pressed && draft.text !== draft.opened) this.choose(target.value);
  }

  /** As soon as what is being written is kept, and nothing is on its way that belongs to it. @param {string} value of a radio button */
  choose(value) {
    const go = () => this.tell(value);
    const leave = new CustomEvent("mg-leave", { bubbles: true, cancelable: true, detail: { go } });
    if (this.root.dispatchEvent(leave)) go();
  }

  /** @param {string} value of a radio button */
  tell(value) {
    const [kind, key] = [value.slice(0, value.indexOf(" ")), value.slice(value.indexOf(" ") + 1)];
    const kept = kind === "own" ? ownScenarios.get(key) : null;
    if (kind !== "listed" && !kept) return;
    this.props.value = kept ? { id: kept.id, text: kept.text } : { key };
    this.trigger("chosen");
  }

  /** The start image that the player shows. @returns {string | null} */
  get poster() {
    const poster = this.root.closest('[role="tabpanel"]')?.querySelector(".player .poster");
    return /** @type {HTMLImageElement | null | undefined} */ (poster)?.src || null;
  }

  get selected() {
    const { selected } = this.props;
    if (selected !== OPEN) return `listed ${selected}`;
    return ownScenarios.get(ownScenarios.current) ? `own ${ownScenarios.current}` : OPEN;
  }

  update() {
    const { items, open } = this.props;
    const own = ownScenarios.list();
    const unsaved = this.selected === OPEN && open ? { title: `${open.title} (yours)`, detail: open.detail } : null;
    const shown = JSON.stringify([items, own.map(({ id, changed }) => [id, changed]), unsaved]);
    if (shown !== this.drawn) {
      this.drawn = shown;
      this.draw(items ?? [], own, unsaved);
    }
    for (const input of this.root.querySelectorAll("input")) {
      const checked = input.value === this.selected;
      if (checked && !input.checked) this.reveal(input.parentElement);
      input.checked = checked;
    }
  }

  draw(items, own, unsaved) {
    const [listed, kept] = /** @type {NodeListOf<HTMLElement>} */ (this.root.querySelectorAll(".cards"));
    const focused = /** @type {HTMLInputElement | null} */ (this.root.querySelector("input:focus"))?.value;
    listed.replaceChildren(...items.map((item) => this.card(`listed ${item.key}`, item)));
    const cards = own.map((it) => {
      const detail = [this.modes[it.mode], it.detail].filter(Boolean).join(", ");
      const card = this.card(`own ${it.id}`, { ...it, detail, about: "", src: it.picture, frames: 1 });
      card.append(this.remover(it));
      return card;
    });
    if (unsaved) cards.unshift(this.card(OPEN, { ...unsaved, about: "", src: this.poster, frames: 1 }));
    kept.replaceChildren(...cards);
    /** @type {HTMLElement} */ (this.root.querySelector(".yours")).hidden = !cards.length;
    if (focused) this.inputOf(focused)?.focus();
  }

  /** @param {string} value @returns {HTMLInputElement | null} */
  inputOf(value) {
    return [...this.root.querySelectorAll("input")].find((input) => input.value === value) ?? null;
  }

  /** @param {HTMLElement} card is scrolled to, within the gallery alone */
  reveal(card) {
    const { top, bottom } = card.getBoundingClientRect();
    const box = this.root.getBoundingClientRect();
    if (top < box.top) this.root.scrollTop -= box.top - top + 4;
    if (bottom > box.bottom) this.root.scrollTop += bottom - box.bottom + 4;
  }

  /** @param {string} value @param {Omit<Item, "key">} item */
  card(value, { title, about, detail, src, frames }) {
    const label = make("label", { className: "card", title: about });
    const picture = make("span", { className: "picture" });
    picture.style.setProperty("--frames", String(frames));
    if (src) {
      const url = src.startsWith("data:") ? src : addressOf(src).href;
      picture.append(make("img", { src: url, alt: "", loading: "lazy", draggable: false }));
    }
    const name = make("span", { className: "name", textContent: title });
    label.append(
      make("input", { type: "radio", name: this.group, value, ariaDescription: about }),
      picture,
      name,
      make("small", { textContent: detail }),
    );
    return label;
  }

  /** The button that removes one; it asks first, by wanting to be pressed twice in a row. */
  remover({ id, title }) {
    const button = make("button", { type: "button", className: "remove" });
    let sure = false;
    const ask = (asking) => {
      sure = asking;
      button.textContent = asking ? "Remove?" : "×";
      button.ariaLabel = asking ? `Press again to remove ${title} from this browser` : `Remove ${title}`;
    };
    ask(false);
    for (const away of ["blur", "pointerleave"]) button.addEventListener(away, () => ask(false));
    button.addEventListener("click", (event) => {
      event.preventDefault(); // or the label would choose it
      if (!sure) return ask(true);
      this.root.querySelector("input")?.focus();
      return ownScenarios.remove(id);
    });
    return button;
  }
}

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {object} properties */
function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

/** Called by Gradio. */
export function mount(element, gradio) {
  const gallery = new Gallery(element, gradio);
  gradio.watch(["items", "selected", "open"], () => gallery.update());
  gallery.update();
}
