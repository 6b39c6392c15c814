/** The strip under the picture, which shows one branch of the session; its slider rewinds, and so do the branches. */

import { rewindable } from "./phases.js";
import { FPS } from "./protocol.js";
import { Tree } from "./tree.js";

/**
 * Which of `count` blocks have their picture in a strip with room for `room`: every stride-th, by powers of two,
 * so that a growing branch seldom changes its pictures. @returns {number} the stride
 */
export function strideFor(count, room) {
  let stride = 1;
  while (Math.ceil(count / stride) > Math.max(1, room)) stride *= 2;
  return stride;
}

/** The strip, its slider and the branches. */
export class Filmstrip {
  /**
   * @param {HTMLElement} root
   * @param {{state: () => import("./phases.js").State, onseek: (node: number) => void,
   *   onpreview: (url: string | null, words: string) => void}} hooks  onpreview: while the slider is being moved, the
   *   picture there; null when it is let go
   */
  constructor(root, { state, onseek, onpreview }) {
    this.root = root;
    this.state = state;
    /** @type {HTMLElement} */
    this.strip = root.querySelector(".strip");
    /** @type {HTMLInputElement} */
    this.slider = root.querySelector(".seek");
    /** @type {HTMLElement} */
    this.branches = root.querySelector(".branches");
    this.fps = FPS;
    /** @type {(node: number) => string} */
    this.urlOf = () => "";
    this.onpreview = onpreview;
    this.tree = new Tree();
    this.shown = this.tree.head; // the node of the picture that is shown; the head may be further on
    /** @type {Map<number, HTMLImageElement>} */
    this.pictures = new Map();
    this.moving = false;
    this.slider.addEventListener("input", () => {
      this.moving = true;
      this.name();
      onpreview(this.urlOf(this.chosen), this.slider.ariaValueText);
    });
    this.slider.addEventListener("change", () => {
      const { chosen } = this;
      this.letGo();
      onseek(chosen);
    });
    // Back where it was taken, it has not changed.
    for (const type of ["pointerup", "pointercancel"])
      this.slider.addEventListener(type, () => setTimeout(() => this.letGo()));
    new ResizeObserver(() => this.update()).observe(this.strip);
    this.branches.addEventListener("click", ({ target }) => {
      const node = /** @type {Element} */ (target).closest("button")?.dataset.node;
      if (node) onseek(Number(node));
    });
  }

  /** Begins with a session. @param {number} fps @param {(node: number) => string} urlOf a node's picture */
  open(fps, urlOf) {
    this.tree = new Tree();
    this.shown = this.tree.head;
    this.fps = fps;
    this.urlOf = urlOf;
    this.close();
    this.root.inert = false;
    this.update();
  }

  /** What is known already of a session. @param {{nodes: [number, number, number][], head: number}} welcome */
  know({ nodes, head }) {
    for (const node of nodes) this.tree.know(...node);
    this.rewound(head);
    this.update();
  }

  /** The session is over: nothing to rewind to. */
  close() {
    this.root.inert = true;
    this.moving = false;
    this.pictures.clear();
    this.strip.replaceChildren();
    this.branches.replaceChildren();
    Object.assign(this.slider, { max: 0, value: 0, ariaValueText: "" });
  }

  letGo() {
    if (!this.moving) return;
    this.moving = false;
    this.onpreview(null, "");
  }

  /** A picture of this node is shown. @param {number} node */
  show(node) {
    if (node === this.shown || !this.tree.nodes.has(node)) return;
    this.shown = node;
    this.update();
  }

  /** The session stands at the end of this node, whose picture is on its way. @param {number} node */
  rewound(node) {
    this.tree.go(node);
    this.shown = node;
  }

  /** The node from which presses go back: where a rewind goes, or what is shown. */
  get from() {
    return this.state().rewind?.to ?? this.shown;
  }

  get chosen() {
    return this.branch[Number(this.slider.value)];
  }

  seconds(node) {
    return `${(this.tree.frames(node) / this.fps).toFixed(1)} s`;
  }

  /** Brings everything up to date with the tree. */
  update() {
    if (this.root.inert) return;
    const state = this.state();
    this.slider.disabled = this.branches.inert = !rewindable(state);
    this.branch = this.tree.branch();
    this.slider.max = String(this.branch.length - 1);
    if (!this.moving) {
      const still = state.phase === "paused" || state.phase === "rewinding";
      const place = this.branch.indexOf(still ? this.from : this.tree.head);
      this.slider.value = String(place < 0 ? this.branch.length - 1 : place);
      this.name();
    }
    this.drawStrip();
    this.drawBranches();
  }

  name() {
    this.slider.ariaValueText = this.seconds(this.chosen);
    const at = Number(this.slider.value) / Math.max(1, Number(this.slider.max));
    this.root.style.setProperty("--at", String(at));
  }

  drawStrip() {
    const { width, height } = this.strip.getBoundingClientRect();
    if (!width) return; // not laid out, and drawn when it is
    const count = this.branch.length;
    const ratio = parseFloat(getComputedStyle(this.root).getPropertyValue("--ratio")) || 1.8;
    const stride = strideFor(count, Math.floor(width / (height * ratio)) || 1);
    const wanted = new Map(); // node → its place in the branch
    // The newest block may still be regenerated, so its picture waits.
    const last = Math.max(0, count - 2);
    for (let i = 0; i <= last; i += stride) wanted.set(this.branch[i], i);
    for (const [node, picture] of this.pictures)
      if (!wanted.has(node)) {
        picture.remove();
        this.pictures.delete(node);
      }
    for (const [node, place] of wanted) {
      let picture = this.pictures.get(node);
      if (!picture) {
        picture = Object.assign(new Image(), { alt: "", loading: "lazy", draggable: false });
        picture.onerror = () => (picture.style.visibility = "hidden"); // the server has forgotten it
        picture.src = this.urlOf(node);
        this.pictures.set(node, picture);
        this.strip.append(picture);
      }
      picture.style.left = `${(100 * place) / count}%`;
      picture.style.width = `${(100 * (place + stride > last ? count - place : stride)) / count}%`;
    }
  }

  drawBranches() {
    const { ends, tip } = this.tree;
    const names = ends.length > 1 ? ends.map((node, i) => `Branch ${i + 1} · ${this.seconds(node)}`) : [];
    while (this.branches.children.length > names.length) this.branches.lastChild.remove();
    names.forEach((name, i) => {
      /** @type {HTMLElement} */
      const chip =
        /** @type {HTMLElement | undefined} */ (this.branches.children[i]) ??
        this.branches.appendChild(Object.assign(document.createElement("button"), { type: "button" }));
      if (chip.textContent !== name) chip.textContent = name;
      chip.dataset.node = String(ends[i]);
      if (ends[i] === tip && chip.ariaCurrent !== "true")
        this.branches.scrollLeft = chip.offsetLeft - this.branches.offsetLeft - this.branches.clientWidth / 2;
      chip.ariaCurrent = String(ends[i] === tip);
    });
  }
}
