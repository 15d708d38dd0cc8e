// All images of a project: any number of them, of which only those on the screen are there.
import { make } from "/pages/drawing.js";
import { filterOf, local, projectNamed, thumbnailUrl } from "./server.js";
import { overlay, Colours } from "./boxes.js";
import { asker } from "./asking.js";
import { adder } from "./adding.js";
import { asked } from "./dialogs.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const STRETCH = 60, MOST_STRETCHES = 40, GAP = 10, CAPTION = 44;
// Browsers can't scroll further than some 30 million pixels.
const MOST_PX = 12_000_000;
const EVERY_MS = 3000, SETTLED_MS = 80;

/** Entries of a listing, fetched in stretches as they are needed. */
class Listing {
  total = 0;
  revision = "";
  /** @type {Map<number, (Entry | null)[]>} */
  stretches = new Map();
  /** @type {Map<number, Promise<void>>} */
  asked = new Map();
  isLooking = false;
  /** @param {Project} project @param {Filter} filter @param {() => void} changed */
  constructor(project, filter, changed) { this.project = project; this.filter = filter; this.changed = changed; }
  /** An entry; undefined where it is not here, and then it is asked for unless that can wait. @param {number} index @param {boolean} canWait */
  at(index, canWait) {
    const stretch = Math.floor(index / STRETCH);
    const found = this.stretches.get(stretch);
    if (!found && canWait) return undefined;
    if (found) { this.stretches.delete(stretch); this.stretches.set(stretch, found); return found[index % STRETCH]; }
    this.fetch(stretch);
    return undefined;
  }
  /** @param {number} stretch @returns {Promise<void>} */
  async fetch(stretch) {
    if (this.asked.has(stretch)) return this.asked.get(stretch);
    const asked = local("gallery", { project: this.project.arn, filter: this.filter, offset: stretch * STRETCH, limit: STRETCH })
      .then(found => {
        if (this.revision && found.revision !== this.revision) this.stretches.clear();
        Object.assign(this, { total: found.total, revision: found.revision });
        this.stretches.set(stretch, found.entries);
        while (this.stretches.size > MOST_STRETCHES) this.stretches.delete(/** @type {number} */ (this.stretches.keys().next().value));
      }).finally(() => this.asked.delete(stretch));
    this.asked.set(stretch, asked);
    try { await asked; this.changed(); } catch (error) { failed(error); }
  }
  /** Look whether somebody changed something. */
  async look() {
    if (this.isLooking) return;
    this.isLooking = true;
    try { await this.compare(); } finally { this.isLooking = false; }
  }
  async compare() {
    const found = await local("gallery", { project: this.project.arn, filter: this.filter, offset: 0, limit: 0 });
    if (found.revision === this.revision) return;
    Object.assign(this, { total: found.total, revision: found.revision });
    this.stretches.clear();
    this.changed();
  }
}

/** Which images are chosen: some, or all under the filter but for some. */
class Choice {
  /** @type {Set<string>} */
  keys = new Set();
  isAll = false;
  /** @type {number | null} */
  last = null;
  revision = "";
  none() { this.keys = new Set(); this.isAll = false; this.last = null; this.revision = ""; }
  all() { this.none(); this.isAll = true; }
  key(/** @type {Place} */ entry) { return `${entry.position} ${entry.dataset}`; }
  has(/** @type {Place} */ entry) { return this.isAll !== this.keys.has(this.key(entry)); }
  /** @param {Place} entry @param {boolean} isChosen */
  set(entry, isChosen) { if (this.isAll !== isChosen) this.keys.add(this.key(entry)); else this.keys.delete(this.key(entry)); }
  count(/** @type {number} */ total) { return this.isAll ? total - this.keys.size : this.keys.size; }
}

