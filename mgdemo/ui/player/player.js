/**
 * The player: what a visitor sees and holds while a world is played or a scenario is made.
 *
 * Python sets two properties of the component. `setup` is what would be played next, `play` is the play that
 * runs or ran last, as its Gradio event sees it; pictures, blocks and input go over the play's WebSocket.
 *
 * @typedef {{code: string, aliases: string[], name: string, label: string, hint: string, group: string,
 *   row: number, column: number}} Control
 * @typedef {{mode: {name: string, title: string, axes: string[], controls: Control[]}, poster: string | null,
 *   loop: string | null, width: number, height: number, live: boolean, start: string, blocked: string}} Setup
 *   blocked: why Start cannot be pressed
 * @typedef {{phase: string, text: string, progress: number | null, frames: number,
 *   fps: number | null, seconds_left: number | null}} Status
 * @typedef {{id: string, token: string, path: string | null, live: boolean, status: Status, beat: number}} Play
 *   beat: another one at least once a second, or Gradio would not tell that nothing has changed
 */

import { Connection, appUrl, socketUrl } from "./connection.js";
import { Screen, parsePacket, supportedCodecs } from "./decoder.js";
import { Hud, Meter, save } from "./stats.js";
import { Input, isTyping } from "./input.js";
import { KeyPanel } from "./key_panel.js";
import { keyboard } from "./keyboard.js";
import { Pads } from "./pads.js";
import { Playout } from "./playout.js";
import { openFile } from "./links.js";
import { showMore } from "./overflow.js";
import { settings } from "./settings.js";
import { Timeline, Tree } from "./timeline.js";

const SILENCE_MS = 20_000; // the server says something at least once a second; after so long it is gone
const SPIN_AFTER_MS = 600; // a shorter wait for pictures is not worth a word
const REFRESH_MS = 500; // between two updates of the statistics
const BACK_SECONDS = 2; // that Backspace goes back
const SHOWING = new Set(["playing", "buffering", "standing"]);
const RUNNING = new Set(["starting", "queued", "loading", "lost", "paused", "rewinding", ...SHOWING]);
const OVER = new Set(["saving", "ended", "error"]);
const FIRST = "Generating the first frames";
const BACK = "Rewinding";
const STATES = { playing: "Playing", buffering: "Waiting for the next frames" };
/** Why it is paused, in words; after all but "hand" any control goes on. */
const PAUSES = {
  hand: "Paused. Press P or the button to resume.",
  idle: "Paused: the picture degrades when idle. Press any control to resume.",
  rewound: "You're back at this moment. Press any control to continue from here.",
};

