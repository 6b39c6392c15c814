/** What the page asks the server for, beside Gradio's events. */

import { addressOf } from "../player/connection.js";

const SENTENCE = /^[A-Z][^<>]{0,200}\.$/; // not what a proxy answers, or a status in words

/**
 * The server's answer, which is JSON. Throws an Error with a sentence for the visitor if there is none.
 * @param {string | URL} path @param {object} [said] sent by POST
 */
export async function ask(path, said) {
  const { ok, text } = await answered(typeof path === "string" ? addressOf(path) : path, said);
  const answer = parsed(text);
  if (ok && answer) return answer;
  const plain = SENTENCE.test(text) ? text : "The server cannot answer now: try again in a minute.";
  throw new Error(answer?.error ?? plain);
}

async function answered(url, said) {
  try {
    const response = await fetch(url, said && { method: "POST", body: JSON.stringify(said) });
    return { ok: response.ok, text: await response.text() };
  } catch {
    throw new Error("The server cannot be reached: try again.");
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // such as the gate's refusals, which are plain text
  }
}
