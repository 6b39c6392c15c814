/**
 * The part of the Compare tab below its lists: what would be run, what runs, the films side by side or pairs to vote on.
 *
 * Python sets two properties: `plan` is what would be run next; `job` answers "run", or is what a link or a page that
 * was loaded again brings. All else of a grid travels over its own WebSocket and addresses.
 *
 * @typedef {{id: string, error?: string, grid?: string, token?: string, fragment?: string, blind?: boolean,
 *   at?: string, private?: boolean}} Job  token: with which this page may cancel; fragment: of a link; at: what the player
 *   showed; private: files of the visitor's own are in it
 * @typedef {import("./following.js").Message} Message
 */

import { element, write } from "../../compare/player/dom.js";
import { mountGrid } from "../../compare/player/index.js";
import { newLink } from "../player/choices.js";
import { ANSWER_MS } from "../player/events.js";
import { offerLink } from "../player/links.js";
import { LINK_PREFIXES } from "../player/protocol.js";
import { keepInTab } from "../player/tab_memory.js";
import { Ballots } from "./ballots.js";
import { Files } from "./files.js";
import { absolute } from "./films.js";
import { Following } from "./following.js";
import { Plans } from "./plans.js";
import { ended, numbers, underWay } from "./wording.js";

const PARTS = [".summary", ".problem", ".lost", ".run", ".cancel", ".blind", ".share", ".standing-of-runs", "progress", ".message", ".numbers", ".stage", ".ballots", ".files"]; // prettier-ignore
const PRIVATE = "Whoever opens it sees this comparison while it is kept here; your own files are not in the link.";
const UNKNOWN = "This comparison isn't kept here any more. Press Run to make it again.";
const LOST = "The connection to the server was lost. Trying again.";
const CANCELING = "Canceling. What is finished stays.";
const CANCELING_LATER = "There is no connection to the server: canceling as soon as it is back.";
const SILENT = "The server has not answered yet. Check your connection, then press Run again.";

class Compare {
  /** @param {HTMLElement} root @param {Record<string, any>} gradio */
  constructor(root, { trigger, props }) {
    this.trigger = trigger;
    this.plans = new Plans(props.plan, () => trigger("opened"));
    /** @type {HTMLElement} */
    this.root = root.querySelector(".compare");
    /** @type {Record<string, any>} */
    this.parts = {};
    for (const part of PARTS) this.parts[part.replace(".", "")] = this.root.querySelector(part);
    /** @type {Job | null} */
    this.job = null;
    this.following = null;
    this.player = null;
    this.finished = this.failed = 0;
    this.connecting = false;
    this.asked = false; // for a GPU
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = undefined; // with an event that starts a grid
    this.files = new Files(this.parts.files, (text) => this.say(text));
    this.ballots = new Ballots(this.parts.ballots, (text) => this.say(text));
    this.bind();
    this.setPhase("idle");
  }

  bind() {
    const { run, cancel, blind, share } = this.parts;
    run.addEventListener("click", () => this.run());
    cancel.addEventListener("click", () => this.cancel());
    blind.addEventListener("change", () => this.job && this.follow(this.job));
    share.addEventListener("click", () => this.share());
    window.addEventListener("pagehide", () => this.keep());
  }

  /** idle: nothing is shown; starting; running; ended; unknown: the grid is not known here. @param {string} phase */
  setPhase(phase) {
    const { run, cancel, share, stage, ballots, files, blind } = this.parts;
    const [ranBefore, focused] = [this.phase === "running", document.activeElement];
    this.phase = this.root.dataset.phase = phase;
    const shown = phase === "running" || phase === "ended";
    run.hidden = phase === "running";
    run.ariaBusy = String(phase === "starting"); // not disabled, which would take the focus away
    run.disabled = !this.plan.choice || Boolean(this.plan.problem);
    cancel.hidden = phase !== "running" || !this.job?.token;
    share.hidden = stage.hidden = !shown || blind.checked;
    ballots.hidden = !shown || !blind.checked;
    files.hidden = stage.hidden || !this.finished;
    this.parts["standing-of-runs"].hidden = phase === "idle";
    this.parts.progress.hidden = phase !== "running";
    if (focused === run && run.hidden) cancel.focus();
    if (ranBefore && focused === cancel && cancel.hidden) run.focus();
  }

  get plan() {
    return this.plans.current;
  }

