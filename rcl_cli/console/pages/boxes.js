// Boxes over a picture, and the colours of labels.
import { draw } from "/pages/drawing.js";

// Okabe and Ito's palette: apart for colour-blind readers too.
const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff"];

export class Colours {
  constructor(names) { this.names = [...names]; }
  of(label) {
    let index = this.names.indexOf(label);
    if (index < 0) index = this.names.push(label) - 1;
    return PALETTE[index % PALETTE.length];
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
