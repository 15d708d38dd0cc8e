// Asking the server.
import { texts } from "./texts.js";

export class Refused extends Error {
  /** @param {string} message @param {string} code */
  constructor(message, code) { super(message); this.code = code; }
}
export class Unreachable extends Error {}

/** @param {string} path @param {RequestInit} options @returns {Promise<any>} `Invoke` and `Local` say what */
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
/** @param {unknown} value */
const json = value => ({ body: JSON.stringify(value), headers: { "content-type": "application/json" } });

/** @type {Invoke} */
export const invoke = (operation, params) => ask(`/api/${operation}`, json(params));
/** @type {Local} */
export const local = (name, given, signal) => ask(`/local/${name}`, { ...json(given), signal });
/** @type {(project: string, file: File) => Promise<{ source_ref: string }>} */
export const upload = (project, file) =>
  ask(`/local/picture?${new URLSearchParams({ project, name: file.name })}`, { body: file });

/** A list of pictures, as `rcl detect` writes it. @param {string} project @param {File} file */
export const sendList = (project, file) => ask(`/local/feedback-list?${new URLSearchParams({ project, name: file.name })}`, { body: file });
/**
 * A file of a folder that is being brought.
 * @param {string} folder @param {string} path @param {File} file @param {AbortSignal} signal
 */
export const uploadTo = (folder, path, file, signal) => ask(`/local/bring-file?${new URLSearchParams({ folder, path })}`, { body: file, signal });

/** @param {Place} entry @param {Record<string, string>} more */
const named = (entry, more = {}) => new URLSearchParams({ dataset: entry.dataset, position: String(entry.position), ...more });
/** @param {Place} entry */
export const pictureUrl = entry => `/local/picture?${named(entry)}`;
/** A picture that waits in a project's queue. @param {Project} project @param {{ source_ref: string }} item */
export const feedbackUrl = (project, item) => `/local/picture?${new URLSearchParams({ project: project.arn, of: item.source_ref })}`;
/** The name of a version, which its ARN has. @param {VersionDescription} version */
export const nameOf = version => /** @type {string} */ (version.ProjectVersionArn.split("/").at(-2));
const SIDES = [160, 320, 640];
/** The smallest thumbnail that fills so many CSS pixels on this screen. @param {Place & { source_ref: string }} entry @param {number} width */
export function thumbnailUrl(entry, width) {
  const wanted = width * devicePixelRatio;
  return `/local/thumbnail?${named(entry, { side: String(SIDES.find(side => side >= wanted) ?? SIDES.at(-1)), of: entry.source_ref })}`;
}

/** @param {string} name @returns {Promise<Project>} */
export async function projectNamed(name) {
  const found = await invoke("DescribeProjects", { ProjectNames: [name] });
  if (!found.ProjectDescriptions.length) throw new Refused(`There is no project ${name}.`, "ResourceNotFoundException");
  const project = found.ProjectDescriptions[0];
  const { labels } = await local("labels", { project: project.ProjectArn });
  return { name, arn: project.ProjectArn, labels };
}

/** The filter of galleries that an address says. @param {URLSearchParams} query */
export function filterOf(query) {
  const said = (/** @type {string} */ key) => query.get(key) ?? "", is = said("is");
  /** @type {Filter} */
  const filter = {};
  if (said("part")) filter.part = said("part");
  if (said("label")) filter.labels = [said("label")];
  if (is === "labeled" || is === "unlabeled") filter.labeled = is === "labeled";
  if (is === "errors") filter.errors = true;
  if (said("queue")) filter.queue = said("queue");
  if (said("sort")) Object.assign(filter, { sort: said("sort"), version: said("version") });
  if (said("name")) filter.name = said("name");
  return filter;
}
