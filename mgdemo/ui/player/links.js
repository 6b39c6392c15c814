/**
 * What a visitor brings along, a link or files dropped anywhere on the page, and the link taken away.
 *
 * Python hears "link" or "replay_link" with the fragment of the page's address; of a file, with what `send` gives,
 * "replay", "picture" or (while the scenarios are open) "scenario_picture"; or "refused" with its name and the
 * `problem`. It sets `copy`.
 *
 * @typedef {{fragment: string, note: string, id: string}} Copy  note: what the link leaves out
 */

import { newLink, restoreChoices, unopenedReplay } from "./choices.js";
import { send, sort } from "./files.js";
import { LINK_PREFIXES } from "./protocol.js";
import { uniteRadios } from "./radio_group.js";

const SHOWN_MS = 6000;

/** @type {{trigger: Function, upload: (file: File) => Promise<{path: string}>, element: HTMLElement} | null} */
let page = null;

/** Copies a link, as the buttons do. @param {string} fragment @param {string} note what the link leaves out */
export const offerLink = (fragment, note = "") => take(page.element, { fragment, note, id: "" });

/** Opens files as if they were dropped on the page. @param {Iterable<File>} files */
async function openFiles(files) {
  const { replay, picture, others, unknown } = sort([...files]);
  if (unknown) return page.trigger("refused", { name: unknown.name, problem: "kind" });
  /** @type {import("./files.js").Sent & {picture?: import("./files.js").Sent, others?: string[]}} */
  const data = await send(replay ?? picture, page.upload);
  if (replay && picture) data.picture = await send(picture, page.upload);
  data.others = others.map(({ name }) => name);
  const scenarios = document.querySelector("#scenarios .player")?.getClientRects().length;
  page.trigger(replay ? "replay" : scenarios ? "scenario_picture" : "picture", data);
}

/** @param {File} file */
export const openFile = (file) => openFiles([file]);

function bindDrop(cue) {
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const show = (on) => (cue.hidden = !on);
  window.addEventListener("dragenter", (event) => files(event) && show(true));
  window.addEventListener("dragleave", (event) => event.relatedTarget === null && show(false));
  window.addEventListener("dragover", (event) => files(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    show(false);
    if (!files(event)) return;
    event.preventDefault(); // the browser would leave the page for the file
    openFiles(event.dataTransfer.files);
  });
}

/** The page's own query stays out: it may hold the token of a private Space. @param {string} fragment */
function addressOf(fragment) {
  const url = new URL(window.location.href);
  url.search = "";
  url.hash = fragment;
  return url.href;
}

/** Copies the link, or shows it to be copied by hand. @param {HTMLElement} element @param {Copy} copy */
async function take(element, { fragment, note }) {
  /** @type {any[]} */
  const [toast, message, field] = [".toast", ".message", "input"].map((part) => element.querySelector(part));
  const url = addressOf(fragment);
  let copied = true;
  try {
    await navigator.clipboard.writeText(url);
  } catch {
    copied = false; // not by https, or a frame that may not
  }
  message.textContent = `${copied ? "Link copied." : "Copy this link:"} ${note}`.trim();
  field.value = url;
  field.hidden = copied;
  toast.hidden = false;
  if (!copied) field.select();
  clearTimeout(toast.timer);
  if (copied) toast.timer = setTimeout(() => (toast.hidden = true), SHOWN_MS);
}

/** Called by Gradio, once on a page. */
export function mount(element, { trigger, props, watch, upload }) {
  page = { trigger, upload, element };
  uniteRadios(".modes");
  bindDrop(element.querySelector(".drop-cue"));
  element.querySelector(".close").addEventListener("click", () => (element.querySelector(".toast").hidden = true));
  watch("copy", () => take(element, props.copy));
  const look = () => {
    const fragment = window.location.hash.slice(1);
    if (fragment.startsWith(LINK_PREFIXES.PLAY)) trigger("link", { fragment });
    if (fragment.startsWith(LINK_PREFIXES.REPLAY)) trigger("replay_link", { fragment });
    if (fragment.startsWith(LINK_PREFIXES.COMPARE)) trigger("compare_link", { fragment });
  };
  window.addEventListener("hashchange", look);
  // When the page is loaded again, what was chosen after the link is restored instead.
  restoreChoices(trigger);
  if (newLink() || unopenedReplay()) look();
}
