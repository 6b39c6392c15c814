/** The menu that saves the shown picture, or makes it the next start image. */

import { openFile } from "./links.js";
import { save } from "./stats.js";

/**
 * @param {{keep: HTMLDetailsElement, picture: HTMLButtonElement, begin: HTMLButtonElement}} parts
 * @param {() => {canvas: HTMLCanvasElement, frame: string} | null} shown the picture in its own size, if there is one
 */
export function bindPictureMenu({ keep, picture, begin }, shown) {
  const take = (use) => {
    const now = shown();
    keep.open = false;
    now?.canvas.toBlob((blob) => use(blob, `picture-${now.frame}.png`), "image/png");
  };
  keep.addEventListener("toggle", () => (picture.disabled = begin.disabled = !shown()));
  picture.addEventListener("click", () => take((blob, name) => save(name, "image/png", blob)));
  begin.addEventListener("click", () => take((blob, name) => openFile(new File([blob], name))));
}

/** A menu closes when the focus leaves it, or by Escape. @param {HTMLDetailsElement} menu */
export function bindMenu(menu) {
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(/** @type {Node | null} */ (event.relatedTarget))) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.code !== "Escape") return;
    menu.open = false;
    /** @type {HTMLElement} */ (menu.firstElementChild).focus();
  });
}
