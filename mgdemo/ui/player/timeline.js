/**
 * Going back in time: the tree of what was played, and the strip under the picture that shows one line of it.
 *
 * A node is one made block and has the one before it as its parent; node 0 is the start. The play stands at the
 * head. Going back moves only the head; what is made from there on is a new branch.
 */

const FIRST_BLOCK = 9; // video frames; every later block has BLOCK
const BLOCK = 12;

/** Video frames from the start to the end of a block; block -1 is the start itself. @param {number} block */
export function framesUpTo(block) {
  return block < 0 ? 0 : FIRST_BLOCK + BLOCK * block;
}

/** What was played. Pure; knows no page. */
export class Tree {
  constructor() {
    /** @type {Map<number, {node: number, parent: number | null, block: number}>} */
    this.nodes = new Map([[0, { node: 0, parent: null, block: -1 }]]);
    this.head = 0;
    /** Where the line that is shown ends: going back along it does not cut it off. */
    this.tip = 0;
  }

  /** There is such a node. @param {number} node @param {number | null} parent @param {number} block */
  know(node, parent, block) {
    if (!this.nodes.has(node)) this.nodes.set(node, { node, parent, block });
  }

  /** A block was made, and the play stands at its end. (The same one made again changes nothing.) */
  add(node, parent, block) {
    this.know(node, parent, block);
    this.head = this.tip = node;
  }

  /** The play stands at the end of `node`. @param {number} node */
  go(node) {
    if (!this.line().includes(node)) this.tip = node;
    this.head = node;
  }

  /** The nodes of the line that is shown, from the start on. @returns {number[]} */
  line() {
    const line = [];
    for (let at = this.nodes.get(this.tip); at; at = this.nodes.get(at.parent)) line.push(at.node);
    return line.reverse();
  }

  /** The last nodes of all branches, in the order in which they were made. @returns {number[]} */
  get ends() {
    const parents = new Set([...this.nodes.values()].map(({ parent }) => parent));
    return [...this.nodes.keys()].filter((node) => !parents.has(node)).sort((a, b) => a - b);
  }

  /** Video frames from the start to the end of `node`. @param {number} node */
  frames(node) {
    return framesUpTo(this.nodes.get(node).block);
  }

  /** The node about `frames` video frames before the end of `node`, and at least one block. */
  before(node, frames) {
    const target = this.frames(node) - frames;
    let at = this.nodes.get(node);
    do at = this.nodes.get(at.parent) ?? at;
    while (at.parent !== null && framesUpTo(at.block) - target > BLOCK / 2);
    return at.node;
  }
}

/**
 * Which of `count` blocks have their picture in a strip with room for `room`: every stride-th, by powers of two,
 * so that a growing line seldom changes its pictures. @returns {number} the stride
 */
export function strideFor(count, room) {
  let stride = 1;
  while (Math.ceil(count / stride) > Math.max(1, room)) stride *= 2;
  return stride;
}

/** The strip, its slider and the branches. */
export class Timeline {
  /**
   * @param {HTMLElement} root
   * @param {{onseek: (node: number) => void, onpreview: (url: string | null, words: string) => void}} handlers
   *   onpreview: while the slider is being moved, the picture there; null when it is let go
   */
  constructor(root, { onseek, onpreview }) {
    this.root = root;
    this.strip = root.querySelector(".strip");
    this.slider = root.querySelector(".seek");
    this.branches = root.querySelector(".branches");
    this.onpreview = onpreview;
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
    this.branches.addEventListener("click", ({ target }) => {
      const node = target.closest("button")?.dataset.node;
      if (node) onseek(Number(node));
    });
  }

  /** Begins with a play. @param {{tree: Tree, fps: number, urlOf: (node: number) => string}} play */
  open({ tree, fps, urlOf }) {
    Object.assign(this, { tree, fps, urlOf });
    this.close();
    this.root.inert = false;
    this.update();
  }

  /** The play is over: nothing to go back to. */
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
    this.update();
  }

  get chosen() {
    return this.line[Number(this.slider.value)];
  }

  seconds(node) {
    return `${(this.tree.frames(node) / this.fps).toFixed(1)} s`;
  }

  /** Brings everything in line with the tree. */
  update() {
    if (this.root.inert) return;
    this.line = this.tree.line();
    this.slider.max = this.line.length - 1;
    if (!this.moving) {
      this.slider.value = this.line.indexOf(this.tree.head);
      this.name();
    }
    this.drawStrip();
    this.drawBranches();
  }

  name() {
    this.slider.ariaValueText = this.seconds(this.chosen);
    const at = Number(this.slider.value) / Math.max(1, Number(this.slider.max));
    this.root.style.setProperty("--at", at);
  }

  drawStrip() {
    const { width, height } = this.strip.getBoundingClientRect();
    const count = this.line.length;
    const ratio = parseFloat(getComputedStyle(this.root).getPropertyValue("--ratio")) || 1.8;
    const stride = strideFor(count, Math.floor(width / (height * ratio)) || 1);
    const wanted = new Map(); // node → its place in the line
    // The newest block may still be made again, so its picture waits.
    const last = Math.max(0, count - 2);
    for (let i = 0; i <= last; i += stride) wanted.set(this.line[i], i);
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
      const chip =
        this.branches.children[i] ??
        this.branches.appendChild(Object.assign(document.createElement("button"), { type: "button" }));
      if (chip.textContent !== name) chip.textContent = name;
      chip.dataset.node = ends[i];
      if (ends[i] === tip && chip.ariaCurrent !== "true")
        this.branches.scrollLeft = chip.offsetLeft - this.branches.offsetLeft - this.branches.clientWidth / 2;
      chip.ariaCurrent = String(ends[i] === tip);
    });
  }
}