class Tile {
  index = 0;
  isBare = false;
  /** @type {Entry | null | undefined} */
  entry;
  /** @type {string | undefined} */
  url;
  /** @type {AbortController | undefined} */
  loading;
  /** @param {(tile: Tile, isRange: boolean) => void} chosen */
  constructor(chosen) {
    this.box = make("input", { type: "checkbox", class: "choose", onclick: event => { event.stopPropagation(); chosen(this, event.shiftKey); } });
    this.whole = make("div", { class: "slot" }, this.box);
    // Browsers keep what images were decoded to, long after they are gone; a canvas has what it shows, and no more.
    this.canvas = make("canvas", { width: 1, height: 1 });
    this.picture = /** @type {ImageBitmapRenderingContext} */ (this.canvas.getContext("bitmaprenderer"));
    this.svg = overlay();
    this.caption = make("span");
    this.node = make("a", { class: "tile", draggable: "false" }, make("div", { class: "shot" }, this.canvas, this.svg), this.caption);
    this.whole.append(this.node);
  }
  /** Show another picture, or none. @param {string | undefined} url */
  async load(url) {
    if (this.url === url) return;
    this.url = url;
    this.loading?.abort();
    this.node.classList.remove("lacking");
    delete this.node.dataset.shown;
    // What is shown goes at once: it is another image's.
    this.picture.transferFromImageBitmap(null);
    this.svg.style.visibility = "hidden";
    if (!url) return;
    this.loading = new AbortController();
    try {
      const answer = await fetch(url, { signal: this.loading.signal });
      if (answer.headers.get("content-type") !== "image/jpeg") { this.node.classList.add("lacking"); return; }
      const bitmap = await createImageBitmap(await answer.blob());
      if (this.url !== url) { bitmap.close(); return; }
      // Boxes lie over the picture, which leaves room at its sides.
      this.svg.fit(bitmap.width, bitmap.height);
      this.picture.transferFromImageBitmap(bitmap);
      this.svg.style.visibility = "";
      this.node.dataset.shown = url;
    } catch {
      // The server is away, say: it is asked for again when something is painted next.
      if (this.url === url) Object.assign(this, { url: undefined, isBare: true });
    }
  }
  /**
   * @param {number} index @param {Entry | null | undefined} entry @param {string} href @param {number} width @param {Colours} colours
   * @param {boolean} isChosen @param {boolean} canWait what flies by is not loaded
   */
  show(index, entry, href, width, colours, isChosen, canWait) {
    this.index = index;
    if (entry) this.box.checked = isChosen;
    this.box.hidden = !entry;
    if (this.entry === entry && !this.isBare) return;
    this.entry = entry;
    this.isBare = Boolean(entry) && canWait;
    this.node.href = href;
    if (!entry) { this.load(undefined); this.svg.boxes([], colours); this.caption.textContent = ""; return; }
    this.load(this.isBare ? undefined : thumbnailUrl(entry, width));
    this.svg.boxes(entry.boxes, colours);
    const counts = new Map(entry.labels.map(label => [label, 1]));
    for (const { label } of entry.boxes) counts.set(label, (counts.get(label) ?? 0) + 1);
    const name = entry.source_ref.split("/").pop();
    this.caption.replaceChildren(make("b", {}, [...counts].map(([label, n]) => n > 1 ? `${label} ×${n}` : label).join(", ") || texts.noLabel),
      make("small", {}, name));
    this.box.setAttribute("aria-label", texts.choose1(name));
    this.node.classList.toggle("odd", entry.has_errors);
  }
}

