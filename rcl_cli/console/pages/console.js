// Which view is shown: the address says it, so that back, forward and bookmarks work.
import { make } from "/pages/drawing.js";
import { projects } from "./projects.js";
import { gallery } from "./gallery.js";
import { labels } from "./labels.js";
import { check } from "./check.js";
import { models } from "./models.js";
import { judge } from "./judge.js";
import { compare } from "./compare.js";
import { watch } from "./watch.js";
import { feedback } from "./feedback.js";
import { labeller } from "./labeller.js";
import { say } from "./notes.js";
import { desk } from "./sheets.js";
import { texts } from "./texts.js";

const at = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @type {[RegExp, (...names: string[]) => Promise<View>][]} */
const VIEWS = [
  [/^#?\/?$/, () => projects()],
  [/^#\/p\/([^/]+)$/, name => gallery(name)],
  [/^#\/p\/([^/]+)\/labels$/, name => labels(name)],
  [/^#\/p\/([^/]+)\/check$/, name => check(name)],
  [/^#\/p\/([^/]+)\/models$/, name => models(name)],
  [/^#\/p\/([^/]+)\/judge\/([^/]+)$/, (name, version) => judge(name, version)],
  [/^#\/p\/([^/]+)\/training\/([^/]+)$/, (name, version) => watch(name, version)],
  [/^#\/p\/([^/]+)\/compare\/([^/]+)\/([^/]+)$/, (name, first, second) => compare(name, first, second)],
  [/^#\/p\/([^/]+)\/feedback$/, name => feedback(name)],
  [/^#\/p\/([^/]+)\/label\/(\d+)$/, (name, index) => labeller(name, Number(index))],
];
let /** @type {View | null} */ shown = null, asked = 0;

async function show() {
  const address = location.hash.split("?")[0];
  for (const [pattern, open] of VIEWS) {
    const found = pattern.exec(address);
    if (!found) continue;
    shown?.leave?.();
    shown = null;
    const own = ++asked;
    if (!desk.unsaved) say("");
    const names = found.slice(1).map(decodeURIComponent);
    const base = `#/p/${encodeURIComponent(names[0])}`;
    at("trail").replaceChildren(...(names.length ? [make("b", {}, names[0]), ...Object.entries(texts.views).map(([end, text]) =>
      make("a", { href: base + end, "aria-current": address === base + end ? "page" : false }, text))] : []));
    document.title = names[0] ? `${names[0]} – ${texts.title}` : texts.title;
    try {
      const view = await open(...names);
      // Another one was asked for meanwhile.
      if (own !== asked) { view.leave?.(); return; }
      shown = view;
      at("view").replaceChildren(view.node);
      view.entered?.();
    } catch (error) {
      if (own !== asked) return;
      at("view").replaceChildren(make("p", { class: "gone" }, error.message));
    }
    return;
  }
  location.hash = "#/";
}
addEventListener("hashchange", show);
// Nothing dropped beside its place may replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, event => event.preventDefault());
show();
