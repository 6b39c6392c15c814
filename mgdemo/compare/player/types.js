/**
 * The value that the player shows: `GridView` of mgdemo/compare/view.py, which documents every part.
 *
 * @typedef {[number, number]} Span  frames: the first, and the first that is not in it any more
 * @typedef {{control: string, label: string, hint: string, lost: boolean, spans: Span[]}} Lane
 * @typedef {{name: string, words: string, low: number, high: number, least: number | null, most: number | null,
 *   values: (number | null)[]}} Curve
 * @typedef {{frame: number, words: string}} Moment
 * @typedef {{name: string, score: number | null, delta: number | null, words: string, best: boolean, fails: boolean}} Score
 * @typedef {{name: string, score: number, windows: number, size: number | null, fails: boolean}} ControlScore
 * @typedef {{key: string, phase: string, share: number, fps: number | null, seconds_left: number | null, words: string,
 *   error: string, picture: string}} Progress
 * @typedef {Progress & {title: string, mode: string, image: string, seed: number, frames: number, width: number,
 *   height: number, video: string, lanes: Lane[], curves: Curve[], wrong: Span[], moments: Moment[], scores: Score[],
 *   controls: ControlScore[]}} CellData
 * @typedef {{name: string, frame: number}} Mark
 * @typedef {{title: string, seed: number, frames: number, marks: Mark[], cells: CellData[]}} RowData
 * @typedef {{name: string, label: string, hint: string, group: string, row: number, column: number}} Control
 * @typedef {{name: string, title: string, controls: Control[]}} Mode
 * @typedef {{version: number, id: string, title: string, fps: number, columns: string[], modes: Record<string, Mode>,
 *   rows: RowData[]}} GridView
 *
 * @typedef {"side" | "wipe" | "blink" | "difference"} ViewKind
 * @typedef {{kind: ViewKind, a: number, b: number, gain: number, wipe: number}} PairView  a, b: columns
 * @typedef {{row: number, frame: number, view: PairView, loop: import("./clock.js").Loop | null, speed: number,
 *   zoom: {scale: number, x: number, y: number}, names: boolean, keys: boolean, curve: string}} State
 *   row: -1 for all of them; zoom: x and y are shares of the picture, from its middle
 *
 * @typedef {{state?: string, keys?: "page" | "inside", onstate?: (text: string) => void}} Options
 *   state: what to begin with, in the form that `onstate` gives; keys: whether keys work everywhere on the page, or where the player has
 *   the keyboard (default); onstate: row, moment and view have changed and are at rest: a text for the part of an
 *   address after the #
 */

export {};
