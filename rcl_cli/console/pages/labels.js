// The labels of a project: a colour and a key each; renamed, made one, deleted.
import { make } from "/pages/drawing.js";
import { local, projectNamed } from "./server.js";
import { Colours } from "./boxes.js";
import { asked } from "./dialogs.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

/** @param {string} name @returns {Promise<View>} */
export async function labels(name) {
  const project = await projectNamed(name);
  const body = make("tbody"), empty = make("p", {}, texts.noLabels);
  let /** @type {LabelCount[]} */ known = [];

  /** @param {string} label @param {string | null} to */
  async function change(label, to) {
    try {
      note(texts.changed((await local("rename", { project: project.arn, label, to })).changed));
      await refresh();
    } catch (error) { failed(error); }
  }
  /** @param {LabelCount} one @param {{ colour?: string, key?: string }} chosen */
  async function sign(one, chosen) {
    try {
      await local("sign", { project: project.arn, label: one.name, ...chosen });
      await refresh();
    } catch (error) { failed(error); }
  }
  async function rename(/** @type {LabelCount} */ one) {
    const to = await asked(texts.renameTo(one.name), texts.rename, one.name);
    if (!to || to === one.name) return;
    if (known.some(other => other.name === to) && await asked(texts.mergeInto(to), texts.rename) === null) return;
    await change(one.name, to);
  }
  async function remove(/** @type {LabelCount} */ one) {
    if (await asked(texts.deleteLabel(one.name, one.images, one.boxes), texts.deleteVersion) !== null) await change(one.name, null);
  }
  async function refresh() {
    known = (await local("labels", { project: project.arn })).labels;
    const colours = new Colours(known), keys = new Map([...colours.byKey()].map(([key, label]) => [label, key]));
    body.replaceChildren(...known.map(one => {
      /** @type {HTMLInputElement} */
      const colour = make("input", { type: "color", value: colours.of(one.name), "aria-label": texts.colourOf(one.name), onchange: () => sign(one, { colour: colour.value }) });
      const place = keys.get(one.name);
      /** @type {HTMLSelectElement} */
      const key = make("select", { "aria-label": texts.keyOf(one.name), onchange: () => sign(one, { key: key.value }) }, make("option", { value: "" }, place && !one.key ? texts.keyGiven(place) : texts.noKey),
        ...[..."123456789"].map(which => make("option", { value: which, selected: which === one.key }, which)));
      return make("tr", {}, make("td", {}, colour, make("a", { href: `#/p/${encodeURIComponent(name)}?${new URLSearchParams({ label: one.name })}` }, one.name)),
        make("td", {}, one.images.toLocaleString("en")), make("td", {}, one.boxes.toLocaleString("en")), make("td", {}, key), make("td", {}, make("span", { class: "row" },
          make("button", { type: "button", "aria-label": `${texts.rename} ${one.name}`, onclick: () => rename(one) }, texts.rename),
          make("button", { type: "button", "aria-label": `${texts.deleteVersion} ${one.name}`, onclick: () => remove(one) }, texts.deleteVersion))));
    }));
    empty.hidden = known.length > 0;
  }
  await refresh();
  return { node: make("section", { class: "models" }, make("h1", {}, texts.labels), empty,
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": texts.labels }, make("table", {}, make("thead", {}, make("tr", {}, ...texts.labelColumns.map(text => make("th", { scope: "col" }, text || make("span", { class: "unseen" }, texts.actions))))), body))) };
}
