/**
 * The scenario that is being written: what brings it back, keeps it in this browser and downloads it.
 *
 * @typedef {{title: string, mode: string, detail: string}} About
 */

import { ownScenarios } from "./own.js";

const PICTURE = { width: 160, height: 90 };

/** What is being written, also while another tab is open. */
export const draft = {
  text: "",
  opened: "", // the text as it was when it was opened
  listed: true, // whether it was one of the library's then
  changed: false, // since it was opened or saved
  /** @type {About | null} of the last text that was a scenario */
  about: null,
  open: false,
};

/** What was left with changes that the browser could not keep, the last one last.
 * @type {(typeof draft & {own: string | null})[]} */
const unkept = [];

/** What brings it back when the page is loaded again, and the link that was opened before it. @param {string} link */
export function remembered(link) {
  const { text, opened, listed, changed, open } = draft;
  const always = { editing: open, link };
  if (listed && text === opened) return always;
  return { ...always, text, id: ownScenarios.current, edited: changed };
}

/** Keeps the text among the visitor's scenarios. @param {HTMLElement} panel the tab @returns {boolean} */
export function keep(panel) {
  const { title, mode, detail } = draft.about ?? { title: "Untitled", mode: "", detail: "" };
  const kept = ownScenarios.save({ title, mode, detail, text: draft.text, picture: pictureOf(panel) });
  if (kept) draft.changed = false;
  return kept;
}

/**
 * Another text takes the place of this one, which is kept or waits to be brought back.
 * @param {HTMLElement} panel the tab @returns {boolean} whether nothing is lost
 */
export function leave(panel) {
  if (!draft.changed || keep(panel)) return true;
  unkept.push({ ...draft, own: ownScenarios.current });
  return false;
}

/** The text that was left last and not kept is open again. @param {HTMLElement} panel the tab */
export function bringBack(panel) {
  const { own, ...before } = unkept.pop();
  leave(panel);
  Object.assign(draft, before, { open: draft.open });
  ownScenarios.open(own);
}

/** Whether there is something to bring back. */
export const lacking = () => unkept.length > 0;

/** Saves the text as a file. */
export function download() {
  const url = URL.createObjectURL(new Blob([draft.text], { type: "application/yaml" }));
  Object.assign(document.createElement("a"), { href: url, download: fileName(draft.about?.title ?? "") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A file's name for a title. Pure. @param {string} title */
function fileName(title) {
  const name = title.toLowerCase().replace(/[^\p{Letter}\p{Number}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60);
  return `${name || "scenario"}.yaml`;
}

/** The start image that a tab shows, small, as data. @param {HTMLElement} panel @returns {string | null} */
function pictureOf(panel) {
  const poster = /** @type {HTMLImageElement | null} */ (panel.querySelector(".player .poster"));
  if (!poster?.naturalWidth) return null;
  const canvas = Object.assign(document.createElement("canvas"), PICTURE);
  canvas.getContext("2d").drawImage(poster, 0, 0, PICTURE.width, PICTURE.height);
  return canvas.toDataURL("image/jpeg", 0.7);
}
