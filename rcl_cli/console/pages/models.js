// The versions of a project: trained, started, stopped, tried.
import { spanOf } from "/pages/charts.js";
import { make } from "/pages/drawing.js";
import { invoke, local, projectNamed } from "./server.js";
import { asked } from "./dialogs.js";
import { failed, note } from "./notes.js";
import { takeAway } from "./export.js";
import { trial } from "./trying.js";
import { texts } from "./texts.js";

const EVERY_MS = 1500;
const STARTABLE = new Set(["TRAINING_COMPLETED", "COPYING_COMPLETED", "STOPPED", "FAILED"]);
const ENDED = new Set([...STARTABLE, "TRAINING_FAILED", "COPYING_FAILED"]);

/** @param {string} name @returns {Promise<View>} */
export async function models(name) {
  const project = await projectNamed(name);
  const body = make("tbody"), empty = make("p", {}, texts.noModels);
  const trying = trial(project.labels);
  let seen = "", left = false;

  /** Do something, and look at once what came of it. @type {(what: () => unknown) => (event: { currentTarget: HTMLButtonElement }) => Promise<void>} */
  const act = what => async event => {
    const pressed = event.currentTarget;
    pressed.disabled = true;
    try { await what(); } catch (error) { failed(error); }
    seen = "";
    await refresh().catch(failed);
    pressed.disabled = false;
  };
  /** @param {string} text @param {() => unknown} what @param {string} about */
  const button = (text, what, about) => make("button", { type: "button", "aria-label": `${text} ${about}`, onclick: act(what) }, text);
  /** @param {Routes["versions"][1]["versions"][0]} row */
  function line(row) {
    const { progress } = row;
    const /** @type {Children} */ told = [row.status];
    if (progress?.steps) told.push(make("progress", { max: progress.steps, value: progress.step, "aria-label": row.message }));
    if (row.message) told.push(make("small", {}, row.message));
    const buttons = [];
    if (STARTABLE.has(row.status) && row.model)
      buttons.push(button(texts.start, () => invoke("StartProjectVersion", { ProjectVersionArn: row.arn, MinInferenceUnits: 1 }), row.name));
    if (row.status === "RUNNING") buttons.push(button(texts.stop, () => invoke("StopProjectVersion", { ProjectVersionArn: row.arn }), row.name));
    if (row.f1 !== null || row.status === "COPYING_COMPLETED") buttons.push(button(texts.export, () => takeAway(`${name}/${row.name}`), row.name));
    if (ENDED.has(row.status)) buttons.push(button(texts.deleteVersion, async () => {
      if (await asked(texts.sure(row.name), texts.yes) !== null) await invoke("DeleteProjectVersion", { ProjectVersionArn: row.arn });
    }, row.name));
    const named = make("a", { href: `#/p/${encodeURIComponent(name)}/${row.f1 === null ? "training" : "judge"}/${encodeURIComponent(row.name)}` }, row.name);
    const cells = [named, told, row.f1 === null ? "" : row.f1.toFixed(3), row.expected ? spanOf(row.expected) : "", row.model, row.training_images === null ? "" : texts.images(row.training_images),
      new Date(row.created_ms).toLocaleString(), row.size_bytes ? (row.size_bytes / 1e6).toFixed(0) : "", [make("span", { class: "row" }, ...buttons)]];
    return make("tr", {}, ...cells.map(cell => make("td", {}, ...[cell].flat())));
  }
  async function refresh() {
    const { versions } = await local("versions", { project: project.arn });
    const now = JSON.stringify(versions);
    if (now === seen || left) return;
    seen = now;
    body.replaceChildren(...versions.map(line));
    empty.hidden = versions.length > 0;
    const judged = versions.filter(row => row.f1 !== null).map(row => row.name);
    sides.hidden = judged.length < 2;
    offer(before, judged, judged[1]); offer(after, judged, judged[0]);
    trying.offer(versions.filter(row => row.status === "RUNNING"));
  }
  /** Versions to choose from; what somebody chose stays. @param {HTMLSelectElement} select @param {string[]} names @param {string} first */
  function offer(select, names, first) {
    const chosen = own.has(select) && names.includes(select.value) ? select.value : first;
    select.replaceChildren(...names.map(one => make("option", { selected: one === chosen }, one)));
  }
  // What people may ask for; what is left empty the plan decides.
  const known = Object.entries((await local("options", {})).options).filter(([key]) => key !== "device" && key !== "parallel");
  const inputs = new Map(known.map(([key, what]) => [key, { input: make("input", { name: key, placeholder: texts.optionAuto, autocomplete: "off" }), note: make("small", {}, what), what }]));
  const facts = make("dl", { class: "plan" }), planned = make("p", { role: "status" });
  const options = make("details", { class: "options", ontoggle: () => { if (options.open) plan().catch(failed); }, onchange: () => plan().catch(failed) }, make("summary", {}, texts.options), make("p", {}, texts.optionHint), planned, facts,
    make("div", { class: "grid" }, ...[...inputs].map(([key, { input, note: said }]) => make("label", {}, key.replaceAll("_", " "), input, said))));
  const wanted = () => Object.fromEntries([...inputs].map(([key, { input }]) => [key, input.value.trim()]).filter(([, value]) => value));
  let plans = 0, planner = new AbortController();
  /** What would be chosen for these images, and why. */
  async function plan() {
    const turn = ++plans;
    planned.textContent = texts.planning;
    let found;
    planner.abort();
    planner = new AbortController();
    try { found = await local("plan", { project: project.arn, options: wanted() }, planner.signal); }
    catch (error) {
      if (turn === plans) { planned.textContent = error.message; facts.replaceChildren(); }
      return;
    }
    if (turn !== plans || left) return;
    planned.textContent = found.trouble ? texts.wouldFail(found.trouble) : "";
    for (const { input, note: said, what } of inputs.values()) { input.placeholder = texts.optionAuto; said.textContent = what; }
    facts.replaceChildren(...found.choices.flatMap(({ what, value, why }) => {
      const option = inputs.get(what);
      if (!option) return [make("dt", {}, what), make("dd", {}, value, make("small", {}, why))];
      option.input.placeholder = value;
      option.note.textContent = `${why} (${option.what})`;
      return [];
    }));
  }
  const /** @type {Set<EventTarget>} */ own = new Set(), chooser = (/** @type {string} */ text) => make("select", { "aria-label": text, onchange: event => own.add(event.target) });
  const before = chooser(texts.compareFirst), after = chooser(texts.compareSecond);
  const sides = make("form", { class: "row", onsubmit: event => {
    event.preventDefault();
    location.hash = `#/p/${[name, "compare", before.value, after.value].map(encodeURIComponent).join("/")}`;
  } }, make("button", {}, texts.compare), before, texts.compareWith, after);
  const train = make("button", { type: "button", onclick: act(async () => {
    await local("train", { project: project.name, options: wanted() });
    note(texts.training1);
  }) }, texts.train);
  const node = make("section", { class: "models versions" }, make("h1", {}, texts.models), make("p", { class: "row" }, train), options, empty,
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": texts.models }, make("table", {}, make("thead", {}, make("tr", {}, ...texts.versionColumns.map(text => make("th", { scope: "col" }, text || make("span", { class: "unseen" }, texts.actions))))), body)), sides, trying.node);
  await refresh();
  const timer = setInterval(() => refresh().catch(() => {}), EVERY_MS);
  return { node, entered: () => trying.listen(), leave() { left = true; planner.abort(); clearInterval(timer); trying.leave(); } };
}
