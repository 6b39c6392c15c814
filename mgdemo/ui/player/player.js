/**
 * The player: what a visitor sees and holds while a world is played or a scenario is made. It feeds the lifecycle with
 * what happens, and carries out its effects.
 *
 * Python sets two properties of the component: `setup` is what would be started next; `session` answers the events
 * `start`, `resume` and `stop`. All else of a session travels over its WebSocket.
 *
 * @typedef {import("./lifecycle.js").Effect} Effect
 * @typedef {import("./lifecycle.js").Event} Event
 */

import { bindButtons } from "./buttons.js";
import { keepChoices } from "./choices.js";
import { Events } from "./events.js";
import { Filmstrip } from "./filmstrip.js";
import { reduce } from "./lifecycle.js";
import { INITIAL, pressable, rewindable, running, startable } from "./phases.js";
import { Live } from "./live.js";
import { CLOSE, noteOf } from "./notes.js";
import { showMore } from "./overflow.js";
import { Playback } from "./playback.js";
import { FPS } from "./protocol.js";
import { disable, settings } from "./settings.js";
import { Hud } from "./stats.js";
import { Steering } from "./steering.js";
import { View } from "./view.js";
import { watchVisibility } from "./visibility.js";

const REFRESH_MS = 500; // between two updates of the statistics
const BACK_SECONDS = 2; // that Backspace rewinds

/** @type {Set<Player>} those of this page */
const players = new Set();

class Player {
  /** @param {HTMLElement} element @param {{trigger: (event: string, data?: object) => void, props: Record<string, any>,
   *   options: Record<string, any>}} gradio */
  constructor(element, gradio) {
    this.gradio = gradio;
    this.state = INITIAL;
    const dispatch = (event) => this.dispatch(event);
    this.view = new View(element);
    const { parts } = this.view;
    this.steering = new Steering(parts, {
      active: () => running(this.state) && this.live && this.view.shown,
      shown: () => this.view.shown,
      onchange: (input) => this.oninput(input),
      onpress: () => dispatch({ type: "input", waiting: this.waiting }),
      onwake: () => this.wake(),
      onmenu: () => (pressable(this.state) ? this.start() : this.toggle()),
    });
    this.playback = new Playback(parts.screen, {
      ...{ dispatch, phase: () => this.state.phase, running: () => running(this.state) },
      send: (message) => this.connection.send(message),
      onshown: (packet) => this.onshown(packet),
      ontick: (now) => this.ontick(now),
      onblunt: (why) => disable(this.settings.sharper, why),
    });
    this.filmstrip = new Filmstrip(parts.past, {
      state: () => this.state,
      onseek: (node) => this.rewind(node),
      onpreview: (url, at) => this.onpreview(url, at),
    });
    this.connection = new Live(this.playback, this.filmstrip, {
      ...{ dispatch, state: () => this.state, onwelcome: (welcome) => this.onwelcome(welcome) },
    });
    showMore(parts.past.querySelector(".branches"));
    this.hud = new Hud(parts.hud, () => this.playback.measured());
    this.settings = settings(parts.settings, () => this.onswitched());
    this.events = new Events(gradio, dispatch);
    this.effects = effectsOf(this);
    bindActions(this);
    this.onswitched();
    players.add(this);
    this.setUp();
  }

  /** @param {Event} event */
  dispatch(event) {
    const before = this.state;
    const { state, effects } = reduce(before, event);
    this.state = state;
    for (const effect of effects) this.effects[effect.type](effect);
    if (state !== before) this.view.render(this.state, this.facts);
    if (state.phase !== before.phase) this.filmstrip.update();
  }

  // What Python sets, and what is asked of it

  /** Shows what would be started, unless there is a session: then it applies later. */
  setUp() {
    const { setup } = this.gradio.props;
    if (startable(this.state)) {
      if (JSON.stringify(setup) !== JSON.stringify(this.setup)) this.view.setUp((this.setup = setup));
      this.fit({ ...setup, live: setup.live });
    }
    this.view.render(this.state, this.facts);
  }

  /** Something was chosen. */
  onsetup() {
    if (["ended", "error"].includes(this.state.phase)) this.dispatch({ type: "say", text: "" });
    this.setUp();
  }

  /** Makes pads, keys and picture those of a mode. @param {{mode: string, live: boolean, width: number, height: number}} shape */
  fit({ mode, live, width, height }) {
    this.view.fit(width, height);
    this.steering.setMode(this.gradio.options.modes[mode], live);
    this.view.setMode(this.gradio.options.modes[mode], live);
  }

  /** Whether the visitor steers what is shown, or would be started. */
  get live() {
    return this.state.session?.live ?? this.setup.live;
  }

  /** How many frames are there to be shown. */
  get waiting() {
    return this.playback.playout?.waiting ?? 0;
  }

  get facts() {
    const { meter, welcome } = this.playback;
    const { blocked, start } = this.setup;
    return {
      ...{ live: this.live, blocked, start, fps: welcome?.fps ?? FPS, total: welcome?.frames ?? null },
      displayed: meter?.displayed.at(performance.now()) ?? null,
      ...noteOf(this.state, `${this.gradio.props.setup.choice} ${this.view.chosenTrack}`),
    };
  }

  // What the visitor does

