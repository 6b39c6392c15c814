import assert from "node:assert/strict";
import { test } from "node:test";

import { strideFor } from "../../../mgdemo/ui/player/filmstrip.js";
import { Tree, framesUpTo } from "../../../mgdemo/ui/player/tree.js";

/** A tree of `blocks` blocks one after the other: nodes 1, 2, … */
function played(blocks) {
  const tree = new Tree();
  for (let i = 0; i < blocks; i++) tree.add(i + 1, i, i);
  return tree;
}

test("the first block has 9 video frames, each later one 12", () => {
  assert.deepEqual([-1, 0, 1, 9].map(framesUpTo), [0, 9, 21, 117]);
  assert.equal(played(3).frames(3), 33);
});

test("a rewind along the branch keeps what comes after in sight; what is made from there on is a new branch", () => {
  const tree = played(4);
  tree.go(2);
  assert.equal(tree.head, 2);
  assert.deepEqual(tree.branch(), [0, 1, 2, 3, 4]);
  assert.deepEqual(tree.ends, [4]);
  tree.add(5, 2, 2);
  assert.deepEqual(tree.branch(), [0, 1, 2, 5]);
  assert.deepEqual(tree.ends, [4, 5]);
  tree.go(4);
  assert.deepEqual(tree.branch(), [0, 1, 2, 3, 4]);
  tree.go(1); // lies on both branches: the one that is shown stays
  assert.deepEqual(tree.branch(), [0, 1, 2, 3, 4]);
});

test("the start can be an end of its own branch, and have several branches", () => {
  const tree = new Tree();
  assert.deepEqual([tree.branch(), tree.ends], [[0], [0]]);
  tree.add(1, 0, 0);
  tree.go(0);
  tree.add(2, 0, 0);
  assert.deepEqual([tree.branch(), tree.ends], [[0, 2], [1, 2]]);
});

test("a block made again is the same node", () => {
  const tree = played(2);
  tree.add(2, 1, 1);
  assert.deepEqual([tree.branch(), tree.ends], [[0, 1, 2], [2]]);
});

test("what the server tells after a lost connection does not move the session", () => {
  const tree = played(2);
  tree.know(1, 0, 0);
  tree.know(3, 2, 2);
  assert.equal(tree.head, 2);
  tree.go(3);
  assert.deepEqual(tree.branch(), [0, 1, 2, 3]);
});

test("back goes by time, at least one block and not before the start", () => {
  const tree = played(10);
  assert.equal(tree.before(10, 48), 6);
  assert.equal(tree.before(10, 50), 6);
  assert.equal(tree.before(10, 1), 9);
  assert.equal(tree.before(3, 50), 0);
  assert.equal(tree.before(0, 50), 0);
});

test("a strip has as many pictures as fit, and seldom other ones", () => {
  assert.equal(strideFor(1, 8), 1);
  assert.equal(strideFor(8, 8), 1);
  assert.equal(strideFor(9, 8), 2);
  assert.equal(strideFor(17, 8), 4);
  assert.equal(strideFor(5, 0), 8);
  for (let count = 1; count < 500; count++) {
    const stride = strideFor(count, 8);
    assert.ok(Math.ceil(count / stride) <= 8 && (stride === 1 || count / stride > 4), `${count}: ${stride}`);
  }
});

test("a page that was loaded again in the middle of a branch sees it to its end", () => {
  const tree = new Tree();
  for (const [node, parent, block] of [[1, 0, 0], [2, 1, 1], [3, 2, 2], [4, 1, 1]]) tree.know(node, parent, block);
  tree.go(2);
  assert.deepEqual([tree.branch(), tree.head], [[0, 1, 2, 3], 2]);
  tree.go(4);
  assert.deepEqual(tree.branch(), [0, 1, 4]);
  tree.go(1);
  assert.deepEqual([tree.branch(), tree.head], [[0, 1, 4], 1]);
});
