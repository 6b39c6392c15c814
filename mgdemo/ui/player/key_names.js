/**
 * What the keys of the visitor's keyboard are called. Keys count by their place (`KeyboardEvent.code`); only some
 * browsers report the letter there, so names are also learned from the keys that are pressed. Pure.
 */

const CODES =
  "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight " +
  "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote " +
  "KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash";
/** The letters at those places, the most frequent layouts first. */
const LAYOUTS = [
  "qwertyuiop[]asdfghjkl;'zxcvbnm,./", // QWERTY
  "azertyuiop^$qsdfghjklmùwxcvbn,;:!", // AZERTY
  "qwertzuiopü+asdfghjklöäyxcvbnm,.-", // QWERTZ
  "',.pyfgcrl/=aoeuidhtns-;qjkxbmwvz", // Dvorak
  "qwfpgjluy;[]arstdhneio'zxcvbkm,./", // Colemak
  "bépoèçvdljzwauiectsrnmçàyx.k'qghf", // Bépo
].map((letters) => new Map(CODES.split(" ").map((code, i) => [code, [...letters][i]])));
const OTHERS = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Backquote: "`",
  Backslash: "\\",
  Equal: "=",
  Minus: "-",
};
const SPOKEN = { "↑": "arrow up", "↓": "arrow down", "←": "arrow left", "→": "arrow right" };
const LATIN = /^[a-z]$/;

export class KeyNames {
  /** @param {Record<string, string>} [learned] code → character, as `learned` was before */
  constructor(learned = {}) {
    /** @type {Map<string, string>} */
    this.learned = new Map(Object.entries(learned).filter(([, key]) => typeof key === "string" && key.length === 1));
    /** @type {Map<string, string>} what the browser says */
    this.told = new Map();
  }

  /** A key was pressed. @param {string} code @param {string} key @returns {boolean} whether names have changed */
  learn(code, key) {
    const letter = key?.toLowerCase();
    if (!code || letter?.length !== 1 || letter === " " || !CODES.split(" ").includes(code)) return false;
    if (this.learned.get(code) === letter) return false;
    const others = [...this.learned].some(([c, k]) => c !== code && k === letter);
    if (this.learned.has(code) || others) {
      this.learned.clear(); // another layout from here on
      this.told.clear();
    }
    this.learned.set(code, letter);
    return true;
  }

  /** The layout that agrees with every letter learned so far, if one does. */
  get layout() {
    const letters = [...this.learned].filter(([, letter]) => LATIN.test(letter));
    return LAYOUTS.find((layout) => letters.every(([code, letter]) => layout.get(code) === letter)) ?? LAYOUTS[0];
  }

  /** The name of a key, as on its cap. @param {string} code */
  name(code) {
    const letter = this.learned.get(code) ?? this.told.get(code) ?? this.layout.get(code);
    if (letter) return letter.toUpperCase();
    return OTHERS[code] ?? code.replace(/^(Key|Digit)/, "").replace(/^Numpad/, "Num ").replace(/(Left|Right)$/, "");
  }

  /** The same for a voice. @param {string} code */
  spoken(code) {
    const name = this.name(code);
    return SPOKEN[name] ?? name;
  }
}
