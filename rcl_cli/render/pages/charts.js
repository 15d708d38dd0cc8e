// Figures of a model at thresholds, and their charts: for report pages and the console.
import { draw, make } from "/pages/drawing.js";

/** @param {number} value */
export const figure = value => value.toFixed(3);
/** What to expect, as people read it. @param {Expected} one */
export const spanOf = one => `${one.low.toFixed(2)}–${one.high.toFixed(2)}`;
const CURVES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#6a3d9a"];

/** Scores stand highest first: those that reach a threshold are the first so many. @param {number[]} scores @param {number} threshold */
function reached(scores, threshold) {
  let low = 0, high = scores.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] >= threshold) low = middle + 1; else high = middle;
  }
  return low;
}

/** What a model's predictions come to at any threshold. */
export class Figures {
  /** @param {string[]} labels @param {Record<string, LabelEvents>} events */
  constructor(labels, events) {
    this.labels = labels; this.events = events;
    this.right = new Map(Object.entries(events).map(([label, { hits }]) => {
      let sum = 0;
      return [label, [0, ...hits.map(hit => sum += hit ? 1 : 0)]];
    }));
    // Those that occur in the test set are what the summary is about.
    this.judged = labels.filter(label => events[label]?.positives > 0);
  }
  /** @param {string} label @param {number} threshold @returns {Standing} */
  at(label, threshold) {
    const { scores, positives } = this.events[label], said = reached(scores, threshold), right = /** @type {number[]} */ (this.right.get(label))[said];
    const precision = said ? right / said : 0, recall = positives ? right / positives : 0;
    const f1 = precision + recall ? 2 * precision * recall / (precision + recall) : 0;
    return { precision, recall, f1, right, wrong: said - right, missed: positives - right };
  }
  /** Unweighted means over labels. @param {ThresholdOf} thresholdOf */
  overall(thresholdOf) {
    const all = this.judged.map(label => this.at(label, thresholdOf(label)));
    const mean = (/** @type {keyof Standing} */ key) => all.length ? all.reduce((sum, one) => sum + one[key], 0) / all.length : 0;
    return { f1: mean("f1"), precision: mean("precision"), recall: mean("recall") };
  }
  /** @param {string} label */
  colour(label) { return CURVES[Math.max(0, this.labels.indexOf(label)) % CURVES.length]; }
}

// --- charts ------------------------------------------------------------------------------------------------------------
const W = 340, H = 220, L = 40, B = 30, T = 10, R = 12;
const x = (/** @type {number} */ value) => L + value * (W - L - R), y = (/** @type {number} */ value) => H - B - value * (H - B - T);
/** @param {string} title @param {Node} svg */
const chart = (title, svg) => make("figure", { class: "chart" }, make("figcaption", {}, title), svg);

