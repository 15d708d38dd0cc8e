// How a training goes, or went: where it stands, its curves, its log; stopped where it is not wanted any more.
import { make } from "/pages/drawing.js";
import { lineChart } from "/pages/charts.js";
import { local } from "./server.js";
import { asked } from "./dialogs.js";
import { failed } from "./notes.js";
import { texts } from "./texts.js";

const EVERY_MS = 1500;

/** @param {string} name @param {string} version @returns {Promise<View>} */
export async function watch(name, version) {
  const status = make("b"), message = make("p", { role: "status" }), bar = make("progress", { "aria-label": texts.training1 }), charts = make("div", { class: "charts" });
  const log = make("pre", { tabindex: "0", "aria-label": texts.log });
  const stop = make("button", { type: "button", onclick: async () => {
    if (await asked(texts.sureStop(version), texts.stopTraining) === null) return;
    try { await local("stop-training", { version: `${name}/${version}` }); await refresh(); } catch (error) { failed(error); }
  } }, texts.stopTraining);
  const judge = make("a", { href: `#/p/${encodeURIComponent(name)}/judge/${encodeURIComponent(version)}`, hidden: true }, texts.judge);
  let drawn = -1, timer = 0, left = false;
  async function refresh() {
    let told;
    try { told = await local("training", { version: `${name}/${version}` }); } catch (error) {
      if (drawn >= 0 && !left) timer = setTimeout(() => refresh().catch(failed), 4 * EVERY_MS);
      throw error;
    }
    if (left) return;
    const { progress, curve } = told, isAtWork = told.status === "TRAINING_IN_PROGRESS";
    status.textContent = told.status;
    message.textContent = told.message;
    stop.hidden = !isAtWork;
    judge.hidden = isAtWork || told.status.endsWith("FAILED");
    bar.hidden = !progress?.steps;
    if (progress?.steps) Object.assign(bar, { max: progress.steps, value: progress.step });
    if (curve.length !== drawn) {
      drawn = curve.length;
      /** @type {[string, [number, number][]][]} */
      const rows = [[texts.loss, curve.filter(one => one.loss !== null).map(one => [one.epoch, /** @type {number} */ (one.loss)])],
        [curve.find(one => one.metric)?.metric ?? "", curve.filter(one => one.value !== null).map(one => [one.epoch, /** @type {number} */ (one.value)])]];
      charts.replaceChildren(...rows.filter(([, points]) => points.length).map(([title, points]) => lineChart(title, points)));
    }
    const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    if (log.textContent !== told.log) { log.textContent = told.log; if (isAtEnd) log.scrollTop = log.scrollHeight; }
    if (isAtWork) timer = setTimeout(() => refresh().catch(failed), EVERY_MS);
  }
  await refresh();
  return { node: make("section", { class: "models watch" }, make("h1", {}, texts.trainingOf(version)), make("p", { class: "row" }, status, stop, judge), message, bar, charts, make("h2", {}, texts.log), log),
    leave() { left = true; clearTimeout(timer); } };
}
