// All projects, as cards.
import { make } from "/pages/drawing.js";
import { invoke, local, nameOf, thumbnailUrl } from "./server.js";
import { bringer } from "./bring.js";
import { asked } from "./dialogs.js";
import { editTags } from "./tags.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const EVERY_MS = 4000;

const AT_WORK = new Set(["TRAINING_IN_PROGRESS", "COPYING_IN_PROGRESS", "STARTING", "RUNNING", "STOPPING"]);

/** All of a project goes: its versions, its datasets, itself; its pictures stay in their bucket. @param {ProjectRow} row */
async function remove(row) {
  const { ProjectVersionDescriptions: versions } = await invoke("DescribeProjectVersions", { ProjectArn: row.arn });
  const busy = versions.find(one => AT_WORK.has(one.Status));
  if (busy) { note(texts.projectAtWork(row.name, nameOf(busy), busy.Status)); return false; }
  if (await asked(texts.sureProject(row.name, versions.length, (row.training ?? 0) + (row.testing ?? 0)), texts.deleteVersion) === null) return false;
  for (const one of versions) await invoke("DeleteProjectVersion", { ProjectVersionArn: one.ProjectVersionArn });
  const { ProjectDescriptions: [project] } = await invoke("DescribeProjects", { ProjectNames: [row.name] });
  for (const one of project?.Datasets ?? []) await invoke("DeleteDataset", { DatasetArn: one.DatasetArn });
  await invoke("DeleteProject", { ProjectArn: row.arn });
  return true;
}

/** @param {ProjectRow} row @param {() => Promise<void>} changed */
function card(row, changed) {
  const facts = [];
  if (row.training !== null) facts.push(texts.training(row.training));
  if (row.testing !== null) facts.push(texts.testing(row.testing));
  if (row.running) facts.push(texts.running(row.running));
  const newest = row.newest;
  const model = newest ? `${newest.name}: ${newest.f1 === null ? newest.message || newest.status : texts.f1(newest.f1)}` : texts.noVersion;
  const picture = make("div", { class: "cover" });
  local("gallery", { project: row.arn, limit: 1 }).then(({ entries: [entry] }) => {
    if (entry) picture.append(make("img", { src: thumbnailUrl(entry, 300), alt: "" }));
  }).catch(() => {});
  /** @type {HTMLButtonElement} */
  const button = make("button", { type: "button", "aria-label": `${texts.deleteVersion} ${row.name}`, onclick: async () => {
    button.disabled = true;
    try { if (await remove(row)) await changed(); } catch (error) { failed(error); await changed().catch(() => {}); }
    button.disabled = false;
  } }, texts.deleteVersion);
  const tags = make("button", { type: "button", "aria-label": `${texts.tags} ${row.name}`, onclick: () => editTags(row.name, row.arn).catch(failed) }, texts.tags);
  return make("div", { class: "card" }, make("a", { href: `#/p/${encodeURIComponent(row.name)}` }, picture,
    make("b", {}, row.name), make("span", {}, facts.join(" · ")), make("span", { class: "model" }, model)), make("div", { class: "row" }, tags, button));
}

/** @returns {Promise<View>} */
export async function projects() {
  const list = make("div", { class: "cards" });
  let seen = "";
  async function refresh() {
    const { projects: rows } = await local("projects", {});
    const now = JSON.stringify(rows);
    if (now === seen) return;
    seen = now;
    list.replaceChildren(...(rows.length ? rows.map(row => card(row, refresh)) : [make("p", {}, texts.noProjects)]));
  }
  const name = make("input", { name: "name", "aria-label": texts.projectName, placeholder: texts.projectName, autocomplete: "off", required: true });
  const form = make("form", { class: "row", onsubmit: async event => {
    event.preventDefault();
    try {
      await invoke("CreateProject", { ProjectName: name.value.trim() });
      location.hash = `#/p/${encodeURIComponent(name.value.trim())}`;
    } catch (error) { failed(error); }
  } }, name, make("button", {}, texts.create));
  const bringing = bringer();
  await refresh();
  const timer = setInterval(() => refresh().catch(() => {}), EVERY_MS);
  const node = make("section", {}, make("h1", {}, texts.projects), form, bringing.node, list);
  return { node, entered: () => bringing.listen(document.body), leave() { clearInterval(timer); bringing.leave(); } };
}