/** @param {string} acrossName @param {string} upName */
function frame(acrossName, upName) {
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
  for (const tick of [0, .25, .5, .75, 1]) {
    svg.append(draw("path", { class: "axis", d: `M${x(0)} ${y(tick)}H${x(1)}` }));
    svg.append(draw("text", { x: L - 5, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
    svg.append(draw("text", { x: x(tick), y: H - B + 14, "text-anchor": "middle" }, String(tick)));
  }
  svg.append(draw("text", { x: (L + W) / 2, y: H - 3, "text-anchor": "middle" }, acrossName));
  svg.append(draw("text", { x: 10, y: H / 2, "text-anchor": "middle", transform: `rotate(-90 10 ${H / 2})` }, upName));
  return svg;
}

/** Precision over recall of a label; `stand(one)` puts the dot where its figures are. @param {Figures} figures @param {string} label */
export function curveChart(figures, label) {
  const { scores, positives } = figures.events[label], right = /** @type {number[]} */ (figures.right.get(label)), points = [];
  let before = null;
  for (let said = 1; said <= scores.length; said++) {
    if (said < scores.length && scores[said] === scores[said - 1]) continue;
    const point = [x(right[said] / positives), y(right[said] / said)].map(v => v.toFixed(1)).join(" ");
    if (point !== before) points.push(point);
    before = point;
  }
  const svg = frame("recall", "precision"), colour = figures.colour(label);
  svg.setAttribute("aria-label", `Precision over recall of ${label}`);
  if (points.length) svg.append(draw("path", { d: "M" + points.join("L"), fill: "none", stroke: colour, "stroke-width": 2 }));
  const dot = draw("circle", { r: 5, fill: colour, stroke: "var(--back)", "stroke-width": 2, "data-dot": figures.judged.indexOf(label) });
  svg.append(dot);
  return { node: chart(label, svg), stand(/** @type {Standing} */ one) { dot.setAttribute("cx", String(x(one.recall))); dot.setAttribute("cy", String(y(one.precision))); } };
}

/** Values by epoch. @param {string} name @param {[epoch: number, value: number][]} rows */
export function lineChart(name, rows) {
  const values = rows.map(row => row[1]), low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
  const across = (/** @type {number} */ i) => L + (rows.length > 1 ? i / (rows.length - 1) : .5) * (W - L - R);
  const up = (/** @type {number} */ value) => H - B - (value - low) / (high - low) * (H - B - T);
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${name} by epoch` });
  for (const part of [0, .5, 1]) {
    const value = low + part * (high - low);
    svg.append(draw("path", { class: "axis", d: `M${L} ${up(value)}H${W - R}` }));
    svg.append(draw("text", { x: L - 5, y: up(value) + 4, "text-anchor": "end" }, Number(value.toPrecision(2)).toString()));
  }
  svg.append(draw("path", { d: "M" + rows.map((row, i) => `${across(i).toFixed(1)} ${up(row[1]).toFixed(1)}`).join("L"),
    fill: "none", stroke: "var(--blue)", "stroke-width": 2 }));
  for (const [i, row] of rows.entries()) svg.append(draw("circle", { cx: across(i), cy: up(row[1]), r: rows.length > 40 ? 1.5 : 3, fill: "var(--blue)" },
    draw("title", {}, `epoch ${row[0]}: ${row[1]}`)));
  for (const i of new Set([0, rows.length - 1])) svg.append(draw("text", { x: across(i), y: H - B + 14, "text-anchor": "middle" }, String(rows[i][0])));
  svg.append(draw("text", { x: (L + W) / 2, y: H - 3, "text-anchor": "middle" }, "epoch"));
  return chart(name, svg);
}

/** Charts of all that a training's history tells by epoch. @param {HistoryRow[]} history */
export function historyCharts(history) {
  const epochs = history.filter(row => "epoch" in row), names = new Set(epochs.flatMap(row => Object.keys(row)));
  for (const name of ["epoch", "seconds", "waiting_s"]) names.delete(name);
  // What is no number in any epoch, as the loss of a training that diverged, is not drawn.
  return [...names].map(name => /** @type {[string, [number, number][]]} */ ([name, epochs.filter(row => Number.isFinite(row[name])).map(row => [row.epoch, row[name]])]))
    .filter(([, rows]) => rows.length).map(([name, rows]) => lineChart(name, rows));
}

/** Counts of what was taken for what: rows are what is there, columns what was said. @param {string[]} names @param {number[][]} rows */
export function confusionParts(names, rows) {
  const most = rows.map(row => Math.max(1, row.reduce((sum, value) => sum + value, 0)));
  return [make("thead", {}, make("tr", {}, make("td"), ...names.map(name => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((row, i) => make("tr", {}, make("th", { scope: "row" }, names[i]), ...row.map(value => {
      const cell = make("td", {}, value ? String(value) : "·");
      if (value) cell.style.background = `rgba(var(--cell), ${(0.08 + 0.5 * value / most[i]).toFixed(2)})`;
      return cell;
    }))))];
}
