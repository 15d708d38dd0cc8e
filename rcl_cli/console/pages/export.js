// A model to take away: made in a form, tried, and fetched as a file.
import { make } from "/pages/drawing.js";
import { local } from "./server.js";
import { failed } from "./notes.js";
import { texts } from "./texts.js";

const EVERY_MS = 700;

/** @param {string} version */
export async function takeAway(version) {
  const { forms } = await local("export", {});
  const select = make("select", { "aria-label": texts.exportForm }, ...forms.map(one => make("option", {}, one)));
  const said = make("p", { role: "status" }), bar = make("progress", { hidden: true, "aria-label": texts.export }), button = make("button", {}, texts.export), ready = make("p", { class: "row" });
  /** @type {HTMLDialogElement} */
  const dialog = make("dialog", { class: "bring" }, make("h2", { tabindex: "-1", autofocus: true }, texts.exportOf(version)), make("p", {}, texts.exportWhat),
    make("form", { class: "row", onsubmit: event => { event.preventDefault(); begin().catch(error => { failed(error); idle(); }); } }, select, button), bar, said, ready,
    make("p", { class: "row" }, make("button", { type: "button", onclick: () => dialog.close() }, texts.close)));
  dialog.addEventListener("close", () => dialog.remove());
  const idle = () => { button.disabled = select.disabled = false; bar.hidden = true; };
  async function begin() {
    const given = { version, form: select.value };
    button.disabled = select.disabled = true;
    bar.hidden = false;
    ready.replaceChildren();
    said.textContent = texts.exporting;
    await local("export", given);
    for (;;) {
      const standing = await local("exported", given);
      if (!dialog.open) return;
      if (standing.is_over) {
        idle();
        said.textContent = standing.told;
        if (standing.is_there) ready.replaceChildren(make("a", { class: "button", href: `/local/export-file?${new URLSearchParams(given)}`, download: "" }, texts.downloadExport(given.form)));
        return;
      }
      await new Promise(done => setTimeout(done, EVERY_MS));
    }
  }
  document.body.append(dialog);
  dialog.showModal();
}
