// What is wrong with a project's images: by kind, each with its images, and mended where that needs nobody's eyes.
import { make } from "/pages/drawing.js";
import { local, projectNamed, thumbnailUrl } from "./server.js";
import { asked } from "./dialogs.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const EVERY_MS = 500, FIRST = 6, MORE = 60, IMAGES = 4, SIDE_PX = 150;

/** @param {string} name @returns {Promise<View>} */
export async function check(name) {
  const project = await projectNamed(name), base = `#/p/${encodeURIComponent(name)}`;
  const status = make("span", { role: "status" }), bar = make("progress", { "aria-label": texts.checking, hidden: true }), kinds = make("div");
  const begin = make("button", { type: "button", onclick: () => start().catch(failed) }, texts.checkNow);
  let timer = 0, left = false, /** @type {Map<string, number>} */ shown = new Map(), seen = "";
  /** @type {AskChecks} */
  const ask = (what, given) => local(what, { project: project.arn, check: seen, ...given });

  async function start() {
    await ask("check");
    await look();
  }
  async function look() {
    clearTimeout(timer);
    const found = await ask("checked");
    if (left) return;
    const isBusy = found.check !== null && !found.is_over;
    begin.disabled = isBusy;
    bar.hidden = !isBusy;
    begin.textContent = found.check === null ? texts.checkNow : texts.checkAgain;
    if (isBusy) {
      status.textContent = texts.checkedSoFar(found.done);
      timer = setTimeout(() => look().catch(failed), EVERY_MS);
      return;
    }
    const count = (/** @type {Severity} */ severity) => (found.kinds ?? []).filter(one => one.severity === severity).reduce((all, one) => all + one.open, 0);
    status.textContent = found.check === null ? texts.notChecked : found.trouble || texts.checked(found.done, count("error"), count("warning"));
    if (found.check !== seen) { shown = new Map(); seen = found.check ?? ""; }
    kinds.replaceChildren(...await Promise.all((found.kinds ?? []).map(part)));
  }

  // --- a kind ---
  async function part(/** @type {FoundKind} */ one) {
    const limit = shown.get(one.kind) ?? FIRST;
    const { findings } = await ask("findings", { kind: one.kind, offset: 0, limit });
    const rest = one.count - findings.length, title = texts.kindOf(one.kind);
    const row = make("p", { class: "row" },
      ...(one.mendable > 1 ? [make("button", { type: "button", onclick: () => mend(one, null, one.mendable) }, texts.mendAll(one.way, one.mendable))] : []),
      ...(findings.some(({ entries }) => entries.some(at => at.dataset)) ? [make("button", { type: "button", onclick: () => open(one.kind, null) }, texts.lookAtAll)] : []));
    const more = make("button", { type: "button", onclick: () => { shown.set(one.kind, limit + MORE); look().catch(failed); } }, texts.more(rest));
    return make("section", { class: `kind ${one.severity}` }, make("h2", {}, make("span", { class: "severity" }, texts.severities[one.severity]), ` ${title} `, make("small", {}, one.open.toLocaleString("en"))),
      make("p", {}, one.fix), row, make("ul", { class: "findings" }, ...findings.map(finding => item(one, finding))), ...(rest > 0 ? [more] : []));
  }
  /** @param {FoundKind} one @param {Finding} finding */
  function item(one, finding) {
    const pictures = finding.entries.filter(at => at.dataset).slice(0, IMAGES).map(at => {
      const image = make("img", { src: thumbnailUrl(at, SIDE_PX), alt: "", loading: "lazy" });
      return make("figure", {}, image, make("figcaption", { title: at.source_ref }, at.source_ref.split("/").pop(), make("small", {}, texts.parts[at.part])));
    });
    const gone = finding.entries.length && !pictures.length ? [make("p", { class: "soft" }, texts.entriesGone)] : [];
    const last = finding.labels.at(-1);
    const label = last !== undefined && !finding.images ? [make("a", { href: `${base}?${new URLSearchParams({ label: last })}` }, texts.imagesOf(last))] : [];
    const buttons = finding.is_mended ? [make("b", { class: "mended" }, texts.mended)] : [
      ...(finding.way && (pictures.length || !finding.images) ? [make("button", { type: "button", onclick: () => mend(one, finding, 1) }, finding.way)] : []),
      ...(pictures.length ? [make("button", { type: "button", onclick: () => open(one.kind, finding.number) }, texts.lookAt)] : []), ...label];
    return make("li", {}, make("div", { class: "thumbs" }, ...pictures), make("p", {}, finding.detail), ...gone, make("p", { class: "row" }, ...buttons));
  }

  // --- what is done about it ---
  /** @param {FoundKind} one @param {Finding | null} finding @param {number} count */
  async function mend(one, finding, count) {
    try {
      if (await asked(texts.sureMend(finding?.way ?? one.way, count, finding?.detail ?? ""), finding?.way ?? one.way) === null) return;
      note(texts.wasMended(await ask("mend", { kind: one.kind, number: finding?.number ?? null })));
    } catch (error) { failed(error); }
    await look().catch(failed);
  }
  /** @param {string} kind @param {number | null} number */
  async function open(kind, number) {
    try {
      const { entries } = await ask("queue-findings", { kind, number });
      if (!entries.length) { note(texts.entriesGone); return; }
      const { queue } = await local("queue", { entries });
      location.hash = `${base}/label/0?${new URLSearchParams({ queue, back: location.hash })}`;
    } catch (error) { failed(error); }
  }

  await look();
  return {
    node: make("section", { class: "models checks" }, make("h1", {}, texts.check), make("p", {}, texts.checkWhat), make("p", { class: "row" }, begin, status), bar, kinds),
    leave() { left = true; clearTimeout(timer); },
  };
}
