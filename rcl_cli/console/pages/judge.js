// What a trained model said of its test images: figures at any threshold, and every answer; from each, on to its labels.
import { make, shot } from "/pages/drawing.js";
import { Figures, confusionParts, curveChart, figure, historyCharts, spanOf } from "/pages/charts.js";
import { local, thumbnailUrl } from "./server.js";
import { failed, note } from "./notes.js";
import { takeAway } from "./export.js";
import { texts } from "./texts.js";

const CHUNK = 48, MOST_QUEUED = 10_000, SAME_THING = .5, MOST_CURVES = 40, MOST_CONFUSED = 40;
/** @type {Kind[]} */
const KINDS = ["wrong", "missed", "right", "unsure"];
const TRUTH = "#ffffff", SAID = { wrong: "#ff7f0e", missed: "#f0e442", right: "#2fc79b", unsure: "#56b4e9" };

/** Intersection over union. @type {(a: Box, b: Box) => number} */
function iou([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx), height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  if (width <= 0 || height <= 0) return 0;
  return width * height / (aw * ah + bw * bh - width * height);
}

/** All predictions by label, highest first; see `Figures`. @param {JudgedImage[]} images @param {string[]} labels */
export function eventsOf(images, labels) {
  /** @type {Record<string, LabelEvents & { pairs: [score: number, isHit: boolean][] }>} */
  const events = Object.create(null);
  const of = (/** @type {string} */ label) => events[label] ??= { pairs: [], scores: [], hits: [], positives: 0, images: 0 };
  for (const label of labels) of(label);
  for (const { truth, found } of images) {
    for (const [label] of truth) of(label).positives++;
    for (const label of new Set(truth.map(one => one[0]))) of(label).images++;
    for (const [label, score, , match] of found) of(label).pairs.push([score, match !== null]);
  }
  for (const one of Object.values(events)) {
    one.pairs.sort((a, b) => b[0] - a[0]);
    Object.assign(one, { scores: one.pairs.map(pair => pair[0]), hits: one.pairs.map(pair => pair[1]) });
  }
  return events;
}

/**
 * Counts of what was taken for what, as the report has them; the last row and column are nothing.
 * @param {JudgedImage[]} images @param {string[]} labels @param {ThresholdOf} thresholdOf
 */
export function confusionOf(images, labels, thresholdOf) {
  const index = new Map(labels.map((label, number) => [label, number])), nothing = labels.length;
  const at = (/** @type {string} */ label) => /** @type {number} */ (index.get(label));
  /** @type {number[][]} */
  const counts = Array.from({ length: nothing + 1 }, () => new Array(nothing + 1).fill(0));
  for (const { truth, found } of images) {
    const reached = found.filter(([label, score]) => score >= thresholdOf(label));
    if (truth.some(one => one[1]) || reached.some(one => one[2])) {
      const left = [...reached].sort((a, b) => b[1] - a[1]);
      for (const [label, box] of truth) {
        const near = left.filter(one => one[2] && box && iou(one[2], box) >= SAME_THING);
        const best = near.find(one => one[0] === label) ?? near[0];
        if (best) left.splice(left.indexOf(best), 1);
        if (index.has(label)) counts[at(label)][best ? at(best[0]) : nothing]++;
      }
      for (const [label] of left) counts[nothing][at(label)]++;
    } else if (truth.length === 1 && found.length) {
      const best = found.reduce((most, one) => one[1] > most[1] ? one : most);
      if (index.has(truth[0][0])) counts[at(truth[0][0])][at(best[0])]++;
    } else {
      const there = new Set(truth.map(one => one[0])), said = new Set(reached.map(one => one[0]));
      for (const label of there) if (index.has(label)) counts[at(label)][said.has(label) ? at(label) : nothing]++;
      for (const label of said) if (!there.has(label)) counts[nothing][at(label)]++;
    }
  }
  return counts;
}