/** @param {string} name @returns {Promise<View>} */
export async function gallery(name) {
  const project = await projectNamed(name);
  const colours = new Colours(project.labels);
  const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const field = make("div", { class: "field", tabindex: "0", "aria-label": texts.allParts });
  const inside = make("div", { class: "inside" });
  field.append(inside);
  const count = make("span", { class: "count", role: "status" });
  const empty = make("p", { class: "gone", hidden: true }, texts.empty);
  const /** @type {Tile[]} */ spare = [], /** @type {Map<number, Tile>} */ tiles = new Map();
  let /** @type {Listing} */ listing, waiting = 0, left = false, lastTop = 0, settling = 0;

  async function open() {
    listing = new Listing(project, filterOf(query), paint);
    for (const tile of tiles.values()) tile.entry = null;
    field.scrollTop = 0;
    await listing.fetch(0);
  }
  function measures() {
    const width = field.clientWidth - 2 * GAP;
    const columns = Math.max(2, Math.floor((width + GAP) / (190 + GAP)));
    const tile = Math.floor((width + GAP) / columns) - GAP;
    const row = Math.round(tile * 0.75) + CAPTION + GAP;
    const rows = Math.ceil(listing.total / columns);
    const whole = rows * row + GAP, height = Math.min(whole, MOST_PX), view = field.clientHeight;
    const stretch = height > view ? (whole - view) / (height - view) : 1;
    return { columns, tile, row, rows, height, view, stretch };
  }
  function paint() {
    if (left || waiting) return;
    waiting = requestAnimationFrame(() => { waiting = 0; layOut(); });
  }
  function layOut() {
    const { columns, tile, row, height, view, stretch } = measures();
    inside.style.height = `${height}px`;
    count.textContent = texts.images(listing.total);
    empty.hidden = listing.total > 0;
    // Read once: to ask for it after a style was written has the browser lay out all anew.
    const at = field.scrollTop, top = at * stretch;
    // Faster than anybody looks: what flies by is neither asked for nor decoded.
    const isFlying = Math.abs(top - lastTop) > view / 2;
    lastTop = top;
    clearTimeout(settling);
    if (isFlying) settling = setTimeout(paint, SETTLED_MS);
    const first = Math.max(0, Math.floor((top - view / 2) / row)), last = Math.ceil((top + view * 1.5) / row);
    const from = first * columns, to = Math.min(listing.total, last * columns);
    // The labeller goes on in this very order.
    const linked = new URLSearchParams(query);
    linked.set("at", listing.revision);
    for (const [index, one] of tiles)
      if (index < from || index >= to) { tiles.delete(index); spare.push(one); one.whole.style.display = "none"; }
    for (let index = from; index < to; index++) {
      let one = tiles.get(index);
      if (!one) {
        one = spare.pop() ?? new Tile(chosen);
        tiles.set(index, one);
        if (!one.whole.isConnected) inside.append(one.whole);
        one.whole.style.display = "";
      }
      const y = Math.floor(index / columns) * row + GAP - top + at, x = GAP + (index % columns) * (tile + GAP);
      one.whole.style.transform = `translate(${x}px, ${y}px)`;
      one.whole.style.width = `${tile}px`;
      one.whole.style.height = `${row - GAP}px`;
      const entry = listing.at(index, isFlying);
      one.show(index, entry, `#/p/${encodeURIComponent(name)}/label/${index}?${linked}`, tile, colours, Boolean(entry && choice.has(entry)), isFlying);
    }
  }
  // --- choosing ---
  // What is done with those that are chosen waits until it is known which they are.
  let choosing = Promise.resolve();
  /** @param {Tile} tile @param {boolean} isRange from the one that was chosen before to this one */
  function chosen(tile, isRange) {
    const marked = mark(tile, isRange);
    choosing = choosing.then(() => marked);
  }
  /** @param {Tile} tile @param {boolean} isRange */
  async function mark(tile, isRange) {
    const isChosen = tile.box.checked, from = isRange && choice.last !== null ? choice.last : tile.index;
    choice.last = tile.index;
    choice.revision ||= listing.revision;
    const [first, last] = [Math.min(from, tile.index), Math.max(from, tile.index)];
    try {
      for (let start = first; start <= last; start += 500) {
        const found = isRange ? (await local("gallery", { project: project.arn, filter: listing.filter, revision: listing.revision, offset: start, limit: Math.min(500, last - start + 1) })).entries : [tile.entry];
        for (const entry of found) if (entry) choice.set(entry, isChosen);
      }
    } catch (error) { failed(error); }
    tellChoice();
  }
  function tellChoice() {
    const count = choice.count(listing.total);
    many.hidden = !count;
    said.textContent = texts.chosen(count);
    every.textContent = texts.chooseAll(listing.total);
    // At once: a frame later somebody may have pressed the next one.
    for (const one of tiles.values()) if (one.entry) one.box.checked = choice.has(one.entry);
    paint();
  }
  /** How the server is told what is chosen. */
  function named() {
    /** @type {Positions} */
    const entries = {};
    for (const key of choice.keys) {
      const [position, dataset] = key.split(" ");
      (entries[dataset] ??= []).push(Number(position));
    }
    // All but some: those keep what they have.
    return choice.isAll ? { project: project.arn, filter: listing.filter, revision: listing.revision, except: entries }
      : { project: project.arn, revision: choice.revision, entries };
  }
  async function act(/** @type {() => Promise<unknown>} */ what) {
    try {
      await choosing;
      if (await what() === false) return;
      choice.none();
      await listing.look();
      tellChoice();
    } catch (error) { failed(error); }
  }
  function assign(/** @type {"add" | "remove"} */ part) {
    const label = wanted.value.trim();
    if (!label) { wanted.focus(); return; }
    act(async () => {
      note(texts.changed((await local("assign", { ...named(), [part]: [label] })).changed));
      colours.of(label);
    });
  }
  const move = (/** @type {Part} */ part) => act(async () => {
    const { moved, there_already } = await local("move", { ...named(), part });
    note(texts.moved(moved, there_already));
  });
  const remove = () => act(async () => {
    // Those that are asked about, whatever comes meanwhile.
    const chosen = named();
    if (await asked(texts.sureRemove(choice.count(listing.total)), texts.removeImages) === null) return false;
    note(texts.removed((await local("remove", chosen)).removed));
    return true;
  });
  async function download() {
    try {
      await choosing;
      const { queue } = await local("choose", named());
      make("a", { href: `/local/manifest?${new URLSearchParams({ queue })}`, download: true }).click();
    } catch (error) { failed(error); }
  }
  const split = make("button", { type: "button", onclick: () => act(async () => note(texts.wasSplit((await local("split", { project: project.arn })).testing))) }, texts.split);
  const choice = new Choice(), said = make("span", { class: "count", role: "status" });
  const wanted = make("input", { "aria-label": texts.labelOf, placeholder: texts.label, maxlength: 255, list: "known-labels", autocomplete: "off" });
  const every = make("button", { type: "button", onclick: () => { choice.all(); tellChoice(); } });
  const many = make("form", { class: "row many", hidden: true, onsubmit: event => { event.preventDefault(); assign("add"); } }, said, wanted,
    make("datalist", { id: "known-labels" }, ...colours.names.map(one => make("option", { value: one }))),
    make("button", {}, texts.give), make("button", { type: "button", onclick: () => assign("remove") }, texts.take),
    ...Object.entries(texts.toPart).map(([part, text]) => make("button", { type: "button", onclick: () => move(/** @type {Part} */ (part)) }, text)),
    make("button", { type: "button", onclick: download }, texts.download),
    make("button", { type: "button", onclick: remove }, texts.removeImages), every,
    make("button", { type: "button", onclick: () => { choice.none(); tellChoice(); } }, texts.chooseNone));

  /** @param {string} key @param {string} value */
  function choose(key, value) {
    choice.none(); many.hidden = true;
    if (value) query.set(key, value); else query.delete(key);
    history.replaceState(null, "", `#/p/${encodeURIComponent(name)}?${query}`);
    open().catch(failed);
  }
  /** @param {string} value @param {string} text @param {string | null} chosen */
  const option = (value, text, chosen) => make("option", { value, selected: value === (chosen ?? "") }, text);
  /** @param {string} key @param {string} label @param {string[][]} pairs */
  const chooser = (key, label, pairs) => make("select", { "aria-label": label, onchange: event => choose(key, event.target.value) },
    ...pairs.map(([value, text]) => option(value, text, query.get(key))));
  let typing = 0;
  const asking = asker(project, () => listing, (sort, version) => {
    if (version) query.set("version", `${name}/${version}`); else query.delete("version");
    choose("sort", sort);
  }, query);
  const filters = make("div", { class: "row", role: "group", "aria-label": texts.filters },
    chooser("part", texts.part, [["", texts.allParts], ["TRAIN", texts.parts.TRAIN], ["TEST", texts.parts.TEST]]),
    chooser("is", texts.filters, [["", texts.any], ["labeled", texts.labeled], ["unlabeled", texts.unlabeled], ["errors", texts.errors]]),
    chooser("label", texts.label, [["", texts.everyLabel], ...colours.names.map(one => [one, one])]),
    make("input", { type: "search", "aria-label": texts.name, placeholder: texts.name, value: query.get("name") ?? "",
      oninput: event => { clearTimeout(typing); typing = setTimeout(() => choose("name", event.target.value), 250); } }),
    asking.node, split, count);
  const adding = adder(project, () => listing.look().catch(failed));
  const node = make("section", { class: "whole" }, make("h1", { class: "unseen" }, `${name}: ${texts.views[""]}`), filters, adding.node, many, empty, field);
  field.addEventListener("scroll", paint, { passive: true });
  const watch = new ResizeObserver(paint);
  await open();
  const timer = setInterval(() => listing.look().catch(() => {}), EVERY_MS);
  return {
    node,
    entered() { watch.observe(field); adding.listen(document.body); asking.offer().catch(() => {}); layOut(); },
    leave() { left = true; clearInterval(timer); clearTimeout(settling); watch.disconnect(); adding.leave(); asking.leave(); },
  };
}
