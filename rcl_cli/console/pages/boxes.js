// Boxes over a picture, and the colours of labels.
import { draw } from "/pages/drawing.js";

// Okabe and Ito's palette: apart for colour-blind readers too.
const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff"];

export class Colours {
  /** @param {Signed[]} labels of a project */
  constructor(labels) {
    this.names = labels.map(one => one.name);
    this.own = new Map(labels.filter(one => one.colour).map(one => [one.name, one.colour]));
    this.keys = new Map(labels.filter(one => one.key).map(one => [one.name, one.key]));
  }
  /** @param {string} label */
  of(label) {
    let index = this.names.indexOf(label);
    if (index < 0) index = this.names.push(label) - 1;
    return this.own.get(label) ?? PALETTE[index % PALETTE.length];
  }
  /** The key of each label that has one: its own, or in the order of the labels what is left of 1 to 9. */
  byKey() {
    /** @type {Map<string, string>} */
    const found = new Map();
    const taken = new Set(this.keys.values()), left = [..."123456789"].filter(one => !taken.has(one));
    for (const name of this.names) { const key = this.keys.get(name) ?? left.shift(); if (key) found.set(key, name); }
    return found;
  }
}

/** An SVG whose units are a picture's pixels, and which shows boxes given as shares of it. @returns {Overlay} */
export function overlay() {
  const svg = /** @type {Overlay} */ (draw("svg", { "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet", viewBox: "0 0 1000 750" }));
  let size = [1000, 750];
  /** @type {Parameters<Overlay["boxes"]> | null} */
  let shown = null;
  svg.fit = (width, height) => {
    if (size[0] === width && size[1] === height) return;
    size = [width, height];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (shown) svg.boxes(...shown);
  };
  svg.boxes = (boxes, colours) => {
    shown = [boxes, colours];
    const [w, h] = size;
    svg.replaceChildren(...boxes.flatMap(({ label, box: [x, y, width, height] }) => /** @type {[string, number][]} */ ([["#000", 3], [colours.of(label), 1.5]]).map(
      ([stroke, wide]) => draw("rect", { x: x * w, y: y * h, width: width * w, height: height * h, fill: "none", stroke,
        "stroke-width": wide, "vector-effect": "non-scaling-stroke" }))));
  };
  return svg;
}
