// The tags of a project.
import { make } from "/pages/drawing.js";
import { invoke } from "./server.js";
import { failed } from "./notes.js";
import { texts } from "./texts.js";

/** @param {string} name @param {string} arn */
export async function editTags(name, arn) {
  const list = make("tbody"), empty = make("p", {}, texts.noTags);
  const key = make("input", { "aria-label": texts.tagKey, placeholder: texts.tagKey, required: true, maxlength: 128, autocomplete: "off" });
  const value = make("input", { "aria-label": texts.tagValue, placeholder: texts.tagValue, maxlength: 256, autocomplete: "off" });
  async function refresh() {
    const { Tags } = await invoke("ListTagsForResource", { ResourceArn: arn });
    const every = Object.entries(Tags ?? {}).sort(([one], [other]) => one < other ? -1 : 1);
    list.replaceChildren(...every.map(([one, said]) => make("tr", {}, make("th", { scope: "row" }, one), make("td", {}, said),
      make("td", {}, make("button", { type: "button", "aria-label": `${texts.removeTag} ${one}`, onclick: () => change(() => invoke("UntagResource", { ResourceArn: arn, TagKeys: [one] })) }, texts.removeTag)))));
    empty.hidden = every.length > 0;
  }
  async function change(/** @type {() => Promise<unknown>} */ what) {
    try { await what(); await refresh(); return true; } catch (error) { failed(error); return false; }
  }
  await refresh();
  /** @type {HTMLDialogElement} */
  const dialog = make("dialog", { class: "bring" }, make("h2", { tabindex: "-1", autofocus: true }, texts.tagsOf(name)), empty, make("table", {}, list),
    make("form", { class: "row", onsubmit: async event => {
      event.preventDefault();
      if (await change(() => invoke("TagResource", { ResourceArn: arn, Tags: { [key.value]: value.value } }))) { key.value = value.value = ""; key.focus(); }
    } }, key, value, make("button", {}, texts.addTag)), make("p", { class: "row" }, make("button", { type: "button", onclick: () => dialog.close() }, texts.close)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
