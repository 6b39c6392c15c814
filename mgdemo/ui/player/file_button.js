/** A button that lets the visitor choose a file, and sends it as if it were dropped. */

import { send } from "./files.js";

/** Called by Gradio. Python hears "chosen" with what `send` gives. */
export function mount(element, { trigger, upload }) {
  const [button, input] = [element.querySelector("button"), element.querySelector("input")];
  let busy = false; // not `disabled`, which would take the focus away
  button.addEventListener("click", () => busy || input.click());
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    busy = true;
    button.ariaBusy = "true";
    const sent = await send(file, upload);
    busy = false;
    button.ariaBusy = "false";
    input.value = ""; // or the same file again would be no change
    trigger("chosen", sent);
  });
}
