// One image after the other, by mouse and keys.
import { make } from "/pages/drawing.js";
import { labelsOf, local, pictureUrl, projectNamed } from "./server.js";
import { Colours, overlay } from "./boxes.js";
import { Desk, newBox } from "./sheets.js";
import { Stage, moved, resized } from "./stage.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const AHEAD = 4, BEHIND = 2, MOST_BOXES = 50;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The pictures around the one that is shown, decoded before they are asked for. */
class Pictures {
  constructor() { this.kept = new Map(); }
  of(entry) {
    const url = pictureUrl(entry);
    let found = this.kept.get(url);
    if (!found) {
      const image = make("img", { src: url, alt: "", decoding: "sync" });
      found = { image, ready: image.decode().then(() => true, () => false) };
      this.kept.set(url, found);
      if (this.kept.size > 12) this.kept.delete(this.kept.keys().next().value);
    }
    return found;
  }
}

export async function labeller(name, first) {
  const project = await projectNamed(name);
  const known = await labelsOf(project.datasets);
  const colours = new Colours(known.map(one => one.name));
  const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const filter = { ...(query.get("part") ? { part: query.get("part") } : {}), ...(query.get("label") ? { labels: [query.get("label")] } : {}),
    ...(query.get("name") ? { name: query.get("name") } : {}), ...({ labeled: { labeled: true }, unlabeled: { labeled: false }, errors: { errors: true } }[query.get("is")] ?? {}) };
  const pictures = new Pictures(), entries = new Map();
  let revision = "", total = 0, index = first, sheet = null, entry = null, chosen = null, left = false;
  let mode = query.get("mode") ?? (known.some(one => one.boxes) || !known.length ? "boxes" : "image");
  let active = colours.names[0] ?? null, last = null;

  const desk = new Desk({ changed: () => { if (!left) show(); }, conflict: settle, refused: (which, error) => { note(texts.notSaved(error.message)); } });
  const stage = new Stage({
    drawn: box => addBox(box),
    moved: (id, box) => change({ boxes: sheet.state.boxes.map(one => one.id === id ? { ...one, box } : one) }),
    chosen: id => choose(id),
  });

  // --- which image ---
  async function load(from, count) {
    const found = await local("gallery", { project: project.arn, filter, revision, offset: Math.max(0, from), limit: count });
    revision = found.revision; total = found.total;
    found.entries.forEach((one, offset) => entries.set(Math.max(0, from) + offset, one));
  }
  async function go(to) {
    if (to < 0 || (total && to >= total)) return;
    if (!entries.has(to)) await load(to - BEHIND, BEHIND + AHEAD + 1);
    if (left) return;
    index = to;
    entry = entries.get(to) ?? null;
    last = sheet ?? last;
    chosen = null;
    if (!entry) { sheet = null; stage.picture.replaceChildren(); show(); return; }
    sheet = desk.sheet(entry);
    const { image, ready } = pictures.of(entry), own = sheet;
    const isThere = await ready;
    if (sheet !== own || left) return;
    if (isThere) stage.put(image); else stage.picture.replaceChildren(make("p", { class: "gone" }, texts.noPicture));
    history.replaceState(null, "", `#/p/${encodeURIComponent(name)}/label/${index}?${query}`);
    show();
    ahead().catch(() => {});
  }
  /** Have what comes next before it is asked for. */
  async function ahead() {
    const from = index + 1;
    if (!entries.has(Math.min(from + AHEAD, total - 1))) await load(from, 2 * AHEAD);
    for (let next = from; next < from + AHEAD; next++) if (entries.get(next)) pictures.of(entries.get(next));
    for (const key of entries.keys()) if (Math.abs(key - index) > 200) entries.delete(key);
  }
  async function unlabeled() {
    const found = await local("next", { project: project.arn, filter, revision, after: index });
    if (found.index === null) note(texts.empty); else await go(found.index);
  }
  /** Show the image that a sheet is of, if it is another one. */
  async function open(which) {
    if (which === sheet) { choose(null); return; }
    for (const [key, one] of entries) if (one && one.dataset === which.dataset && one.position === which.position) { await go(key); return; }
  }

  // --- what is said of it ---
  const change = part => desk.edit(sheet, { labels: sheet.state.labels, boxes: sheet.state.boxes, line: null, ...part });
  function addBox(box) {
    if (active === null) { note(texts.needsLabel); side.querySelector("input").focus(); return; }
    if (sheet.state.boxes.length >= MOST_BOXES) { note(texts.tooMany); return; }
    const one = newBox(active, box);
    change({ boxes: [...sheet.state.boxes, one] });
    choose(one.id);
  }
  function choose(id) { chosen = id; show(); }
  const box = () => sheet?.state.boxes.find(one => one.id === chosen);
  function label(which) {
    if (which === undefined || !sheet) return;
    active = which;
    if (mode === "image") {
      const has = sheet.state.labels.includes(which);
      change({ labels: has ? sheet.state.labels.filter(one => one !== which) : [...sheet.state.labels, which] });
    } else if (box() && box().label !== which) change({ boxes: sheet.state.boxes.map(one => one.id === chosen ? { ...one, label: which } : one) });
    show();
  }
  function nudge(key, isResizing) {
    const [w, h] = stage.size, [dx, dy] = STEPS[key], by = [dx / w, dy / h];
    const next = isResizing ? resized(box().box, [1, 1], by, stage.size) : moved(box().box, by);
    change({ boxes: sheet.state.boxes.map(one => one.id === chosen ? { ...one, box: next } : one) });
  }
  function copyLast() {
    if (!last || last === sheet) return;
    change({ labels: [...new Set([...sheet.state.labels, ...last.state.labels])],
      boxes: [...sheet.state.boxes, ...last.state.boxes.map(one => newBox(one.label, one.box))].slice(0, MOST_BOXES) });
  }
  function remove() { const id = chosen; chosen = null; change({ boxes: sheet.state.boxes.filter(one => one.id !== id) }); }
  function nextBox(step) {
    const all = sheet.state.boxes, at = all.findIndex(one => one.id === chosen);
    if (all.length) choose(all[(at + step + all.length) % all.length].id);
  }
  function settle(which, theirs) {
    const done = isMine => { dialog.close(); desk.settle(which, theirs, isMine); show(); };
    const picture = state => {
      const svg = overlay();
      svg.fit(...stage.size);
      svg.boxes(state.boxes, colours);
      return make("div", { class: "shot" }, make("img", { src: pictureUrl(which), alt: "" }), svg);
    };
    const side = (title, state) => make("figure", {}, make("figcaption", {}, title), picture(state),
      make("p", {}, [...state.labels, ...state.boxes.map(one => one.label)].join(", ") || texts.noLabel));
    const dialog = make("dialog", { class: "conflict" }, make("h2", {}, texts.conflict),
      ...(theirs ? [make("div", { class: "two" }, side(texts.mine, which.state), side(texts.theirs, theirs)),
        make("p", { class: "row" }, make("button", { type: "button", onclick: () => done(true) }, texts.keepMine),
          make("button", { type: "button", onclick: () => done(false) }, texts.takeTheirs))]
        : [make("p", {}, texts.gone), make("button", { type: "button", onclick: () => done(false) }, "OK")]));
    dialog.addEventListener("cancel", event => event.preventDefault());
    dialog.addEventListener("close", () => dialog.remove());
    node.append(dialog);
    dialog.showModal();
  }

  // --- what is shown ---
  const where = make("span", { class: "count" }), state = make("span", { class: "saved", role: "status" }), file = make("small");
  const button = (text, key, act) => make("button", { type: "button", title: `${text} (${key})`, "aria-label": text, onclick: act }, key);
  const modes = make("div", { class: "row", role: "group", "aria-label": texts.labels },
    ...[["boxes", texts.boxes], ["image", texts.wholeImage]].map(([value, text]) => make("button", { type: "button", "data-mode": value, onclick: () => setMode(value) }, text)));
  const list = make("ul", { class: "labels" });
  const input = make("input", { "aria-label": texts.newLabel, placeholder: texts.newLabel, maxlength: 255, autocomplete: "off" });
  const side = make("aside", {}, make("p", { class: "row" }, where, state), file, modes, list,
    make("form", { class: "row", onsubmit: event => {
      event.preventDefault();
      const text = input.value.trim();
      if (!text) return;
      colours.of(text);
      input.value = "";
      input.blur();
      label(text);
      stage.node.focus();
    } }, input, make("button", {}, texts.addLabel)));
  const tools = make("div", { class: "row tools", role: "toolbar", "aria-label": texts.keys },
    button(texts.previous, "←", () => go(index - 1).catch(failed)), button(texts.next, "→", () => go(index + 1).catch(failed)),
    button(texts.nextUnlabeled, "N", () => unlabeled().catch(failed)), button(texts.undo, "Z", () => step("undo")), button(texts.redo, "⇧Z", () => step("redo")),
    button(texts.fit, "0", () => stage.fit()), button(texts.keys, "?", () => help.showModal()));
  const help = make("dialog", {}, make("h2", {}, texts.keys),
    make("dl", {}, ...texts.keyList.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)])),
    make("form", { method: "dialog" }, make("button", {}, "OK")));
  const node = make("section", { class: "labeller" }, make("div", { class: "desk" }, tools, stage.node), side, help);

  function setMode(value) { mode = value; query.set("mode", value); chosen = null; show(); }
  function step(which) {
    const found = which === "undo" ? desk.undo() : desk.redo();
    if (found) open(found).catch(failed);
  }
  function show() {
    stage.canDraw = mode === "boxes";
    for (const one of modes.children) one.setAttribute("aria-pressed", String(one.dataset.mode === mode));
    where.textContent = total ? texts.position(index + 1, total) : texts.empty;
    file.textContent = sheet ? sheet.source_ref.split("/").pop() : total ? texts.gone : "";
    const unsaved = desk.unsaved;
    state.textContent = unsaved ? (desk.isLost ? texts.queued(unsaved) : texts.saving) : sheet ? texts.saved : "";
    state.dataset.state = unsaved ? (desk.isLost ? "lost" : "saving") : "saved";
    const counts = new Map();
    for (const one of sheet?.state.boxes ?? []) counts.set(one.label, (counts.get(one.label) ?? 0) + 1);
    list.replaceChildren(...colours.names.map((one, number) => {
      const isGiven = sheet?.state.labels.includes(one), count = counts.get(one);
      const swatch = make("i");
      swatch.style.background = colours.of(one);
      return make("li", {}, make("button", { type: "button", "aria-pressed": String(mode === "image" ? Boolean(isGiven) : one === active), onclick: () => label(one) },
        make("kbd", {}, number < 9 ? String(number + 1) : ""), swatch, make("span", {}, one), make("small", {}, [isGiven ? "✓" : "", count ? `×${count}` : ""].join(" ").trim())));
    }));
    stage.show(sheet?.state.boxes ?? [], chosen, colours);
  }

  // --- keys ---
  function press(event) {
    if (event.target.matches?.("input, select, textarea") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = meant(event);
    if (!act) return;
    event.preventDefault();
    act();
  }
  function meant(event) {
    const { key } = event;
    if (/^[1-9]$/.test(key)) return () => label(colours.names[Number(key) - 1]);
    if (key in STEPS && box()) return () => nudge(key, event.shiftKey);
    // A button that has the focus is for the space key.
    if (key === " " && event.target.matches?.("button, a")) return undefined;
    return {
      " ": () => go(index + 1).catch(failed), ArrowRight: () => go(index + 1).catch(failed), ArrowLeft: () => go(index - 1).catch(failed),
      n: () => unlabeled().catch(failed), z: () => step("undo"), Z: () => step("redo"), "0": () => stage.fit(), "+": () => stage.zoom(1.25), "=": () => stage.zoom(1.25), "-": () => stage.zoom(.8),
      b: () => setMode(mode === "boxes" ? "image" : "boxes"), "?": () => help.showModal(),
      ...(sheet && { c: copyLast }),
      ...(mode === "boxes" && sheet?.state.boxes.length && event.target === stage.node && { Tab: () => nextBox(event.shiftKey ? -1 : 1) }),
      ...(box() && { Delete: remove, Backspace: remove, d: () => addBox(moved(box().box, [.02, .02])), Escape: () => choose(null) }),
      ...(!box() && { Escape: () => { location.hash = `#/p/${encodeURIComponent(name)}?${query}`; } }),
    }[key];
  }
  addEventListener("keydown", press);
  await load(first - BEHIND, BEHIND + AHEAD + 1);
  return {
    node,
    entered() { stage.node.focus({ preventScroll: true }); go(Math.min(first, Math.max(0, total - 1))).catch(failed); },
    leave() { left = true; removeEventListener("keydown", press); stage.leave(); desk.leave(); },
  };
}
