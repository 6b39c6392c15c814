/**
 * The tree of a session's blocks, as the page knows it.
 *
 * A node is one block that was made, and has the one before it as its parent; node 0 is the start. The session stands
 * at the head. A rewind moves only the head; what is made from there on is a new branch.
 */

import { BLOCK_FRAMES, FIRST_BLOCK_FRAMES } from "./protocol.js";

/** Video frames from the start to the end of a block; block -1 is the start itself. @param {number} block */
export function framesUpTo(block) {
  return block < 0 ? 0 : FIRST_BLOCK_FRAMES + BLOCK_FRAMES * block;
}

/** Pure; knows no page. */
export class Tree {
  constructor() {
    /** @type {Map<number, {node: number, parent: number | null, block: number}>} */
    this.nodes = new Map([[0, { node: 0, parent: null, block: -1 }]]);
    this.head = 0;
    /** Where the branch that is shown ends: a rewind along it does not cut it off. */
    this.tip = 0;
  }

  /** There is such a node. @param {number} node @param {number | null} parent @param {number} block */
  know(node, parent, block) {
    if (!this.nodes.has(node)) this.nodes.set(node, { node, parent, block });
  }

  /** A block was made, and the session stands at its end. (The same one regenerated changes nothing.) */
  add(node, parent, block) {
    this.know(node, parent, block);
    this.head = this.tip = node;
  }

  /** The session stands at the end of `node`. @param {number} node */
  go(node) {
    if (!this.branch().includes(node))
      this.tip = this.ends.findLast((end) => this.branch(end).includes(node)) ?? node;
    this.head = node;
  }

  /** The nodes of the branch that is shown, or of the one that ends at `tip`, from the start on. @returns {number[]} */
  branch(tip = this.tip) {
    const branch = [];
    for (let at = this.nodes.get(tip); at; at = this.nodes.get(at.parent)) branch.push(at.node);
    return branch.reverse();
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
    while (at.parent !== null && framesUpTo(at.block) - target > BLOCK_FRAMES / 2);
    return at.node;
  }
}
