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
  if (answer.ok) return answer.json();
  const said = await answer.json().catch(() => null);
  if (answer.status >= 502) throw new Unreachable(texts.unreachable);
  throw new Refused(said?.error?.message ?? `${answer.status} ${answer.statusText}`, said?.error?.code ?? "");
}
const json = value => ({ body: JSON.stringify(value), headers: { "content-type": "application/json" } });

/** @returns {Promise<any>} what an operation of the API answers */
export const invoke = (operation, params) => ask(`/api/${operation}`, json(params));
export const local = (name, given, signal) => ask(`/local/${name}`, { ...json(given), signal });
export const upload = (project, file) =>
  ask(`/local/picture?${new URLSearchParams({ project, name: file.name })}`, { body: file });

const named = (entry, more = {}) => new URLSearchParams({ dataset: entry.dataset, position: entry.position, ...more });
export const pictureUrl = entry => `/local/picture?${named(entry)}`;
const SIDES = [160, 320, 640];
/** The smallest thumbnail that fills so many CSS pixels on this screen. */
export function thumbnailUrl(entry, width) {
  const wanted = width * devicePixelRatio;
  return `/local/thumbnail?${named(entry, { side: SIDES.find(side => side >= wanted) ?? SIDES.at(-1) })}`;
}

/** Names and counts of all labels of a project, over its datasets. */
export async function labelsOf(datasets) {
  const found = new Map();
  for (const dataset of datasets)
    for (let token; token !== null;) {
      const page = await invoke("ListDatasetLabels", { DatasetArn: dataset.DatasetArn, ...(token ? { NextToken: token } : {}) });
      for (const { LabelName: name, LabelStats: stats } of page.DatasetLabelDescriptions) {
        const one = found.get(name) ?? { name, images: 0, boxes: 0 };
        one.images += stats.EntryCount; one.boxes += stats.BoundingBoxCount;
        found.set(name, one);
      }
      token = page.NextToken ?? null;
    }
  return [...found.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

export async function projectNamed(name) {
  const found = await invoke("DescribeProjects", { ProjectNames: [name] });
  if (!found.ProjectDescriptions.length) throw new Refused(`There is no project ${name}.`, "ResourceNotFoundException");
  const project = found.ProjectDescriptions[0];
  return { name, arn: project.ProjectArn, datasets: project.Datasets ?? [] };
}
