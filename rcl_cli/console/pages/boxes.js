// Boxes over a picture, and the colours of labels.
import { draw } from "/pages/drawing.js";

// Okabe and Ito's palette: apart for colour-blind readers too.
const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff"];

export class Colours {
  /** @param labels of a project: { name, colour, key }, the last two empty where nobody chose them */
  constructor(labels) {
    this.names = labels.map(one => one.name);
    this.own = new Map(labels.filter(one => one.colour).map(one => [one.name, one.colour]));
    this.keys = new Map(labels.filter(one => one.key).map(one => [one.name, one.key]));
  }
  of(label) {
    let index = this.names.indexOf(label);
    if (index < 0) index = this.names.push(label) - 1;
    return this.own.get(label) ?? PALETTE[index % PALETTE.length];
  }
  /** The key of each label that has one: its own, or in the order of the labels what is left of 1 to 9. */
  byKey() {
    const taken = new Set(this.keys.values()), left = [..."123456789"].filter(one => !taken.has(one)), found = new Map();
    for (const name of this.names) { const key = this.keys.get(name) ?? left.shift(); if (key) found.set(key, name); }
    return found;
  }
}

/** An SVG whose units are a picture's pixels, and which shows boxes given as shares of it. */
export function overlay() {
  const svg = draw("svg", { "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet", viewBox: "0 0 1000 750" });
  let size = [1000, 750], shown = [[], null];
  svg.fit = (width, height) => {
    if (size[0] === width && size[1] === height) return;
    size = [width, height];
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.boxes(...shown);
  };
  svg.boxes = (boxes, colours) => {
    shown = [boxes, colours];
    const [w, h] = size;
    svg.replaceChildren(...boxes.flatMap(({ label, box: [x, y, width, height] }) => [["#000", 3], [colours.of(label), 1.5]].map(
      ([stroke, wide]) => draw("rect", { x: x * w, y: y * h, width: width * w, height: height * h, fill: "none", stroke,
        "stroke-width": wide, "vector-effect": "non-scaling-stroke" }))));
  };
  return svg;
}
