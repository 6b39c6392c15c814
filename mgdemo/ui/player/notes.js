/**
 * What else there is to say about the session that runs: that its picture has collapsed, what the server is about to do,
 * that what was chosen meanwhile is not for it, and how it runs. Pure.
 */

import { running } from "./phases.js";

const NEXT = "Your new choice applies from the next start; this session keeps its own world and picture.";
export const CLOSE = "Close";
const COLLAPSED = "The picture has collapsed: the model lost the world.";

/**
 * @param {import("./phases.js").State} state
 * @param {string} choice what would be started now
 * @returns {{note: string, cure: string}} cure: the button beside it; it rewinds to `server.rewind_to`, or is CLOSE
 */
export function noteOf(state, choice) {
  const { session, server, phase } = state;
  if (!running(state) || !session || phase === "rewinding") return { note: "", cure: "" };
  if (server?.warning === "collapsed") return { note: COLLAPSED, cure: "Rewind to before it" };
  if (server?.outlook) return { note: server.outlook, cure: "" };
  if (session.choice !== choice) return { note: NEXT, cure: "" };
  const unread = state.notice !== state.read ? state.notice : "";
  return { note: unread, cure: unread && CLOSE };
}