/** Every answer by what became of it, the most telling first. @param {JudgedImage[]} images @param {ThresholdOf} thresholdOf */
export function answersOf(images, thresholdOf) {
  /** @type {Record<Kind, Answer[]>} */
  const found = { wrong: [], missed: [], right: [], unsure: [] };
  for (const image of images) {
    /** @type {Map<number, number>} */
    const best = new Map();
    for (const [label, score, box, match] of image.found) {
      const one = { image, label, score, box, right: match !== null }, reaches = score >= thresholdOf(label);
      if (match !== null) best.set(match, Math.max(best.get(match) ?? 0, score));
      if (reaches) found[one.right ? "right" : "wrong"].push({ ...one, kind: one.right ? "right" : "wrong" });
      if (Math.abs(score - thresholdOf(label)) < .2) found.unsure.push({ ...one, kind: "unsure" });
    }
    image.truth.forEach(([label, box], number) => {
      const score = best.get(number) ?? 0;
      if (score < thresholdOf(label) || !best.has(number)) found.missed.push({ image, label, score, box, right: false, kind: "missed" });
    });
  }
  found.wrong.sort((a, b) => b.score - a.score);
  found.right.sort((a, b) => a.score - b.score);
  found.missed.sort((a, b) => a.score - b.score);
  found.unsure.sort((a, b) => Math.abs(a.score - thresholdOf(a.label)) - Math.abs(b.score - thresholdOf(b.label)));
  return found;
}

const lastPart = (/** @type {string} */ ref) => ref.split("/").pop();
/** @type {(image: { source_ref: string, entry: Place | null, size?: Pair }, width: number) => Picture} */
export const picture = (image, width) => ({ name: lastPart(image.source_ref), size: image.size,
  url: image.entry ? thumbnailUrl({ ...image.entry, source_ref: image.source_ref }, width) : "" });

