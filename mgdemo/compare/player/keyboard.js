/**
 * The player's keyboard: does what a key asks for.
 *
 * @typedef {{data: import("./types.js").GridView, state: import("./types.js").State, row: import("./types.js").RowData,
 *   frames: number, lockstep: import("./lockstep.js").Lockstep, blink: import("./blink.js").Blink, play(): void,
 *   step(frames: number): void, zoom(factor: number): void,
 *   change(change: Partial<import("./types.js").State>): void}} Played  what of the player it needs
 */

import { SPEEDS } from "./clock.js";
import { commandOf, taken } from "./shortcuts.js";
import { VIEWS } from "./state.js";

export class Keyboard {
  /** @param {Document | HTMLElement} source of the events @param {Played} player */
  constructor(source, player) {
    this.source = source;
    this.player = player;
    this.listener = (event) => this.key(event);
    source.addEventListener("keydown", this.listener);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.defaultPrevented || taken(event.target, event.key)) return;
    const command = commandOf(event);
    if (command && this.run(command)) event.preventDefault();
  }

  /** @param {string} command from `commandOf` @returns {boolean} whether there is something to do */
  run(command) {
    const { player } = this;
    const { data, state, lockstep, row } = player;
    const { frame } = lockstep;
    const faster = (by) => player.change({ speed: SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(state.speed) + by))] }); // prettier-ignore
    const view = VIEWS.find((kind) => kind === command);
    if (view === "blink" && state.view.kind === "blink") return (player.blink.turn(), true);
    if (view) return data.columns.length > 1 && (player.change({ view: { ...state.view, kind: view } }), true);
    const [, mark] = /^mark (\d)$/.exec(command) ?? [];
    if (mark) return Boolean(row.marks[+mark - 1]) && (lockstep.goTo(row.marks[+mark - 1].frame), true);
    const last = player.frames - 1;
    const commands = {
      play: () => player.play(),
      back: () => player.step(-1),
      forward: () => player.step(1),
      "second back": () => lockstep.goTo(frame - data.fps),
      "second forward": () => lockstep.goTo(frame + data.fps),
      start: () => lockstep.goTo(0),
      end: () => lockstep.goTo(last),
      "loop from": () => player.change({ loop: { from: frame, to: Math.max(frame, state.loop?.to ?? last) } }),
      "loop to": () => player.change({ loop: { from: Math.min(frame, state.loop?.from ?? 0), to: frame } }),
      "no loop": () => player.change({ loop: null }),
      slower: () => faster(-1),
      faster: () => faster(1),
      names: () => player.change({ names: !state.names }),
      keys: () => player.change({ keys: !state.keys }),
      larger: () => player.zoom(1.5),
      smaller: () => player.zoom(1 / 1.5),
      whole: () => player.zoom(0),
    };
    commands[command]?.();
    return command in commands;
  }

  close() {
    this.source.removeEventListener("keydown", this.listener);
  }
}
