// Questions that must be answered before something goes on.
import { make } from "/pages/drawing.js";
import { texts } from "./texts.js";

/**
 * Ask for a word, or with `value` null for a yes; gives what was typed, an empty text for yes, null where it was called off.
 * @param {string} question @param {string} yes @param {string | null} value @returns {Promise<string | null>}
 */
export function asked(question, yes, value = null) {
  return new Promise(done => {
    const input = value === null ? null : make("input", { value, maxlength: 255, required: true, "aria-label": question, autofocus: true });
    const dialog = make("dialog", {}, make("p", {}, question), make("form", { method: "dialog", class: "row" }, ...(input ? [input] : []),
      make("button", { value: "yes" }, yes), make("button", { value: "no", formnovalidate: true, autofocus: !input }, texts.cancel)));
    dialog.addEventListener("close", () => { dialog.remove(); done(dialog.returnValue === "yes" ? input?.value.trim() ?? "" : null); });
    document.body.append(dialog);
    dialog.showModal();
    input?.select();
  });
}