  start() {
    if (this.state.phase === "resting") return this.dispatch({ type: "start" });
    if (!startable(this.state) || (this.setup.blocked && this.state.phase !== "replaced")) return;
    const other = runningBeside(this);
    if (other && this.warned !== other.state.session?.token) {
      this.warned = other.state.session?.token;
      const where = `Your session on the ${other.gradio.options.title} tab is still running: stop it first`;
      const text = `${where}, or press ${this.setup.start} again to stop it now. Its film is kept.`;
      return this.dispatch({ type: "say", text });
    }
    other?.dispatch({ type: "stop" });
    this.dispatch({ type: "start" });
  }

  /** A control's key on an idle page starts a session, and counts as held from then on. */
  wake() {
    if (this.state.phase === "idle" && this.setup.live && this.view.shown && !runningBeside(this)) this.start();
    return this.state.phase === "starting" && this.live && this.view.shown;
  }

  toggle() {
    this.dispatch({ type: "toggle", waiting: this.waiting });
  }

  /** @param {{held: string[], camera: [number, number], input_seq: number}} input */
  oninput(input) {
    if (this.connection.send({ type: "input", ...input })) this.playback.input(input.input_seq);
  }

  goBack() {
    const { tree, from } = this.filmstrip;
    if (rewindable(this.state)) this.rewind(tree.before(from, BACK_SECONDS * FPS));
  }

  /** @param {number} node */
  rewind(node) {
    this.dispatch({ type: "rewind", node });
    this.filmstrip.update();
  }

  /** @param {string | null} url @param {string} at */
  onpreview(url, at) {
    this.view.preview(url);
    this.dispatch({ type: "preview", at: url === null ? null : at });
  }

  onswitched() {
    const on = this.settings.statistics.checked;
    this.view.parts.statistics.ariaPressed = String(on);
    this.hud.show(on);
    this.playback.screen.sharper.switch(this.settings.sharper.checked);
  }

  // What happens to the session

  open() {
    this.playback.forget();
    this.view.open();
    this.steering.used();
  }

  /** @param {import("./protocol.js").Welcome} welcome */
  onwelcome(welcome) {
    this.fit({ ...welcome, live: this.live });
    this.steering.repeat();
  }

  close() {
    this.playback.clear();
    this.steering.close();
    this.filmstrip.close();
    this.view.preview(null);
    this.setUp();
  }

  /** @param {import("./playout.js").Packet} packet */
  onshown({ index, node, of }) {
    this.view.show(index);
    this.filmstrip.show(node);
    if (this.state.phase === "paused") this.view.renderStatus(this.state, this.facts); // where a step or rewind is
    if (!of) return;
    // Of a regenerated block, the frames before the splice obey what the first version did.
    if (of.splice === null || index >= of.splice) this.steering.pads.use(of.held);
  }

  /** @param {number} now */
  ontick(now) {
    if (this.state.phase !== "playing") this.steering.used(); // only what is seen fades
    const patience = 1000 * Number(this.view.root.dataset.idleSeconds);
    const fades = this.live && !this.steering.mode.stands && this.settings.idle.checked;
    if (fades && this.steering.idleFor(now) > patience) this.dispatch({ type: "idle" });
    if (now - (this.refreshedAt ?? 0) < REFRESH_MS) return;
    this.refreshedAt = now;
    this.hud.update();
    this.view.renderStatus(this.state, this.facts);
  }
}

/** The player of the other tab, if it has a session. @param {Player} player */
const runningBeside = (player) => [...players].find((other) => other !== player && running(other.state));

/** What buttons, keys and the hiding of the page do. @param {Player} player */
function bindActions(player) {
  const { view, settings: switches } = player;
  const actions = {
    start: () => player.start(),
    stop: () => player.dispatch({ type: "stop" }),
    toggle: () => player.toggle(),
    step: () => player.dispatch({ type: "step" }),
    back: () => player.goBack(),
    cure: () => {
      if (player.facts.cure === CLOSE) player.dispatch({ type: "read" });
      else player.rewind(player.state.server.rewind_to);
    },
    statistics: () => switches.statistics.click(),
  };
  bindButtons(view, actions, {
    running: () => running(player.state),
    picture: () => view.picture(player.playback.screen),
  });
  watchVisibility((hidden) => player.dispatch({ type: "visibility", hidden: hidden && switches.hidden.checked }));
}

/** How the effects of the lifecycle are carried out. @param {Player} player @returns {Record<string, (effect: Effect) => void>} */
function effectsOf(player) {
  const { playback, view, connection, events, steering } = player;
  return {
    ask: ({ event, data }) => events.ask(event, data),
    connect: ({ session }) => connection.connect(session),
    disconnect: () => connection.disconnect(),
    send: ({ message }) => connection.send(message),
    // The socket is quicker; Gradio's event works while it is down.
    stop: ({ token }) => connection.send({ type: "stop" }) || events.ask("stop", { token }),
    lease: ({ token }) => events.trigger("lease", { token }), // it lasts as long as the GPU is held
    remember: ({ token }) => events.remember(token),
    focus: () => view.focus(), // or Space would press Start again
    open: () => player.open(),
    close: () => player.close(),
    hold: () => playback.hold(),
    release: ({ once = false }) => [steering.used(), steering.repeat(), playback.release(once)], // a rewind lets go
    acknowledge: () => playback.acknowledge(),
    rest: () => playback.rest(),
    stand: () => playback.stand(),
    clear: () => playback.clear(),
  };
}

/** Called by Gradio for each player on the page. */
export function mount(element, gradio) {
  const player = new Player(element, gradio);
  gradio.watch("setup", () => player.onsetup());
  keepChoices(player.view, gradio);
  gradio.watch("session", () => player.events.onanswer());
  player.events.restore();
}
