/** Files that a visitor chooses or drops: what they are, and how they get to the server. */

import { NotMp4, readTags } from "./mp4_tags.js";
import { MAX_UPLOAD_BYTES } from "./protocol.js";

const FILM = /\.(mp4|m4v|mov)$/i;
const SCENARIO = /\.ya?ml$/i;
const PICTURE = /\.(png|apng|jpe?g|jpe|jfif|pjpeg|pjp|webp|gif|bmp|dib|ico|avif|hei[cf]|tiff?|jp2|jpx|tga|p[bgpn]m)$/i;

/** @param {{name: string, type?: string}} file @returns {"film" | "scenario" | "picture" | null} */
export function kindOf({ name, type = "" }) {
  if (FILM.test(name)) return "film";
  if (SCENARIO.test(name)) return "scenario";
  return PICTURE.test(name) || type.startsWith("image/") ? "picture" : null;
}

/**
 * What to do with files that were dropped together: the first film or scenario, with a picture to start it from;
 * or else the first picture. Pure.
 * @template {{name: string, type?: string}} F @param {F[]} files
 * @returns {{replay: F | null, picture: F | null, others: F[], unknown: F | null}} unknown: there is nothing to open
 */
export function sort(files) {
  const first = (...kinds) => files.find((file) => kinds.includes(kindOf(file))) ?? null;
  const replay = first("film", "scenario");
  const picture = first("picture");
  const unknown = replay || picture ? null : (files[0] ?? null);
  return { replay, picture, others: files.filter((file) => ![replay, picture, unknown].includes(file)), unknown };
}

/**
 * Sends a file; of a film its tags, as a JSON file.
 * @typedef {{name: string, path?: string, problem?: "size" | "connection"}} Sent
 * @param {File} file @param {(file: File) => Promise<{path: string}>} upload
 * @returns {Promise<Sent>}
 */
export async function send(file, upload) {
  const { name } = file;
  try {
    const sent = kindOf(file) === "film" ? await tagsOf(file) : file;
    if (sent.size > MAX_UPLOAD_BYTES) return { name, problem: "size" };
    const { path } = await upload(sent);
    return { name, path };
  } catch (error) {
    console.warn("a file could not be sent:", error);
    return { name, problem: "connection" };
  }
}

async function tagsOf(file) {
  const tags = await readTags(file).catch((error) => {
    if (error instanceof NotMp4) return null;
    throw error;
  });
  return new File([JSON.stringify(tags)], "tags.json", { type: "application/json" });
}
