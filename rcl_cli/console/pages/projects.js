// All projects, as cards.
import { make } from "/pages/drawing.js";
import { invoke, local, thumbnailUrl } from "./server.js";
import { failed } from "./notes.js";
import { texts } from "./texts.js";

const EVERY_MS = 4000;

function card(row) {
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
  return make("a", { class: "card", href: `#/p/${encodeURIComponent(row.name)}` }, picture,
    make("b", {}, row.name), make("span", {}, facts.join(" · ")), make("span", { class: "model" }, model));
}

export async function projects() {
  const list = make("div", { class: "cards" });
  let seen = "";
  async function refresh() {
    const { projects: rows } = await local("projects", {});
    const now = JSON.stringify(rows);
    if (now === seen) return;
    seen = now;
    list.replaceChildren(...(rows.length ? rows.map(card) : [make("p", {}, texts.noProjects)]));
  }
  const name = make("input", { name: "name", "aria-label": texts.projectName, placeholder: texts.projectName, autocomplete: "off", required: true });
  const form = make("form", { class: "row", onsubmit: async event => {
    event.preventDefault();
    try {
      await invoke("CreateProject", { ProjectName: name.value.trim() });
      location.hash = `#/p/${encodeURIComponent(name.value.trim())}`;
    } catch (error) { failed(error); }
  } }, name, make("button", {}, texts.create));
  await refresh();
  const timer = setInterval(() => refresh().catch(() => {}), EVERY_MS);
  return { node: make("section", {}, make("h1", {}, texts.projects), form, list), leave: () => clearInterval(timer) };
}
