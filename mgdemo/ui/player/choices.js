/** What is chosen on the page comes back when the page is loaded again; a new link is stronger. */

import { LINK_PREFIXES } from "./protocol.js";
import { keepInTab, keptInTab } from "./tab_memory.js";

const OPENED = "opened"; // the link that the page was opened by
/** The page's link, without "#"; "" if it has none. */
export const link = () => {
  const fragment = window.location.hash.slice(1);
  return Object.values(LINK_PREFIXES).some((prefix) => fragment.startsWith(prefix)) ? fragment : "";
};

/** Whether the page was opened by a link that it has not opened before. */
export const newLink = () => link() !== "" && link() !== keptInTab(OPENED);

/** Whether the page's link holds a scenario that has not been opened yet: what was chosen after it is stronger. */
export const unopenedReplay = () =>
  link().startsWith(LINK_PREFIXES.REPLAY) && keptInTab("scenarios draft")?.link !== link();

/**
 * Keeps what a tab's player shows when the page goes.
 * @param {import("./view.js").View} view @param {Record<string, any>} gradio
 */
export function keepChoices(view, { props, options }) {
  window.addEventListener("pagehide", () => {
    const { checkpoint, image } = props.setup;
    const chosen = { checkpoint, image, seed: view.seed, track: view.chosenTrack, open: view.shown };
    keepInTab(`${options.name} choices`, chosen);
    keepInTab(OPENED, link());
  });
}

/** Asks Python for what was chosen, also on a tab that is not open yet. @param {Function} trigger */
export function restoreChoices(trigger) {
  if (newLink()) return;
  for (const name of ["play", "scenarios"]) {
    const chosen = keptInTab(`${name} choices`);
    const linked = name === "scenarios" && unopenedReplay();
    if (chosen && !linked) trigger(`restore_${name}`, { ...chosen, ...keptInTab(`${name} draft`) });
  }
  const compared = keptInTab("compare choices");
  if (compared) trigger("restore_compare", compared);
}
