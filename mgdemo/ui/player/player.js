/**
 * The player: what a visitor sees and holds while a world is played or a scenario is made.
 *
 * Python sets two properties of the component. `setup` is what would be played next, `play` is the play that
 * runs or ran last, as its Gradio event sees it; pictures, blocks and input go over the play's WebSocket.
 *
 * @typedef {{code: string, aliases: string[], name: string, label: string, hint: string, group: string,
 *   row: number, column: number}} Control
 * @typedef {{mode: {name: string, title: string, controls: Control[]}, poster: string | null, width: number,
 *   height: number, live: boolean, start: string, blocked: string}} Setup  blocked: why Start cannot be pressed
 * @typedef {{state: string, text: string, progress: number | null, frames: number,
 *   fps: number | null, seconds_left: number | null}} Status
 * @typedef {{id: string, token: string, path: string | null, live: boolean, status: Status, beat: number}} Play
 *   beat: another one at least once a second, or Gradio would not tell that nothing has changed
 */

import { Connection, appUrl, socketUrl } from "./connection.js";
import { Screen, parsePacket, supportedCodecs } from "./decoder.js";
import { Input } from "./input.js";
import { Playout } from "./playout.js";

const SILENCE_MS = 20_000; // the server says something at least once a second; after so long it is gone
const SPIN_AFTER_MS = 600; // a shorter wait for pictures is not worth a word
const SHOWING = new Set(["playing", "buffering"]);
const RUNNING = new Set(["starting", "queued", "loading", "lost", ...SHOWING]);
const OVER = new Set(["saving", "ended", "error"]);
const FIRST = "Making the first pictures";
const STATES = { playing: "Playing", buffering: "Waiting for the next pictures" };

class Player {
  /** @param {HTMLElement} element @param {{trigger: Function, props: {setup: Setup, play: Play | null}}} gradio */
  constructor(element, { trigger, props }) {
    const part = (name) => element.querySelector(`.${name}`);
    this.root = part("player");
    this.parts = Object.fromEntries(
      "stage poster screen message start start-label progress status announce stop full pads"
        .split(" ")
        .map((name) => [name, part(name)]),
    );
    this.trigger = trigger;
    this.props = props;
    this.state = "idle";
    /** @type {Play | null} */
    this.play = null;
    /** @type {Playout | null} */
    this.playout = null;
    /** @type {Status | null} how a scenario ended whose pictures are not all shown yet */
    this.over = null;
    /** @type {Map<string, {pad: HTMLButtonElement, control: Control}>} */
    this.pads = new Map();
    this.blocks = new Map();
    this.input = new Input(this.parts.stage, {
      active: () => this.steering,
      shown: () => this.shown,
      onchange: (codes, camera) => this.onheld(codes, camera),
      onwake: () => this.wake(),
      onmenu: () => this.start(),
    });
    this.screen = new Screen(this.parts.screen, {
      onshown: (index) => this.onshown(index),
      onneedkey: () => this.connection?.send({ type: "keyframe" }),
    });
    this.parts.start.addEventListener("click", () => this.start());
    this.parts.stop.addEventListener("click", () => this.stop());
    this.parts.full.addEventListener("click", () => this.toggleFullScreen());
    this.update();
  }

  get running() {
    return RUNNING.has(this.state);
  }

  get startable() {
    return !this.running && this.state !== "saving" && !this.setup?.blocked;
  }

  /** Whether what is held now goes to the server: a live play in the tab that is open. */
  get steering() {
    return this.running && this.play?.live === true && this.shown;
  }

  /** Whether its tab is open. */
  get shown() {
    return this.root.getClientRects().length > 0;
  }

  /** Takes over what Python set. */
  update() {
    const { setup, play } = this.props;
    this.heard();
    if (play && play.id !== this.play?.id) this.begin(play);
    else if (play && (OVER.has(play.status.state) || !this.connection?.up)) this.onstatus(play.status);
    if (!this.running && this.state !== "saving") this.applySetup(setup);
  }

