/** A random name by which a browser's votes are known from those of others. It says nothing about the voter. */

import { remember, remembered } from "../player/storage.js";

const KEY = "mgdemo.voter";
let name = "";

export function voter() {
  name ||= remembered(KEY).name;
  if (typeof name !== "string" || !/^[0-9a-f]{32}$/.test(name)) {
    name = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    remember(KEY, { name });
  }
  return name;
}
