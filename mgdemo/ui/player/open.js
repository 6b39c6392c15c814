/**
 * What a visitor brings along, a link or a file dropped anywhere on the page, and the link taken away.
 *
 * Python hears "link" with the fragment of the page's address, and "file" with the name of a file, its path on the
 * server (or the `problem`, why it was not sent) and the `tab` that is open. It sets `copy`.
 *
 * @typedef {{fragment: string, note: string, id: string}} Copy  note: what the link leaves out
 */

const MAX_BYTES = 40e6; // as the server takes
const KINDS = /\.(mp4|ya?ml|png|jpe?g|webp|gif|bmp|avif|tiff?)$/i;
const SHOWN_MS = 6000;

/** @type {{trigger: Function, upload: (file: File) => Promise<{path: string}>} | null} */
let page = null;

/** Opens a file as if it were dropped on the page. @param {File} file */
export async function openFile(file) {
  const tab = document.querySelector("#scenarios .player")?.getClientRects().length ? "scenarios" : "play";
  const tell = (more) => page.trigger("file", { name: file.name, tab, ...more });
  if (!KINDS.test(file.name)) return tell({ problem: "kind" });
  if (file.size > MAX_BYTES) return tell({ problem: "size" });
  try {
    tell({ path: (await page.upload(file)).path });
  } catch (error) {
    console.warn("a file could not be sent:", error);
    tell({ problem: "line" });
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
  };
  window.addEventListener("hashchange", look);
  look();
}