class Player {
  /** @param {HTMLElement} element @param {{trigger: Function, props: {setup: Setup, play: Play | null}}} gradio */
  constructor(element, { trigger, props }) {
    const part = (name) => element.querySelector(`.${name}`);
    this.root = part("player");
    this.parts = Object.fromEntries(
      (
        "stage poster loop screen preview message start start-label progress past status announce pause step stop " +
        "statistics keep picture begin settings full pads hud"
      )
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
    /** @type {keyof PAUSES | null} why the play is paused */
    this.paused = null;
    /** @type {number | null} the node to which it is going back */
    this.going = null;
    /** Whether a control was pressed while it goes back: then it goes on at once. */
    this.eager = false;
    /** Whether the play goes on in another window; its Gradio event is still under way here. */
    this.elsewhere = false;
    this.seq = 0;
    this.input = new Input(this.parts.stage, {
      active: () => this.steering,
      shown: () => this.shown,
      onchange: (codes, camera) => this.onheld(codes, camera),
      onwake: () => this.wake(),
      onmenu: () => (this.running ? this.togglePause() : this.start()),
    });
    this.pads = new Pads(this.parts.pads, (pad, code) => this.input.bindPad(pad, code));
    this.screen = new Screen(this.parts.screen, {
      onshown: (packet) => this.onshown(packet),
      onneedkey: () => this.connection?.send({ type: "keyframe" }),
    });
    this.timeline = new Timeline(this.parts.past, {
      onseek: (node) => this.rewind(node),
      onpreview: (url, at) => this.preview(url, at),
    });
    this.hud = new Hud(this.parts.hud, () => this.meter && this.measured());
    this.switches = settings(this.parts.settings, () => this.onswitched());
    this.keyPanel = new KeyPanel(part("rebind"));
    showMore(part("past").querySelector(".branches"));
    this.bindButtons();
    this.onswitched();
    this.update();
  }

  bindButtons() {
    const { start, stop, pause, step, statistics, full, past, keep, picture, begin, settings, stage } = this.parts;
    start.addEventListener("click", () => this.start());
    stop.addEventListener("click", () => this.stop());
    pause.addEventListener("click", () => this.togglePause());
    step.addEventListener("click", () => this.step());
    statistics.addEventListener("click", () => this.switches.statistics.click());
    full.addEventListener("click", () => this.toggleFullScreen());
    // Who goes back by pointer wants to play next; who does so by key stays on the slider.
    past.addEventListener("pointerup", () => stage.focus({ preventScroll: true }));
    for (const menu of [keep, settings]) {
      menu.addEventListener("focusout", (event) => {
        if (!menu.contains(event.relatedTarget)) menu.open = false;
      });
      menu.addEventListener("keydown", (event) => {
        if (event.code !== "Escape") return;
        menu.open = false;
        menu.firstElementChild.focus();
      });
    }
    keep.addEventListener("toggle", () => {
      picture.disabled = begin.disabled = this.root.dataset.picture !== "live";
    });
    picture.addEventListener("click", () => this.takePicture((blob, name) => save(name, "image/png", blob)));
    begin.addEventListener("click", () => this.takePicture((blob, name) => openFile(new File([blob], name))));
    window.addEventListener("keydown", (event) => this.onshortcut(event));
  }

  /** Keys that are no controls: by their place, like those. */
  onshortcut(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event, this.running) || !this.shown) return;
    const actions = {
      KeyP: () => this.togglePause(),
      Period: () => this.step(),
      Backspace: () => this.goBack(),
      KeyH: () => this.switches.statistics.click(),
      KeyF: () => this.toggleFullScreen(),
    };
    const again = event.repeat && event.code !== "Period" && event.code !== "Backspace";
    if (!actions[event.code] || again) return;
    event.preventDefault();
    actions[event.code]();
  }

  get running() {
    return RUNNING.has(this.state);
  }

  get startable() {
    return !this.running && this.state !== "saving" && !this.elsewhere && !this.setup?.blocked;
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
    else if (play && (OVER.has(play.status.phase) || !this.connection?.up)) this.onstatus(play.status);
    if (this.elsewhere && OVER.has(play.status.phase)) {
      this.elsewhere = false;
      this.say("idle", this.setup.blocked);
    }
    if (!this.running && this.state !== "saving" && !this.elsewhere) this.applySetup(setup);
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
    this.showLoop(setup.loop);
    if (before?.mode.name !== setup.mode.name || before?.live !== setup.live) {
      this.input.setMode(setup.mode);
      this.root.dataset.looks = setup.mode.axes.length ? "yes" : "no";
      this.pads.build(setup.mode, setup.live);
      this.keyPanel.setMode(setup.mode);
    }
    this.say("idle", setup.blocked);
    if (setup.live && !setup.blocked)
      this.parts.status.textContent = "Press Start, then hold the keys shown here or press the buttons.";
    this.root.dataset.picture = "poster";
  }

  /** Lets the start image move, unless the visitor wants things to keep still. @param {string | null} path */
  showLoop(path) {
    const { loop } = this.parts;
    loop.hidden = !path || matchMedia("(prefers-reduced-motion: reduce)").matches;
    loop.muted = true; // or it may not begin by itself
    if (loop.hidden) loop.removeAttribute("src");
    else loop.src = appUrl(path, window.gradio_config, document.baseURI).href;
  }

  /** Hands the picture that is shown on as a PNG file. @param {(blob: Blob, name: string) => void} use */
  takePicture(use) {
    const name = `picture-${this.root.dataset.frame}.png`;
    this.parts.keep.open = false;
    this.screen.picture().toBlob((blob) => use(blob, name), "image/png");
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
      const text = "The server isn't responding. Check your connection, then press Start to try again.";
      this.conclude({ phase: "error", text });
    }, SILENCE_MS);
  }

  /** @param {Play} play */
  begin(play) {
    this.disconnect();
    this.play = play;
    this.playout = this.over = this.paused = this.going = null;
    this.stepping = this.still = false;
    this.parts.loop.pause();
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
      onlost: () => this.onlost(),
      ongone: (...why) => this.ongone(...why),
    });
  }

  disconnect() {
    this.connection?.close();
    this.connection = null;
  }

  onlost() {
    if (!this.running || this.over) return;
    this.meter?.rest();
    this.say("lost", "The connection was lost. Trying again.");
  }

  ongone(reason, elsewhere) {
    this.disconnect();
    if (this.over || !this.running) return;
    this.elsewhere = Boolean(elsewhere);
    if (!elsewhere) this.trigger("stop", { token: this.play.token });
    const cure = elsewhere
      ? "Reload this page to start another."
      : "What was recorded is kept. Press Start to play again.";
    this.conclude({ phase: "error", text: `${reason}. ${cure}` });
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
    if (this.state === "lost") this.settle(); // the line is there again
    if (message.type === "welcome") this.onwelcome(message);
    else if (message.type === "status") this.onstatus(message);
    else if (message.type === "block") this.onblock(message);
    else if (message.type === "rewound") this.onrewound(message);
    else if (message.type === "end") this.disconnect(); // what was made of it comes by the Gradio event
  }

  onwelcome(welcome) {
    const again = this.playout !== null;
    this.welcome = welcome;
    this.latest = null;
    this.screen.configure(welcome);
    if (again) this.playout.clear();
    else this.open(welcome);
    if (this.play.live) this.agree(welcome, again);
    if (this.input.codes.length) this.onheld(this.input.codes, this.input.camera.value);
    this.run();
  }

  /** The play has begun, as far as this page is concerned. */
  open({ fps }) {
    this.playout = new Playout({ fps, live: this.play.live });
    this.meter = new Meter(fps);
    this.tree = new Tree();
    this.whole = -1;
    this.shownNode = null;
    this.lastInput = performance.now();
    if (!this.play.live) return;
    const address = (node) => appUrl(`${this.play.path}/thumb/${node}.jpg`, window.gradio_config, document.baseURI);
    this.timeline.open({ tree: this.tree, fps, urlOf: (node) => address(node).href });
  }

  /** Page and server may each have gone on while there was no line between them. */
  agree({ nodes, head, paused }, again) {
    for (const node of nodes) this.tree.know(...node);
    this.tree.go(head);
    this.timeline.update();
    if (!again && paused) this.hold("rewound");
    // A paused server tells by itself where it stands (`onrewound`).
    if (this.going !== null && !paused) this.connection.send({ type: "rewind", node: this.going });
    else if (paused !== Boolean(this.paused)) this.connection.send({ type: "pause", on: Boolean(this.paused) });
  }

  /** @param {Status} status from the socket or, while that is down, from the Gradio event, which says the same */
  onstatus(status) {
    if (!this.running && this.state !== "saving") return;
    this.status = status;
    if (OVER.has(status.phase)) {
      if (this.draining) this.over = status;
      else this.conclude(status);
    } else if (SHOWING.has(this.state)) this.refresh();
    else if (this.state === "rewinding") this.parts.progress.value = status.progress ?? 0;
    else if (this.running && this.state !== "lost" && !this.paused) {
      const made = SHOWING.has(status.phase) || status.phase === "paused"; // and on their way to here
      if (made) this.say("loading", this.root.dataset.frame ? STATES.buffering : FIRST);
      else this.say(status.phase, status.text);
    }
  }

  /** Whether a scenario that has been made is still arriving or being shown. */
  get draining() {
    const rest = this.connection || this.playout?.queue.length || this.screen.busy;
    return (this.paused || SHOWING.has(this.state)) && !this.play.live && Boolean(rest);
  }

  /** The play is over: its films are being made (saving) or are there. @param {Status} status */
  conclude({ phase: state, text }) {
    this.disconnect();
    this.screen.close();
    this.input.releaseAll();
    this.playout?.clear();
    this.timeline.close();
    this.parts.preview.hidden = true;
    this.over = this.paused = this.going = null;
    this.remember(null);
    this.pads.use([]);
    this.say(state, text);
    if (state !== "ended") return;
    this.applySetup(this.props.setup); // what was chosen meanwhile; else the last picture stays
    this.parts.status.textContent = text;
  }

  onblock(block) {
    const now = performance.now();
    this.tree.add(block.node, block.parent, block.block);
    if (this.going !== null) return; // of where it goes away from
    this.latest = block;
    this.playout.announce(block);
    this.meter.block(block, now, this.playout.buffered(now));
    this.timeline.update();
    const made = block.first_frame + block.frames; // sooner than the status that comes once a second
    if (this.welcome.frames) this.status = { ...this.status, frames: made, progress: made / this.welcome.frames };
  }

  onpacket(data) {
    const packet = parsePacket(data);
    if (this.still) {
      this.still = false;
      return this.screen.show(packet);
    }
    if (this.going !== null) return;
    const now = performance.now();
    // None: the block began before we were here.
    if (this.latest?.node === packet.node) packet.of = this.latest;
    this.playout.push(packet, now);
    const { of } = packet;
    if (!of || of.splice !== null || packet.index + 1 < of.first_frame + of.frames) return;
    this.whole = of.block;
    this.stepArrives = false;
    this.acknowledge(now);
  }

  /** Tells the server which block is here and how much there is to show. @param {number} now */
  acknowledge(now) {
    if (this.whole < 0) return;
    const buffered = Math.round(this.playout.reported(now));
    this.connection?.send({ type: "ack", block: this.whole, buffer_ms: buffered });
  }

  /** @param {string[]} held codes @param {[number, number]} camera pitch and yaw */
  onheld(held, camera) {
    const now = performance.now();
    this.pads.hold(held);
    this.lastInput = now;
    const message = { type: "input", held, camera, input_seq: ++this.seq };
    const sent = this.connection?.send(message);
    if (sent && this.state === "playing") this.meter.input(this.seq, now);
    const before = this.before ?? { held: [], camera: [0, 0] };
    this.before = { held, camera };
    const pressed = held.some((code) => !before.held.includes(code));
    const turned = camera.some((value, axis) => Math.abs(value) > Math.abs(before.camera[axis])); // not dying away
    if (!pressed && !turned) return;
    if (this.going !== null) this.eager = true;
    else if (this.paused && this.paused !== "hand") this.resume();
  }

  // Time

  togglePause() {
    if (this.paused) this.resume();
    else this.pause("hand");
  }

  /** Stops showing at once; live play also stops making. @param {keyof PAUSES} why */
  pause(why) {
    if (!SHOWING.has(this.state)) return;
    this.hold(why);
    if (this.play.live) this.connection?.send({ type: "pause", on: true });
    this.say("paused", PAUSES[why]);
  }

  /** Nothing moves on this page any more. @param {keyof PAUSES} why */
  hold(why) {
    this.paused = why;
    this.stepping = false;
    this.playout.pause(performance.now());
    this.meter.rest();
  }

  resume() {
    if (this.state !== "paused") return;
    const now = performance.now();
    this.paused = null;
    this.stepping = false;
    this.lastInput = now;
    this.playout.pause(now); // a step may be under way
    this.playout.resume(now);
    this.meter.rest();
    if (this.play.live) {
      this.acknowledge(now); // first, or the next block would be made at once
      this.connection?.send({ type: "pause", on: false });
    }
    this.say(this.playout.waiting ? "playing" : "buffering");
  }

  /** Pauses; if it is paused already: one block more. */
  step() {
    if (!this.paused) return this.pause("hand");
    if (!this.play.live || this.state !== "paused" || this.stepping) return;
    this.paused = "hand";
    this.stepping = this.stepArrives = true;
    this.playout.resume(performance.now(), false);
    this.connection?.send({ type: "step" });
    this.say("paused", PAUSES.hand);
  }

  goBack() {
    if (!this.tree || !this.timelineWorks) return;
    const from = this.going ?? this.shownNode ?? this.tree.head;
    this.rewind(this.tree.before(from, BACK_SECONDS * this.welcome.fps));
  }

  get timelineWorks() {
    return this.play?.live && (this.paused !== null || SHOWING.has(this.state)) && this.state !== "lost";
  }

  /** Goes to the end of a node, if the play can go anywhere now. @param {number} node */
  rewind(node) {
    if (this.timelineWorks) this.goTo(node);
  }

  goTo(node) {
    const busy = this.going !== null;
    this.going = node; // if it is already on its way to another, that comes first
    this.eager = false;
    if (busy) return;
    this.hold("rewound");
    this.connection?.send({ type: "rewind", node });
    this.say("rewinding", BACK);
  }

  onrewound({ node, block, frames }) {
    const { going } = this;
    this.tree.go(node);
    this.playout.rewind(frames);
    this.screen.close();
    this.latest = this.going = null;
    if (this.paused) this.hold(this.paused); // no step is under way any more
    this.shownNode = node;
    this.still = true;
    this.whole = block;
    this.lastInput = performance.now();
    this.timeline.update();
    if (going !== null && going !== node) return this.goTo(going);
    this.settle();
    if (going !== null && this.eager) this.resume();
  }

  /** Says what goes on apart from a lost line or a look at another moment. */
  settle() {
    if (this.going !== null) this.say("rewinding", BACK);
    else if (this.paused) this.say("paused", PAUSES[this.paused]);
    else this.say("loading");
  }

  /** Shows the picture to which the slider would go; null: the play's own again. */
  preview(url, at) {
    this.parts.preview.hidden = url === null;
    if (url === null) return this.state === "paused" && this.settle();
    this.parts.preview.src = url;
    this.pause("rewound");
    this.parts.message.textContent = `Rewind to ${at}`;
  }

  /** Whether live play has had no input for so long that its picture would fade. @param {number} now */
  idleFor(now) {
    if (this.input.codes.length || this.input.camera.value.some(Boolean)) this.lastInput = now;
    const patience = 1000 * Number(this.root.dataset.idleSeconds);
    return this.play.live && this.switches.idle.checked && now - this.lastInput > patience;
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
      if (this.stepping && !this.stepArrives && !this.playout.queue.length) {
        this.stepping = false;
        this.playout.pause(now);
      }
      if (this.over && !this.draining) this.conclude(this.over);
      else if (this.state === "playing" && this.idleFor(now)) this.pause("idle");
      else if (this.state === "playing" && this.playout.dryFor(now) > SPIN_AFTER_MS) this.say("buffering");
      else if (now - this.refreshedAt > REFRESH_MS) this.refresh();
    };
    tick();
  }

  /** @param {import("./playout.js").Packet} packet */
  onshown({ index, of }) {
    this.root.dataset.picture = "live";
    this.root.dataset.frame = index;
    if (["starting", "queued", "loading", "buffering"].includes(this.state)) this.say("playing");
    if (this.state === "paused") this.sayWhere(); // a step, or where it has gone back to
    if (this.state === "playing") this.meter.frame(index, of, performance.now(), this.playout.speed);
    if (!of) return;
    this.shownNode = of.node;
    // Of a block made again, the frames before the splice obey what the first making did.
    if (of.splice === null || index >= of.splice) this.pads.use(of.held);
  }

  /** Brings the statistics up to date. */
  refresh() {
    const now = performance.now();
    this.refreshedAt = now;
    this.hud.update();
    if (!SHOWING.has(this.state)) return;
    const { frames, fps, seconds_left: left, progress } = this.status;
    const text = SHOWING.has(this.status.phase) && this.status.text; // else it is of before
    this.parts.progress.value = this.over ? 1 : (progress ?? 0);
    const rate = this.meter.shown.at(now);
    const parts = [text || (rate ? `Playing ${rate.toFixed(1)} frames/s` : "Playing")];
    if (!this.play.live) {
      parts[0] = `${frames} of ${this.welcome.frames} frames generated`;
      if (fps) parts.push(`${fps.toFixed(0)} frames/s`);
      if (left) parts.push(`${Math.ceil(left)} s left`);
    }
    this.parts.status.textContent = parts.join(" · ");
  }

  /** All that is measured now, and of what. */
  measured() {
    const now = performance.now();
    const { checkpoint, seed, mode, codec, width, height, fps } = this.welcome;
    const { speed, ceiling } = this.playout;
    const summary = {
      ...{ checkpoint, seed, mode, codec, width, height, fps },
      ...this.meter.summary(now),
      ...{ buffer_ms: this.playout.buffered(now), speed, slow: ceiling < 1 && speed < 0.99 },
    };
    return { summary, blocks: this.meter.blocks };
  }

  onswitched() {
    const on = this.switches.statistics.checked;
    this.parts.statistics.ariaPressed = String(on);
    this.hud.show(on);
  }

  /** Enters a state and says it: over the picture, in the line below and to a screen reader. */
  say(state, text = "") {
    const changed = state !== this.state;
    this.state = state;
    this.root.dataset.state = state;
    const { activeElement } = document;
    if (!this.running && activeElement === this.parts.stop) this.parts.stage.focus({ preventScroll: true });
    this.parts.stop.disabled = !this.running;
    this.parts.start.disabled = !this.startable;
    this.nameTime();
    this.parts.message.textContent = state === "ended" ? "" : text;
    const words = text || STATES[state] || "";
    // The same words written anew would be read out anew.
    if ((changed || text) && this.parts.announce.textContent !== words) this.parts.announce.textContent = words;
    if (SHOWING.has(state)) return this.refresh();
    this.parts.status.textContent = state === "ended" ? text : ""; // else it is over the picture
    if (state === "paused") this.sayWhere();
    this.parts.progress.value = state === "loading" ? (this.status?.progress ?? 1) : 0;
  }

  sayWhere() {
    const seconds = (Number(this.root.dataset.frame ?? -1) + 1) / this.welcome.fps;
    this.parts.status.textContent = `Paused at ${seconds.toFixed(1)} s`;
  }

  /** What the buttons of time do now. */
  nameTime() {
    const { pause, step } = this.parts;
    const possible = this.state === "paused" || SHOWING.has(this.state);
    pause.disabled = !possible;
    step.disabled = !(possible && this.play?.live);
    pause.ariaLabel = this.paused ? "Resume" : "Pause";
    pause.title = `${pause.ariaLabel} (${keyboard.names.name("KeyP")})`;
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