  /** Shows what would be played next, unless it is what is shown already. @param {Setup} setup */
  applySetup(setup) {
    if (JSON.stringify(setup) === JSON.stringify(this.setup)) return;
    const before = this.setup;
    this.setup = setup;
    this.root.dataset.live = setup.live ? "yes" : "no";
    this.root.style.setProperty("--ratio", setup.width / setup.height);
    this.parts["start-label"].textContent = setup.start;
    this.parts.poster.hidden = !setup.poster;
    if (setup.poster) this.parts.poster.src = setup.poster;
    if (before?.mode.name !== setup.mode.name || before?.live !== setup.live) this.buildPads(setup);
    this.say("idle", setup.blocked);
    if (setup.live && !setup.blocked)
      this.parts.status.textContent = "Press Start, then hold these keys, or press them here.";
    this.root.dataset.picture = "poster";
  }

  buildPads({ mode, live }) {
    const groups = new Map(mode.controls.map(({ group }) => [group, []]));
    for (const control of mode.controls) groups.get(control.group).push(control);
    this.pads.clear();
    this.parts.pads.replaceChildren(
      ...[...groups].map(([name, controls]) => {
        const group = document.createElement("div");
        group.className = "pad-group";
        group.setAttribute("role", "group");
        group.setAttribute("aria-label", name);
        group.append(...controls.map((control) => this.buildPad(control, live)));
        return group;
      }),
    );
    this.input.setMode(mode);
    this.root.dataset.looks = mode.axes.length ? "yes" : "no";
    this.nameKeys(mode.controls);
  }

  buildPad(control, live) {
    const pad = document.createElement("button");
    pad.type = "button";
    pad.className = "pad";
    pad.dataset.control = control.name;
    pad.style.gridArea = `${control.row + 1} / ${control.column + 1}`;
    pad.setAttribute("aria-label", `${control.hint} (${control.label})`);
    const key = document.createElement("kbd");
    key.textContent = control.label;
    const hint = document.createElement("small");
    hint.textContent = control.hint;
    pad.append(key, hint);
    if (live) {
      pad.setAttribute("aria-pressed", "false");
      this.input.bindPad(pad, control.code);
    } else {
      pad.disabled = true;
    }
    this.pads.set(control.name, { pad, control });
    return pad;
  }

  /** On another keyboard layout the same place has another letter: write that one. */
  async nameKeys(controls) {
    const layout = await navigator.keyboard?.getLayoutMap?.().catch(() => null); // not allowed in an iframe
    for (const { name, code } of layout ? controls : []) {
      const letter = layout.get(code)?.toUpperCase();
      if (letter) this.pads.get(name).pad.querySelector("kbd").textContent = letter;
    }
  }

  start() {
    if (!this.startable) return;
    this.parts.stage.focus({ preventScroll: true }); // or Space would press Start again
    this.ask("start");
  }

  /** A control's key on an idle page starts a play, and counts as held from then on. */
  wake() {
    if (this.state === "idle" && this.setup?.live && this.shown) this.start();
    return this.state === "starting" && this.setup.live && this.shown;
  }

  /** Asks for a play: a new one ("start"), or that of before the page was loaded anew ("resume"). */
  ask(event, data) {
    this.say("starting", "Starting");
    this.asked = true;
    this.unwanted = false;
    this.heard();
    this.trigger(event, data);
  }

  /** Keeps the token of the play where it outlasts the page (a frame may be forbidden to store anything). */
  remember(token) {
    history.replaceState({ ...history.state, [this.setup.start]: token }, "");
  }

