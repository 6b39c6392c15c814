/** What keys do. Fields in which one writes keep theirs. */

/** @type {[string, string][]} keys and what they do, for people */
export const HELP = [
  ["Space", "play, pause"],
  [", .", "one frame back, forward"],
  ["← →", "one second back, forward"],
  ["Home End", "to the start, to the end"],
  ["1 … 9", "to a mark"],
  ["[ ]", "the loop begins, ends here"],
  ["L", "no loop"],
  ["< >", "slower, faster"],
  ["S W B D", "side by side, wipe, blink, difference"],
  ["N K", "names, keys over the pictures"],
  ["+ - 0", "larger, smaller, whole picture"],
];

/** What a key asks for, or "". @param {{key: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean}} event */
export function commandOf({ key, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return "";
  const named = {
    " ": "play", ",": "back", ".": "forward", ArrowLeft: "second back", ArrowRight: "second forward", Home: "start",
    End: "end", "[": "loop from", "]": "loop to", l: "no loop", "<": "slower", ">": "faster", s: "side", w: "wipe",
    b: "blink", d: "difference", n: "names", k: "keys", "+": "larger", "=": "larger", "-": "smaller", 0: "whole",
  }; // prettier-ignore
  if (/^[1-9]$/.test(key)) return `mark ${key}`;
  const name = key.length === 1 ? key.toLowerCase() : key;
  return Object.hasOwn(named, name) ? named[name] : "";
}

/** Whether the element that has the keyboard needs this key itself. @param {EventTarget | null} target @param {string} key */
export function taken(target, key) {
  const at = /** @type {HTMLElement | null} */ (target);
  const name = at?.tagName ?? "";
  if (name === "TEXTAREA" || name === "SELECT" || at?.isContentEditable) return true;
  const type = name === "INPUT" ? /** @type {HTMLInputElement} */ (at).type : "";
  if (type === "range" || type === "radio") return /^(Arrow|Home|End|Page)/.test(key) || (type === "radio" && key === " ");
  if (type) return type !== "checkbox" || key === " ";
  return (name === "BUTTON" || name === "SUMMARY" || name === "A") && key === " ";
}