  /** @param {import("./plans.js").Plan} plan */
  showPlan(plan) {
    if (!this.plans.take(plan)) return;
    const { summary, problem, lost } = this.parts;
    write(summary, this.plan.summary);
    write(problem, this.plan.problem);
    problem.hidden = !this.plan.problem;
    const sentences = this.plan.lost;
    lost.hidden = !sentences.length;
    write(lost.querySelector("summary"), `What changes between modes: ${sentences.length}`);
    lost.querySelector("ul").replaceChildren(...sentences.map((text) => element("li", {}, text)));
    this.setPhase(this.phase);
  }

  run() {
    if (this.phase === "starting") return;
    this.setPhase("starting");
    this.say("Starting.");
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.answer({ id: "", error: SILENT }), ANSWER_MS);
    this.trigger("run");
  }

  cancel() {
    this.following?.cancel();
    this.say(this.connecting ? CANCELING_LATER : CANCELING);
  }

  /** Python's answer. @param {Job | null} job */
  answer(job) {
    if (!job) return;
    clearTimeout(this.patience);
    if (job.error) {
      this.say(job.error);
      return this.setPhase(this.job ? "ended" : "failed");
    }
    if (job.blind !== undefined) this.parts.blind.checked = job.blind;
    this.follow(job);
  }

  /** @param {Job} job */
  follow(job) {
    const blind = this.parts.blind.checked;
    this.following?.close();
    if (this.job?.grid !== job.grid || blind) this.clear();
    this.job = job;
    this.files.grid = job.grid;
    this.finished = this.failed = 0;
    this.connecting = true;
    this.ballots.show(blind ? job.grid : "");
    this.setPhase("running");
    this.following = new Following(job, blind, {
      onmessage: (message) => this.heard(message),
      onlost: (reason) => {
        this.connecting = true;
        this.say(reason || (this.following.canceling ? CANCELING_LATER : LOST));
      },
      onunknown: () => {
        this.clear();
        this.say(UNKNOWN);
        this.setPhase("unknown");
      },
    });
  }

  clear() {
    this.player?.close();
    this.player = null;
    this.parts.stage.replaceChildren();
  }

  /** @param {Message} message */
  heard(message) {
    const { totals } = message;
    if (message.type === "grid") this.show(message.view);
    if (message.type === "progress" && message.cells) this.player?.progress(message.cells);
    this.parts.progress.value = totals.share;
    write(this.parts.numbers, message.over ? "" : numbers(totals));
    const done = message.type === "done";
    const over = done || Boolean(message.over);
    const news = totals.finished !== this.finished || totals.failed !== this.failed;
    if (message.type === "note") this.say(message.text);
    else if (done) this.say(`${ended(totals)} ${message.text}`.trim());
    else if (over) this.say(ended(totals));
    else if (news || this.connecting) this.say(this.following.canceling ? CANCELING : underWay(totals));
    this.finished = totals.finished;
    this.failed = totals.failed;
    this.connecting = false;
    this.setPhase(over ? "ended" : "running");
    if (news) this.ballots.refresh();
    const { grid, token } = this.job;
    if (message.gpu && !this.asked && token) this.trigger("lease", { grid, token });
    this.asked = Boolean(message.gpu);
    if (done) this.trigger("opened"); // what is there already is known better now
  }

  /** @param {import("../../compare/player/types.js").GridView} view */
  show(view) {
    absolute(view);
    if (this.player) return this.player.update(view);
    this.player = mountGrid(this.parts.stage, view, { state: this.job.at });
    this.job.at = "";
  }

  /** What the player shows, as a text. */
  get moment() {
    return this.player?.link() ?? this.job?.at ?? "";
  }

  share() {
    offerLink(`${this.job.fragment}&at=${encodeURIComponent(this.moment)}`, this.job.private ? PRIVATE : "");
  }

  /** @param {string} text */
  say(text) {
    write(this.parts.message, text);
  }

  /** What this page knows, for itself when it is loaded again. */
  keep() {
    const { grid, token, fragment } = this.job ?? {};
    const { choice } = this.plan;
    const open = this.root.getClientRects().length > 0;
    if (!choice && !grid) return;
    keepInTab("compare choices", { grid, token, fragment, choice, open, blind: this.parts.blind.checked, at: this.moment }); // prettier-ignore
  }
}

/** Called by Gradio, when the tab is first shown. */
export function mount(root, gradio) {
  const compare = new Compare(root, gradio);
  const { props, watch, trigger } = gradio;
  watch("plan", () => compare.showPlan(props.plan));
  watch("job", () => compare.answer(props.job));
  compare.showPlan(props.plan);
  compare.answer(props.job);
  // A link is on its way to the tab, and says itself what there is to plan.
  const linked = newLink() || window.location.hash.startsWith(`#${LINK_PREFIXES.COMPARE}`);
  if (!props.plan.choice && !linked) trigger("opened");
}
