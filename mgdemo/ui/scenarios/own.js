/**
 * The scenarios that this browser keeps for the visitor. They never go to the server by themselves.
 *
 * @typedef {{id: string, title: string, mode: string, detail: string, text: string, picture: string | null,
 *   changed: number}} Own  detail: its length in words; picture: a small one, as data; changed: ms since 1970
 */

import { remember, remembered } from "../player/storage.js";

const KEY = "mgdemo.scenarios";
const MOST = 100;

/** @type {Set<() => void>} */
const followers = new Set();
const tell = () => followers.forEach((follower) => follower());
window.addEventListener("storage", ({ key }) => key === KEY && tell()); // another tab has saved one

export const ownScenarios = {
  /** Which of them is open, if one is. @type {string | null} */
  current: null,

  /** @param {string | null} id another one is open */
  open(id) {
    this.current = id;
    tell();
  },

  /** The newest first. @returns {Own[]} */
  list() {
    const { items } = remembered(KEY);
    const right = (it) => it && typeof it.text === "string" && typeof it.title === "string" && typeof it.id === "string";
    return Array.isArray(items) ? items.filter(right) : [];
  },

  /** @param {string | null} id @returns {Own | null} */
  get(id) {
    return this.list().find((item) => item.id === id) ?? null;
  },

  /**
   * Keeps a scenario: the open one under its id, another one as a new one, which is open then.
   * @param {Omit<Own, "id" | "changed">} scenario
   * @returns {boolean} whether the browser has kept it
   */
  save(scenario) {
    const id = this.get(this.current) ? this.current : crypto.getRandomValues(new Uint32Array(2)).join("-");
    const item = { ...scenario, id, changed: Date.now() };
    const items = [item, ...this.list().filter((each) => each.id !== id)];
    if (items.length > MOST || !this.write(items)) return false;
    this.current = id;
    tell();
    return true;
  },

  /** @param {string} id */
  remove(id) {
    this.write(this.list().filter((item) => item.id !== id));
    if (this.current === id) this.current = null;
    tell();
  },

  /** @param {Own[]} items */
  write(items) {
    remember(KEY, { items });
    return JSON.stringify(this.list()) === JSON.stringify(items);
  },

  /** @param {() => void} follower is called when the list or what is open has changed */
  follow(follower) {
    followers.add(follower);
  },
};
