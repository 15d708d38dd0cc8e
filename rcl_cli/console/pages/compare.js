// Two versions side by side, on the test images that both have.
import { make, shot } from "/pages/drawing.js";
import { figure } from "/pages/charts.js";
import { local } from "./server.js";
import { picture } from "./judge.js";
import { texts } from "./texts.js";

/** @type {Figure[]} */
const FIGURES = ["f1", "precision", "recall", "average_precision"];

/** @param {string} name @param {string} first @param {string} second @returns {Promise<View>} */
export async function compare(name, first, second) {
  const found = await local("comparison", { first: `${name}/${first}`, second: `${name}/${second}` });
  const cell = (/** @type {unknown} */ value) => make("td", {}, String(value));
  function change(/** @type {Pair} */ [before, after]) {
    const value = after - before;
    return make("td", { class: Math.abs(value) < .0005 ? "" : value > 0 ? "up" : "down" }, `${figure(before)} → ${figure(after)}`);
  }
  const heads = (/** @type {string[]} */ columns) => make("thead", {}, make("tr", {}, ...columns.map(text => make("th", { scope: "col" }, text))));
  /** @param {string} title @param {Node[]} parts */
  const scroll = (title, ...parts) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, make("table", {}, ...parts));
  /** @param {ComparedImage} image @param {Said[]} said */
  function half(image, said) {
    const boxes = [...image.truth.filter(one => one[1] !== null).map(([label, box]) => ({ box, colour: "#ffffff", dash: "3 4", title: label })),
      ...said.filter(one => one.box !== null).map(one => ({ box: one.box, colour: one.right ? "#2fc79b" : "#ff7f0e", title: `${one.label} ${(one.score * 100).toFixed(0)} %` }))];
    const words = said.filter(one => !one.box).map(one => `${one.label} ${(one.score * 100).toFixed(0)} %`).join(", ");
    return make("div", {}, shot(picture({ ...image, source_ref: image.name }, 480), boxes), ...(words ? [make("p", {}, words)] : []));
  }
  const pair = (/** @type {ComparedImage} */ image) => make("div", { class: "pair" }, make("div", {}, ...image.found.map(said => half(image, said))),
    make("p", {}, texts.errorsChange(...image.errors), make("small", {}, image.name.split("/").pop())));
  /** @param {string} title @param {ComparedImages} images */
  const gallery = (title, { count, images }) => [make("h2", {}, `${title}: ${texts.images(count)}`),
    ...(count ? [make("p", { class: "note" }, texts.pairsNote(first, second)), make("div", { class: "pairs" }, ...images.map(pair))] : [])];
  return { node: make("section", { class: "models judge" }, make("h1", {}, `${first} → ${second}`), make("p", {}, found.said),
    make("div", { class: "tiles" }, ...FIGURES.map(key => make("div", { class: "fact" }, make("b", {}, found.overall[key].map(figure).join(" → ")), make("span", {}, texts.figures[key])))),
    make("h2", {}, texts.labels), scroll(texts.labels, heads([texts.label, ...FIGURES.map(key => texts.figures[key]), texts.inTestSet]),
      make("tbody", {}, ...Object.entries(found.labels).map(([label, one]) => make("tr", {}, make("th", { scope: "row" }, label), ...FIGURES.map(key => change(one[key])), cell(one.positives))))),
    ...gallery(texts.betterIn(second), found.better), ...gallery(texts.worseIn(second), found.worse),
    make("h2", {}, texts.differing), scroll(texts.differing, heads([texts.setting, first, second]),
      make("tbody", {}, ...Object.entries(found.differing).map(([key, values]) => make("tr", {}, make("th", { scope: "row" }, key.replaceAll("_", " ")),
        ...values.map(value => cell(value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : value))))))) };
}