  /** Something came from the server, or something was asked of it: now it has some time to go on. */
  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      if (this.over || !(this.running || this.state === "saving")) return;
      if (this.state === "lost") return this.heard(); // the connection itself knows when to give up
      const text = "The server does not answer. Check the connection and start again.";
      this.conclude({ state: "error", text });
    }, SILENCE_MS);
  }

  /** @param {Play} play */
  begin(play) {
    this.disconnect();
    this.play = play;
    this.playout = this.over = null;
    this.blocks.clear();
    this.shownBlock = undefined;
    this.root.dataset.picture = "poster"; // not the last picture of the play before
    delete this.root.dataset.frame;
    this.state = "starting";
    this.remember(play.token);
    this.onstatus(play.status);
    this.asked = false;
    if (this.unwanted) this.stop();
    else if (play.path && this.running) this.connect(play);
  }

  async connect(play) {
    const codecs = await supportedCodecs();
    if (play !== this.play) return;
    const url = socketUrl(appUrl(play.path, window.gradio_config, document.baseURI));
    this.connection = new Connection(url, codecs, {
      onmessage: (message) => this.onmessage(message),
      onpacket: (data) => this.onpacket(data),
      onlost: () => this.running && !this.over && this.say("lost", "The connection was lost. Trying again."),
      ongone: (...why) => this.ongone(...why),
    });
  }

  disconnect() {
    this.connection?.close();
    this.connection = null;
  }

  ongone(reason, elsewhere) {
    this.disconnect();
    if (this.over || !this.running) return;
    if (!elsewhere) this.trigger("stop", { token: this.play.token });
    this.conclude({ state: "error", text: `${reason} What was recorded is kept; press Start to play again.` });
  }

  stop() {
    if (!this.running) return;
    // By both lines: the socket is quicker, the Gradio event works when the socket is down.
    this.connection?.send({ type: "stop" });
    if (this.asked) this.unwanted = true; // it is not there yet: stop it when it is
    else if (this.play?.token) this.trigger("stop", { token: this.play.token });
    this.disconnect();
    this.playout?.clear();
    if (this.over) this.conclude(this.over);
    else this.say("saving", "Stopping");
    this.heard();
  }

  onmessage(message) {
    this.heard();
    if (this.state === "lost") this.say("loading"); // the line is there again
    if (message.type === "welcome") this.onwelcome(message);
    else if (message.type === "status") this.onstatus(message);
    else if (message.type === "block") this.onblock(message);
    else if (message.type === "end") this.disconnect(); // what was made of it comes by the Gradio event
  }

  onwelcome(welcome) {
    if (this.playout) this.playout.clear();
    else this.playout = new Playout({ fps: welcome.fps, live: this.play.live });
    this.frames = welcome.frames;
    this.screen.configure(welcome);
    if (this.input.codes.length) this.onheld(this.input.codes, this.input.camera.value);
    this.run();
  }

  /** @param {Status} status from the socket or, while that is down, from the Gradio event, which says the same */
  onstatus(status) {
    if (!this.running && this.state !== "saving") return;
    this.status = status;
    if (OVER.has(status.state)) {
      if (this.draining) this.over = status;
      else this.conclude(status);
    } else if (SHOWING.has(this.state)) this.refresh();
    else if (this.running && this.state !== "lost") {
      const made = SHOWING.has(status.state); // and on their way to here
      this.say(made ? "loading" : status.state, made ? (this.root.dataset.frame ? STATES.buffering : FIRST) : status.text);
    }
  }

  /** Whether a scenario that has been made is still arriving or being shown. */
  get draining() {
    const rest = this.connection || this.playout?.queue.length || this.screen.busy;
    return SHOWING.has(this.state) && !this.play.live && Boolean(rest);
  }

  /** The play is over: its films are being made (saving) or are there. @param {Status} status */
  conclude({ state, text }) {
    this.disconnect();
    this.screen.close();
    this.input.releaseAll();
    this.playout?.clear();
    this.over = null;
    this.remember(null);
    for (const { pad } of this.pads.values()) pad.classList.remove("used");
    this.say(state, text);
    if (state !== "ended") return;
    this.applySetup(this.props.setup); // what was chosen meanwhile; else the last picture stays
    this.parts.status.textContent = text;
  }

  onblock(block) {
    this.blocks.set(block.block, block);
    this.playout.announce(block.frames, block.made_ms);
    const made = block.first_frame + block.frames; // sooner than the status that comes once a second
    if (this.frames) this.status = { ...this.status, frames: made, progress: made / this.frames };
  }

  onpacket(data) {
    const packet = parsePacket(data);
    const now = performance.now();
    this.playout.push(packet, now);
    const block = this.blocks.get(packet.block);
    if (packet.index + 1 !== block?.first_frame + block?.frames) return; // no block: it began before we were here
    const buffered = Math.round(this.playout.reported(now));
    this.connection.send({ type: "ack", block: packet.block, buffer_ms: buffered });
  }

  /** @param {string[]} codes @param {[number, number]} camera */
  onheld(codes, camera) {
    for (const { pad, control } of this.pads.values()) {
      const held = codes.includes(control.code);
      pad.classList.toggle("held", held);
      pad.setAttribute("aria-pressed", String(held));
    }
    this.connection?.send({ type: "input", held: codes, camera });
  }

  /** The clock: runs while there is something to show. */
  run() {
    if (this.ticking) return;
    const tick = () => {
      this.ticking = this.running && this.playout !== null;
      if (!this.ticking) return;
      requestAnimationFrame(tick);
      const now = performance.now();
      for (const packet of this.playout.due(now)) this.screen.show(packet);
      if (this.over && !this.draining) this.conclude(this.over);
      else if (this.state === "playing" && this.playout.dryFor(now) > SPIN_AFTER_MS) this.say("buffering");
      else if (SHOWING.has(this.state) && now - this.refreshedAt > 500) this.refresh();
    };
    tick();
  }

  onshown(index) {
    this.root.dataset.picture = "live";
    this.root.dataset.frame = index;
    if (this.running && this.state !== "playing" && this.state !== "lost") this.say("playing");
    const block = [...this.blocks.values()].findLast((each) => each.first_frame <= index);
    if (!block || block.block === this.shownBlock) return;
    this.shownBlock = block.block;
    for (const number of this.blocks.keys()) if (number < block.block) this.blocks.delete(number);
    for (const { pad, control } of this.pads.values())
      pad.classList.toggle("used", block.held.includes(control.name));
  }

  /** Brings the line of figures up to date. */
  refresh() {
    const now = performance.now();
    this.refreshedAt = now;
    const { frames, fps, seconds_left: left, progress, text } = this.status;
    this.parts.progress.value = this.over ? 1 : (progress ?? 0);
    const rate = this.playout.shownRate(now);
    const words = [text || (rate ? `Playing ${rate.toFixed(1)} frames/s` : "Playing")];
    if (!this.play.live) {
      words[0] = `${frames} of ${this.frames} frames made`;
      if (fps) words.push(`${fps.toFixed(0)} frames/s`);
      if (left) words.push(`${Math.ceil(left)} s left`);
    }
    this.parts.status.textContent = words.join(" · ");
  }

  /** Enters a state and says it: over the picture, in the line below and to a screen reader. */
  say(state, text = "") {
    const changed = state !== this.state;
    this.state = state;
    this.root.dataset.state = state;
    this.parts.stop.disabled = !this.running;
    this.parts.start.disabled = !this.startable;
    this.parts.message.textContent = state === "ended" ? "" : text;
    if (changed || text) this.parts.announce.textContent = text || STATES[state] || "";
    if (SHOWING.has(state)) return this.refresh();
    this.parts.status.textContent = state === "ended" ? text : ""; // else it is over the picture
    this.parts.progress.value = state === "loading" ? (this.status?.progress ?? 1) : 0;
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.().then(() => this.parts.stage.focus());
  }
}

/** Called by Gradio for each player on the page. */
export function mount(element, gradio) {
  const player = new Player(element, gradio);
  gradio.watch(["setup", "play"], () => player.update());
  const token = history.state?.[player.setup.start];
  if (token) player.ask("resume", { token });
}
