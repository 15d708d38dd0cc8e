// What a running model says of an image, to be accepted or left.
import { make } from "/pages/drawing.js";
import { invoke, local, nameOf } from "./server.js";
import { failed } from "./notes.js";
import { texts } from "./texts.js";

const GONE = new Set(["ResourceNotReadyException", "ResourceNotFoundException"]);
const SAME_THING = .5, MOST_KEPT = 300;

/** @type {(a: Box, b: Box) => number} */
function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx), height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  return width > 0 && height > 0 ? width * height / (aw * ah + bw * bh - width * height) : 0;
}

export class Prelabels {
  /** @type {Map<string, Ghost[] | null>} */
  said = new Map();
  /** @type {Set<string>} */
  left = new Set();
  /** @type {Thresholds | null} */
  thresholds = null;
  /**
   * @param {Project} project @param {string | null} wanted
   * @param {() => void} changed called when there is something else to show
   * @param {(model: string) => void} remember called with the model's name, or "" for none
   */
  constructor(project, wanted, changed, remember) {
    this.project = project; this.changed = changed; this.remember = remember;
    /** @type {HTMLSelectElement} */
    this.model = make("select", { "aria-label": texts.prelabels, onchange: () => this.choose(this.model.value) }, make("option", { value: "" }, texts.noModelAsked));
    this.decides = make("input", { type: "checkbox", checked: true, onchange: () => changed() });
    this.slider = make("input", { type: "range", min: 0, max: 1, step: .01, value: .5, "aria-label": texts.confidence, oninput: () => { this.decides.checked = false; changed(); } });
    this.value = make("output");
    this.list = make("ul", { class: "labels" });
    this.options = make("div", { hidden: true }, make("label", {}, this.decides, ` ${texts.asTrained}`), make("span", { class: "row" }, this.slider, this.value), this.list);
    this.node = make("div", { class: "prelabels", hidden: true }, make("label", {}, `${texts.prelabels} `, this.model), this.options);
    this.wanted = wanted;
  }
  /** Look which models can be asked. */
  async offer() {
    const { ProjectVersionDescriptions: all } = await invoke("DescribeProjectVersions", { ProjectArn: this.project.arn });
    const names = all.filter(one => one.Status === "RUNNING").map(nameOf);
    this.node.hidden = !names.length;
    for (const name of names) this.model.append(make("option", { value: name, selected: name === this.wanted }, name));
    if (this.wanted && names.includes(this.wanted)) await this.choose(this.wanted);
  }
  get isOn() { return Boolean(this.model.value); }
  get version() { return `${this.project.name}/${this.model.value}`; }
  async choose(/** @type {string} */ name) {
    this.said.clear(); this.left.clear(); this.thresholds = null;
    this.options.hidden = !name;
    this.remember(name);
    this.changed();
    if (!name) return;
    try {
      this.thresholds = Object.assign(Object.create(null), (await local("asking", { version: this.version })).thresholds);
    } catch (error) { failed(error); }
    this.changed();
  }
  key(/** @type {Place} */ entry) { return `${entry.dataset} ${entry.position}`; }
  /** Ask about an entry, if that was not done. @param {Place} entry */
  async want(entry) {
    if (!this.isOn || this.said.has(this.key(entry))) return;
    const { version } = this;
    this.said.set(this.key(entry), null);
    try {
      const { found } = await local("said", { version, dataset: entry.dataset, position: entry.position });
      if (version !== this.version) return;
      this.said.set(this.key(entry), found.map(([label, score, box], id) => ({ id, label, score, box })));
      if (this.said.size > MOST_KEPT) this.said.delete(/** @type {string} */ (this.said.keys().next().value));
    } catch (error) {
      if (version !== this.version) return;
      if (GONE.has(error.code)) {
        // It was stopped, say: this is told once, not at every image.
        this.model.value = "";
        this.options.hidden = true;
        this.said.clear();
        failed(error);
      } else if (error.code) this.said.set(this.key(entry), []);
      else this.said.delete(this.key(entry));
    }
    this.changed();
  }
  least(/** @type {string} */ label) { return this.decides.checked ? this.thresholds?.[label] ?? .5 : Number(this.slider.value); }
  /** What is offered for an entry: what is not on it yet, and was not left. @param {Place | null} entry @param {State} state @returns {Ghost[]} */
  ghosts(entry, state) {
    if (!this.isOn || !entry || this.left.has(this.key(entry))) return [];
    return (this.said.get(this.key(entry)) ?? []).filter(one => one.score >= this.least(one.label) && (one.box
      ? !state.boxes.some(box => box.label === one.label && overlap(box.box, one.box) >= SAME_THING) : !state.labels.includes(one.label)));
  }
  /** None of what is offered for an entry. @param {Place} entry */
  leave(entry) { this.left.add(this.key(entry)); this.changed(); }
  /** @param {Ghost[]} ghosts @param {Colours} colours @param {(ghosts: Ghost[]) => void} accept */
  show(ghosts, colours, accept) {
    this.value.textContent = this.decides.checked ? "" : texts.percent(100 * Number(this.slider.value));
    this.list.replaceChildren(...ghosts.map(one => {
      const swatch = make("i");
      swatch.style.background = colours.of(one.label);
      return make("li", {}, make("button", { type: "button", class: "ghostly", "aria-label": texts.accept(one.label), onclick: () => accept([one]) }, swatch,
        make("span", {}, one.label), make("small", {}, texts.percent(100 * one.score))));
    }));
  }
}