/** @param {string} name @param {string} version @returns {Promise<View>} */
export async function judge(name, version) {
  const judging = await local("judging", { version: `${name}/${version}` });
  // Without a prototype: a label may be called `constructor`.
  for (const key of /** @type {const} */ (["assumed", "own"])) judging[key] = Object.assign(Object.create(null), judging[key]);
  const { images, labels, assumed } = judging, query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const figures = new Figures(labels, eventsOf(images, labels)), { judged } = figures;
  const standing = () => Object.fromEntries(labels.map(label => [label, judging.own[label] ?? assumed[label] ?? .5]));
  let chosen = standing(), kind = KINDS.find(one => one === query.get("kind")) ?? "wrong", about = query.get("label") ?? "";
  let /** @type {Record<Kind, Answer[]>} */ answers, /** @type {Answer[]} */ shown = [], waiting = 0;
  const thresholdOf = (/** @type {string} */ label) => chosen[label] ?? .5;

  // --- figures and thresholds ---
  const tiles = make("div", { class: "tiles", "aria-live": "polite" }), state = make("span", { class: "note", role: "status" });
  const rows = new Map(labels.map(label => {
    /** @type {HTMLInputElement} */
    const slider = make("input", { type: "range", min: 0, max: 1, step: .001, value: thresholdOf(label), "aria-label": texts.thresholdOf(label),
      oninput: () => { chosen[label] = Number(slider.value); soon(); } });
    const number = make("output"), cells = Array.from({ length: 7 }, () => make("td"));
    return [label, { slider, number, cells, node: make("tr", {}, make("th", { scope: "row" }, label), make("td", {}, make("span", { class: "row" }, slider, number)), ...cells) }];
  }));
  const curves = new Map(judged.slice(0, MOST_CURVES).map(label => [label, curveChart(figures, label)]));
  const confused = make("table"), act = (/** @type {string} */ text, /** @type {() => Promise<void>} */ what) => make("button", { type: "button", onclick: event => { event.currentTarget.disabled = true; what().catch(failed).finally(showFigures); } }, text);
  const keep = act(texts.saveThresholds, async () => {
    const values = Object.fromEntries(labels.filter(label => chosen[label] !== standing()[label]).map(label => [label, chosen[label]]));
    if (!Object.keys(values).length) return;
    await local("thresholds", { version: judging.arn, values });
    Object.assign(judging.own, values);
    show();
    note(texts.thresholdsSaved);
  });
  const reset = act(texts.assumedThresholds, async () => {
    await local("thresholds", { version: judging.arn, values: {} });
    judging.own = Object.create(null);
    chosen = standing();
    for (const [label, row] of rows) row.slider.value = String(thresholdOf(label));
    show();
  });
  function soon() { waiting ||= requestAnimationFrame(() => { waiting = 0; show(); }); }
  function showFigures() {
    const all = figures.overall(thresholdOf), counts = judging.summary.EvaluationDetails;
    /** @type {[string, string | number][]} */
    const facts = [["F1", figure(all.f1)], [texts.precision, figure(all.precision)], [texts.recall, figure(all.recall)]];
    if (judging.expected) facts.push([texts.expected, spanOf(judging.expected)]);
    if (judging.is_detector) facts.push([texts.averagePrecision, figure(judging.summary.AggregatedEvaluationResults.AveragePrecision)]);
    facts.push([texts.trainingImages, counts.NumberOfTrainingImages], [texts.testImages, counts.NumberOfTestingImages]);
    tiles.replaceChildren(...facts.map(([title, value]) => make("div", { class: "fact" }, make("b", { "data-figure": title }, String(value)), make("span", {}, title))));
    for (const [label, row] of rows) {
      const one = figures.at(label, thresholdOf(label)), isJudged = judged.includes(label);
      row.number.textContent = figure(thresholdOf(label));
      const values = [...[one.f1, one.precision, one.recall].map(value => isJudged ? figure(value) : "–"), one.right, one.wrong, one.missed, figures.events[label].images];
      row.cells.forEach((cell, number) => { cell.textContent = String(values[number]); });
    }
    for (const [label, curve] of curves) curve.stand(figures.at(label, thresholdOf(label)));
    const isChanged = labels.some(label => chosen[label] !== standing()[label]);
    keep.disabled = !isChanged;
    reset.disabled = !Object.keys(judging.own).length && !isChanged;
    state.textContent = isChanged ? texts.thresholdsMoved : Object.keys(judging.own).length ? texts.thresholdsOwn : texts.thresholdsAssumed;
    if (labels.length <= MOST_CONFUSED) confused.replaceChildren(...confusionParts([...labels, texts.nothing], confusionOf(images, labels, thresholdOf)));
  }

  // --- answers ---
  const list = make("div", { class: "gallery answers" }), more = make("button", { type: "button", onclick: () => grow() });
  const kinds = new Map(KINDS.map(one => [one, make("button", { type: "button", onclick: () => { kind = one; remember(); showAnswers(); } })]));
  const which = make("select", { "aria-label": texts.label, onchange: () => { about = which.value; remember(); showAnswers(); } },
    make("option", { value: "" }, texts.everyLabel), ...labels.map(label => make("option", { value: label, selected: label === about }, label)));
  function remember() {
    query.set("kind", kind);
    if (about) query.set("label", about); else query.delete("label");
    history.replaceState(null, "", `${location.hash.split("?")[0]}?${query}`);
  }
  /** @param {Answer} item @param {number} number */
  function card(item, number) {
    /** @type {Outline[]} */
    const boxes = item.kind === "missed" ? [] : item.image.truth.filter(one => one[1] !== null).map(([label, box]) => ({ box, colour: TRUTH, dash: "3 4", title: label }));
    if (item.box) boxes.push({ box: item.box, colour: SAID[item.kind], title: item.label });
    const truth = judging.is_detector ? "" : item.image.truth.map(([label]) => label).join(", ") || texts.nothing;
    const said = `${item.label} ${(item.score * 100).toFixed(0)} %: ${texts.became(item)}`;
    return make("button", { type: "button", class: "answer", disabled: !item.image.entry, onclick: () => open(number).catch(failed) },
      shot(picture(item.image, 260), boxes), make("span", {}, said, make("small", {}, (truth ? `${texts.is(truth)} · ` : "") + lastPart(item.image.source_ref))));
  }
  /** All images of these answers, one after the other, in the labeller. @param {number} number */
  async function open(number) {
    // Around the one that is opened, where there are very many.
    const near = shown.slice(Math.max(0, number - MOST_QUEUED), number + MOST_QUEUED).filter(item => item.image.entry);
    const entries = /** @type {Map<string, Place>} */ (new Map(near.map(item => [item.image.source_ref, item.image.entry])));
    const { queue } = await local("queue", { entries: [...entries.values()].map(one => [one.dataset, one.position]) });
    const index = [...entries.keys()].indexOf(shown[number].image.source_ref);
    location.hash = `#/p/${encodeURIComponent(name)}/label/${index}?${new URLSearchParams({ queue, back: location.hash, ...(judging.is_detector ? {} : { mode: "image" }) })}`;
  }
  function grow() {
    const from = list.childElementCount;
    list.append(...shown.slice(from, from + CHUNK).map((item, number) => card(item, from + number)));
    const left = shown.length - list.childElementCount;
    more.hidden = !left;
    more.textContent = texts.more(left);
  }
  function showAnswers() {
    shown = answers[kind].filter(item => !about || item.label === about);
    for (const [one, button] of kinds) {
      const count = answers[one].filter(item => !about || item.label === about).length;
      button.textContent = `${texts.kinds[one]} ${count.toLocaleString("en")}`;
      button.setAttribute("aria-pressed", String(one === kind));
    }
    list.replaceChildren(...(shown.length ? [] : [make("p", {}, texts.noAnswers)]));
    if (shown.length) grow(); else more.hidden = true;
  }
  function show() {
    showFigures();
    answers = answersOf(images, thresholdOf);
    showAnswers();
  }
  // Arrows go from one answer to the next.
  list.addEventListener("keydown", event => {
    const cards = /** @type {HTMLCollectionOf<HTMLButtonElement>} */ (list.children);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], from = [...cards].findIndex(one => one === document.activeElement);
    if (!step || from < 0) return;
    event.preventDefault();
    if (from + step === list.childElementCount && !more.hidden) grow();
    let next = from + step;
    while (cards[next]?.disabled) next += step;
    cards[next]?.focus();
  });
  const facts = (/** @type {Record<string, unknown>} */ entries) => make("dl", {}, ...Object.entries(entries).flatMap(([key, value]) => [make("dt", {}, key.replaceAll("_", " ")),
    make("dd", {}, value !== null && typeof value === "object" ? JSON.stringify(value) : String(value))]));
  const charts = historyCharts(judging.history);
  show();
  return { node: make("section", { class: "models judge" }, make("h1", {}, texts.judgeTitle(version)), tiles,
    make("h2", {}, texts.answers), make("p", { class: "row" }, make("span", { class: "row", role: "group", "aria-label": texts.answers }, ...kinds.values()), which, make("small", {}, texts.answersHint)), list, make("p", {}, more),
    ...(judging.left_out ? [make("p", { class: "note" }, texts.leftOut(judging.left_out, judging.least_score))] : []),
    make("h2", {}, texts.thresholds), make("p", { class: "row" }, keep, reset, state),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": texts.thresholds }, make("table", {}, make("thead", {}, make("tr", {}, ...texts.thresholdColumns.map(text => make("th", { scope: "col" }, text)))), make("tbody", {}, ...[...rows.values()].map(row => row.node)))),
    make("h2", {}, texts.curves), make("div", { class: "charts" }, ...[...curves.values()].map(curve => curve.node)),
    ...(labels.length <= MOST_CONFUSED ? [make("h2", {}, texts.confusion), make("p", { class: "note" }, texts.confusionNote),
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": texts.confusion }, confused)] : []),
    make("h2", {}, texts.trainingHistory), ...(charts.length ? [make("div", { class: "charts" }, ...charts)] : [make("p", {}, texts.noEpochs)]),
    make("h2", {}, texts.takeAway), make("p", {}, make("button", { type: "button", onclick: () => takeAway(`${name}/${version}`).catch(failed) }, texts.export)), make("pre", { tabindex: "0", class: "line" }, `rcl export ${name}/${version} --format onnx -o ${name}-${version}-onnx`),
    make("h2", {}, texts.settings), facts({ ...judging.settings, ...judging.data })) };
}
