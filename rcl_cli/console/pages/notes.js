// What people are told beside the views.
import { make } from "/pages/drawing.js";

const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Say something that people must not miss; it stays until they close it or `seconds` are over. @param {string} text */
export function note(text, { seconds = 8 } = {}) {
  /** @type {HTMLButtonElement} */
  const close = make("button", { type: "button", "aria-label": "Close", onclick: () => line.remove() }, "×");
  const line = make("p", {}, text, close);
  at("notes").append(line);
  if (seconds) setTimeout(() => line.remove(), seconds * 1000);
}
/** @param {string} text */
export const say = text => { at("state").textContent = text; };
/** @param {Error} error */
export const failed = error => { if (error.name !== "AbortError") note(error.message); };
