/**
 * What a visitor brings along, a link or a file dropped anywhere on the page, and the link taken away.
 *
 * Python hears "link" or "replay_link" with the fragment of the page's address; of a file, with its name and its
 * path on the server, "film", "picture" or (while the scenarios are open) "scene_picture"; or "refused" with its
 * name and the `problem`. It sets `copy`.
 *
 * @typedef {{fragment: string, note: string, id: string}} Copy  note: what the link leaves out
 */

const MAX_BYTES = 40e6; // as the server takes
const FILM = /\.(mp4|ya?ml)$/i;
const PICTURE = /\.(png|jpe?g|webp|gif|bmp|avif|tiff?)$/i;
const SHOWN_MS = 6000;

/** @type {{trigger: Function, upload: (file: File) => Promise<{path: string}>} | null} */
let page = null;

/** Opens a file as if it were dropped on the page. @param {File} file */
export async function openFile(file) {
  const { name } = file;
  const refuse = (problem) => page.trigger("refused", { name, problem });
  if (!FILM.test(name) && !PICTURE.test(name)) return refuse("kind");
  if (file.size > MAX_BYTES) return refuse("size");
  const scenes = document.querySelector("#scenarios .player")?.getClientRects().length;
  try {
    const { path } = await page.upload(file);
    page.trigger(FILM.test(name) ? "film" : scenes ? "scene_picture" : "picture", { name, path });
  } catch (error) {
    console.warn("a file could not be sent:", error);
    refuse("line");
  }
}

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
    if (event.dataTransfer.files.length) openFile(event.dataTransfer.files[0]);
  });
}

/** Copies the link, or shows it to be copied by hand. @param {HTMLElement} element @param {Copy} copy */
async function take(element, { fragment, note }) {
  const [toast, message, field] = [".toast", ".message", "input"].map((part) => element.querySelector(part));
  const url = new URL(`#${fragment}`, window.location.href).href;
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
  page = { trigger, upload };
  bindDrop(element.querySelector(".drop-cue"));
  element.querySelector(".close").addEventListener("click", () => (element.querySelector(".toast").hidden = true));
  watch("copy", () => take(element, props.copy));
  const look = () => {
    const fragment = window.location.hash.slice(1);
    if (fragment.startsWith("play=")) trigger("link", { fragment });
    if (fragment.startsWith("replay=")) trigger("replay_link", { fragment });
  };
  window.addEventListener("hashchange", look);
  look();
}
