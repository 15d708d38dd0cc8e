// Asking the server.
import { texts } from "./texts.js";

export class Refused extends Error {
  constructor(message, code) { super(message); this.code = code; }
}
export class Unreachable extends Error {}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(texts.unreachable);
  }
  if (answer.status === 401) throw new Refused(texts.sessionOver, "session");
  const said = await answer.json().catch(error => { if (error.name === "AbortError") throw error; return null; });
  // An answer that broke off says nothing of what was done.
  if (answer.status >= 502 || (answer.ok && said === null)) throw new Unreachable(texts.unreachable);
  if (answer.ok) return said;
  throw new Refused(said?.error?.message ?? `${answer.status} ${answer.statusText}`, said?.error?.code ?? "");
}
const json = value => ({ body: JSON.stringify(value), headers: { "content-type": "application/json" } });

/** @returns {Promise<any>} what an operation of the API answers */
export const invoke = (operation, params) => ask(`/api/${operation}`, json(params));
export const local = (name, given, signal) => ask(`/local/${name}`, { ...json(given), signal });
export const upload = (project, file) =>
  ask(`/local/picture?${new URLSearchParams({ project, name: file.name })}`, { body: file });

/** A list of pictures, as `rcl detect` writes it. */
export const sendList = (project, file) => ask(`/local/feedback-list?${new URLSearchParams({ project, name: file.name })}`, { body: file });
/** A file of a folder that is being brought. */
export const uploadTo = (folder, path, file, signal) => ask(`/local/bring-file?${new URLSearchParams({ folder, path })}`, { body: file, signal });

const named = (entry, more = {}) => new URLSearchParams({ dataset: entry.dataset, position: entry.position, ...more });
export const pictureUrl = entry => `/local/picture?${named(entry)}`;
/** A picture that waits in a project's queue. */
export const feedbackUrl = (project, item) => `/local/picture?${new URLSearchParams({ project: project.arn, of: item.source_ref })}`;
const SIDES = [160, 320, 640];
/** The smallest thumbnail that fills so many CSS pixels on this screen. */
export function thumbnailUrl(entry, width) {
  const wanted = width * devicePixelRatio;
  return `/local/thumbnail?${named(entry, { side: SIDES.find(side => side >= wanted) ?? SIDES.at(-1), of: entry.source_ref })}`;
}

/** A project, with its labels: [{ name, images, boxes }]. */
export async function projectNamed(name) {
  const found = await invoke("DescribeProjects", { ProjectNames: [name] });
  if (!found.ProjectDescriptions.length) throw new Refused(`There is no project ${name}.`, "ResourceNotFoundException");
  const project = found.ProjectDescriptions[0];
  const { labels } = await local("labels", { project: project.ProjectArn });
  return { name, arn: project.ProjectArn, labels };
}

/** The filter of galleries that an address says. */
export function filterOf(query) {
  const filter = {}, is = query.get("is");
  if (query.get("part")) filter.part = query.get("part");
  if (query.get("label")) filter.labels = [query.get("label")];
  if (is === "labeled" || is === "unlabeled") filter.labeled = is === "labeled";
  if (is === "errors") filter.errors = true;
  if (query.get("queue")) filter.queue = query.get("queue");
  if (query.get("sort")) Object.assign(filter, { sort: query.get("sort"), version: query.get("version") ?? "" });
  if (query.get("name")) filter.name = query.get("name");
  return filter;
}
