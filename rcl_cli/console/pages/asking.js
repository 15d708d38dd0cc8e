// In which order the images are shown: that of the manifest, of names, or of what a model says of them.
import { make } from "/pages/drawing.js";
import { invoke, local, nameOf } from "./server.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const EVERY_MS = 1000, BY_MODEL = new Set(["unsure", "disagrees"]);

/**
 * @param {Project} project @param {() => { filter: Filter }} listing
 * @param {(sort: string, version: string) => void} chosen shows the images in another order
 * @param {URLSearchParams} query
 */
export function asker(project, listing, chosen, query) {
  const short = () => (query.get("version") ?? "").split("/").pop();
  let /** @type {{ name: string, status: string }[]} */ versions = [], timer = 0;
  const order = make("select", { "aria-label": texts.sort, onchange: () => tell().catch(failed) },
    ...Object.entries(texts.sorts).map(([value, text]) => make("option", { value, selected: value === (query.get("sort") ?? "") }, text)));
  const model = make("select", { "aria-label": texts.askedOf, hidden: true, onchange: () => tell().catch(failed) });
  const button = make("button", { type: "button", hidden: true, onclick: () => press().catch(failed) }), said = make("span", { class: "count", role: "status" });
  const version = () => `${project.name}/${model.value}`;
  let isAsking = false, left = false, about = "";
  // Which models there are, once somebody wants to know.
  let /** @type {Promise<void> | null} */ offering = null;

  async function tell() {
    if (BY_MODEL.has(order.value)) await offer();
    const isByModel = BY_MODEL.has(order.value);
    if (isByModel && !model.value) { note(texts.needsRunning); order.value = ""; }
    chosen(order.value, BY_MODEL.has(order.value) ? model.value : "");
    look().catch(failed);
  }
  async function press() {
    const filter = { ...listing().filter };
    delete filter.sort; delete filter.version;
    await local("ask", { project: project.arn, version: version(), filter, stop: isAsking });
    await look();
  }
  async function look() {
    clearTimeout(timer);
    const isByModel = BY_MODEL.has(order.value) && Boolean(model.value);
    model.hidden = !isByModel;
    button.hidden = !isByModel;
    said.hidden = !isByModel;
    if (!isByModel) return;
    const asked = version();
    let told;
    try { told = await local("asking", { version: asked }); } catch (error) {
      if (isAsking && !left) timer = setTimeout(() => look().catch(() => {}), 4 * EVERY_MS);
      throw error;
    }
    if (left || asked !== version()) return;
    const { known, progress } = told, wasAsking = isAsking && about === asked;
    about = asked;
    isAsking = Boolean(progress && !progress.is_over);
    button.textContent = isAsking ? texts.stopAsking : texts.askModel;
    button.disabled = !isAsking && versions.find(one => one.name === model.value)?.status !== "RUNNING";
    said.textContent = progress && isAsking ? texts.asked(progress) : texts.known(known);
    if (wasAsking && !isAsking) {
      if (progress?.trouble) note(progress.trouble, { seconds: 0 });
      else if (progress?.failed) note(texts.asked(progress), { seconds: 0 });
      // What is known by now makes another order.
      chosen(order.value, model.value);
    }
    if (isAsking) timer = setTimeout(() => look().catch(failed), EVERY_MS);
  }
  function offer() {
    offering ??= find().catch(error => { offering = null; throw error; });
    return offering;
  }
  async function find() {
    const { ProjectVersionDescriptions: all } = await invoke("DescribeProjectVersions", { ProjectArn: project.arn });
    versions = all.filter(one => one.EvaluationResult).map(one => ({ name: nameOf(one), status: one.Status }));
    versions.sort((a, b) => Number(b.status === "RUNNING") - Number(a.status === "RUNNING"));
    model.replaceChildren(...versions.map(one => make("option", { selected: one.name === short() }, one.name)));
    await look();
  }
  return { node: make("span", { class: "row" }, order, model, button, said), offer, leave() { left = true; clearTimeout(timer); } };
}
