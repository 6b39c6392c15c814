/** The controls held now, in the order in which they were pressed. Pure; knows no page. */
export class Held {
  /** @param {(codes: string[]) => void} onchange */
  constructor(onchange) {
    this.onchange = onchange;
    /** @type {Map<string, Set<string>>} code → what holds it */
    this.holders = new Map();
  }

  /** @returns {string[]} */
  get codes() {
    return [...this.holders.keys()];
  }

  /** @param {string} code @param {string} by */
  press(code, by) {
    if (this.add(code, by)) this.onchange(this.codes);
  }

  /** @param {string} code @param {string} by */
  release(code, by) {
    if (this.remove(code, by)) this.onchange(this.codes);
  }

  /** One and the same holder goes from one control to another. */
  move(from, to, by) {
    const added = this.add(to, by);
    if (this.remove(from, by) || added) this.onchange(this.codes);
  }

  /** @returns {boolean} whether the control was not held before */
  add(code, by) {
    const holders = this.holders.get(code);
    if (holders) holders.add(by);
    else this.holders.set(code, new Set([by]));
    return !holders;
  }

  /** @returns {boolean} whether the control is held no longer */
  remove(code, by) {
    const holders = this.holders.get(code);
    return Boolean(holders?.delete(by)) && !holders.size && this.holders.delete(code);
  }

  releaseAll() {
    if (!this.holders.size) return;
    this.holders.clear();
    this.onchange(this.codes);
  }
}
