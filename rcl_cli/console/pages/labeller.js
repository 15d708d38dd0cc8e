// One image after the other, by mouse and keys.
import { make } from "/pages/drawing.js";
import { filterOf, local, pictureUrl, projectNamed } from "./server.js";
import { Colours, overlay } from "./boxes.js";
import { desk, newBox, tick } from "./sheets.js";
import { Prelabels } from "./prelabels.js";
import { Stage, moved, resized } from "./stage.js";
import { failed, note, say } from "./notes.js";
import { texts } from "./texts.js";

const AHEAD = 4, BEHIND = 2, MOST_BOXES = 50;
/** @type {Record<string, Pair>} */
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The pictures around the one that is shown, decoded before they are asked for. */
class Pictures {
  /** @type {Map<string, { image: HTMLImageElement, ready: Promise<boolean> }>} */
  kept = new Map();
  of(/** @type {Place} */ entry) {
    const url = pictureUrl(entry);
    let found = this.kept.get(url);
    if (!found) {
      const image = make("img", { src: url, alt: "", decoding: "sync" });
      found = { image, ready: image.decode().then(() => true, () => { this.kept.delete(url); return false; }) };
      this.kept.set(url, found);
      if (this.kept.size > 12) this.kept.delete(/** @type {string} */ (this.kept.keys().next().value));
    }
    return found;
  }
}

/** @param {string} name @param {number} first @returns {Promise<View>} */
export async function labeller(name, first) {
  const project = await projectNamed(name);
  const known = project.labels;
  const colours = new Colours(known);
  const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const filter = filterOf(query);
  const pictures = new Pictures(), /** @type {Map<number, Entry | null>} */ entries = new Map();
  let revision = query.get("at") ?? "", total = 0, index = first, left = false;
  let /** @type {Sheet | null} */ sheet = null, /** @type {Sheet | null} */ last = null, /** @type {number | null} */ chosen = null;
  let mode = query.get("mode") ?? (known.some(one => one.boxes) || !known.length ? "boxes" : "image");
  let /** @type {string | null} */ active = colours.names[0] ?? null;
  // Images that were asked for and are not there yet, and keys pressed meanwhile.
  let /** @type {Promise<void> | null} */ arriving = null, coming = 0, hasArrived = false;
  const /** @type {KeyboardEvent[]} */ early = [];

  query.delete("at");

  const stage = new Stage({
    drawn: box => addBox(box),
    moved: (id, box) => alter(id, { box }),
    chosen: id => choose(id),
    accepted: ghost => accept([ghost]),
  });
  const prelabels = new Prelabels(project, query.get("model"), () => show(), which => {
    if (which) query.set("model", which); else query.delete("model");
    if (sheet) prelabels.want(sheet);
  });

  // --- which image ---
  /** @param {number} from @param {number} count */
  async function load(from, count) {
    const asked = tick(), offset = Math.max(0, from);
    const found = await local("gallery", { project: project.arn, filter, revision, offset, limit: count });
    if (revision && found.revision !== revision) {
      // The server was started again, say: the order is a new one, in which each has another place.
      entries.clear();
      note(texts.newOrder);
    }
    revision = found.revision; total = found.total;
    found.entries.forEach((one, number) => { entries.set(offset + number, one); if (one) desk.refresh(one, asked); });
  }
  /** Show another image. Until it is there, nothing can be said of any, and keys wait. @param {number} to */
  function go(to) {
    if (to < 0 || (total && to >= total) || stage.isHeld) return Promise.resolve();
    stage.isLocked = true;
    arriving = (arriving ?? Promise.resolve()).catch(() => {}).then(() => arrive(to)).finally(() => {
      if (--coming) return;
      arriving = null; stage.isLocked = false;
      for (const event of early.splice(0)) press(event);
    });
    coming++;
    return arriving;
  }
  async function arrive(/** @type {number} */ to) {
    if (left) return;
    if (!entries.has(to)) await load(to - BEHIND, BEHIND + AHEAD + 1);
    const next = entries.get(to) ?? null, picture = next && pictures.of(next);
    const isThere = picture && await picture.ready;
    if (left) return;
    last = sheet ?? last;
    [index, sheet, chosen, hasArrived] = [to, next && desk.sheet(next), null, true];
    if (isThere) stage.put(picture.image);
    else stage.picture.replaceChildren(...(next ? [make("p", { class: "gone" }, texts.noPicture)] : []));
    history.replaceState(null, "", `#/p/${encodeURIComponent(name)}/label/${index}?${query}`);
    if (sheet) prelabels.want(sheet);
    show();
    ahead().catch(() => {});
  }
  /** Have what comes next before it is asked for. */
  async function ahead() {
    const from = index + 1;
    if (!entries.has(Math.min(from + AHEAD, total - 1))) await load(from, 2 * AHEAD);
    for (let next = from; next < from + AHEAD; next++) {
      const one = entries.get(next);
      if (one) { pictures.of(one); prelabels.want(one); }
    }
    for (const key of entries.keys()) if (Math.abs(key - index) > 200) entries.delete(key);
  }
  async function unlabeled() {
    const found = await local("next", { project: project.arn, filter, revision, after: index });
    if (found.index === null) note(texts.empty); else await go(found.index);
  }
  /** Show the image that a sheet is of, if it is another one. @param {Sheet} which */
  async function open(which) {
    if (which === sheet) { choose(null); return; }
    const place = { dataset: which.dataset, position: which.position };
    const found = await local("where", { project: project.arn, filter, revision, ...place });
    if (found.index === null) note(texts.changedUnseen(which.source_ref.split("/").pop())); else await go(found.index);
  }

  // --- what is said of it ---
  const change = (/** @type {Edit} */ part) => { if (sheet) desk.edit(sheet, part); };
  const own = () => sheet?.state.boxes ?? [];
  /** Change a box. @param {number | null} id @param {Partial<OwnBox>} part */
  const alter = (id, part) => change({ boxes: own().map(one => one.id === id ? { ...one, ...part } : one) });
  function addBox(/** @type {Box} */ box) {
    // Where the image is gone there is nothing to draw on.
    if (!sheet) return;
    if (active === null) { note(texts.needsLabel); input.focus(); return; }
    if (own().length >= MOST_BOXES) { note(texts.tooMany); return; }
    const one = newBox(active, box);
    change({ boxes: [...own(), one] });
    choose(one.id);
  }
  function choose(/** @type {number | null} */ id) { chosen = id; show(); }
  const box = () => own().find(one => one.id === chosen);
  function label(/** @type {string | undefined} */ which) {
    if (which === undefined || !sheet) return;
    active = which;
    if (mode === "image") {
      const has = sheet.state.labels.includes(which);
      change({ labels: has ? sheet.state.labels.filter(one => one !== which) : [...sheet.state.labels, which] });
    } else if (box() && box()?.label !== which) alter(chosen, { label: which });
    show();
  }
  /** @param {string} key @param {boolean} isResizing */
  function nudge(key, isResizing) {
    const [w, h] = stage.size, [dx, dy] = STEPS[key], one = box();
    /** @type {Pair} */
    const by = [dx / w, dy / h];
    if (one) alter(one.id, { box: isResizing ? resized(one.box, [1, 1], by, stage.size) : moved(one.box, by) });
  }
  function copyLast() {
    if (!sheet || !last || last === sheet) return;
    change({ labels: [...new Set([...sheet.state.labels, ...last.state.labels])],
      boxes: [...sheet.state.boxes, ...last.state.boxes.map(one => newBox(one.label, one.box))].slice(0, MOST_BOXES) });
  }
  const offered = () => sheet ? prelabels.ghosts(sheet, sheet.state).sort((a, b) => b.score - a.score) : [];
  /** Take what a model offers. @param {Ghost[]} ghosts */
  function accept(ghosts) {
    if (!sheet || !ghosts.length || sheet.isDisputed) return;
    const boxes = ghosts.filter(one => one.box !== null), room = MOST_BOXES - sheet.state.boxes.length;
    if (boxes.length > room) note(texts.tooMany);
    for (const one of ghosts) colours.of(one.label);
    change({ labels: [...new Set([...sheet.state.labels, ...ghosts.filter(one => !one.box).map(one => one.label)])],
      boxes: [...sheet.state.boxes, ...boxes.slice(0, room).map(one => newBox(one.label, one.box))] });
  }
  function remove() { const id = chosen; chosen = null; change({ boxes: own().filter(one => one.id !== id) }); }
  function nextBox(/** @type {1 | -1} */ step) {
    const all = own(), at = all.findIndex(one => one.id === chosen);
    if (all.length) choose(all[(at + step + all.length) % all.length].id);
  }
  /** @param {Sheet} which @param {Saved | null} theirs */
  function settle(which, theirs) {
    let isSettled = false;
    const done = (/** @type {boolean} */ isMine) => { isSettled = true; dialog.close(); dialog.remove(); desk.settle(which, theirs, isMine); };
    const picture = (/** @type {{ boxes: Labelled[] }} */ state) => {
      const svg = overlay();
      svg.fit(...stage.size);
      svg.boxes(state.boxes, colours);
      return make("div", { class: "shot" }, make("img", { src: pictureUrl(which), alt: "" }), svg);
    };
    /** @param {string} title @param {{ labels: string[], boxes: Labelled[] }} state */
    const side = (title, state) => make("figure", {}, make("figcaption", {}, title), picture(state),
      make("p", {}, [...state.labels, ...state.boxes.map(one => one.label)].join(", ") || texts.noLabel));
    // The heading has the focus: a key that is meant for the image must not choose.
    /** @type {HTMLDialogElement} */
    const dialog = make("dialog", { class: "conflict" }, make("h2", { tabindex: "-1", autofocus: true }, texts.conflict), make("p", {}, which.source_ref.split("/").pop()),
      ...(theirs ? [make("div", { class: "two" }, side(texts.mine, which.state), side(texts.theirs, theirs)),
        make("p", { class: "row" }, make("button", { type: "button", onclick: () => done(true) }, texts.keepMine),
          make("button", { type: "button", onclick: () => done(false) }, texts.takeTheirs))]
        : [make("p", {}, texts.gone), make("button", { type: "button", onclick: () => done(false) }, "OK")]));
    // Escape decides nothing.
    dialog.addEventListener("close", () => { if (!isSettled) dialog.showModal(); });
    document.body.append(dialog);
    dialog.showModal();
  }

  // --- what is shown ---
  const where = make("span", { class: "count" }), state = make("span", { class: "saved", role: "status" }), file = make("small");
  /** @param {string} text @param {string} key @param {() => unknown} act */
  const button = (text, key, act) => make("button", { type: "button", title: `${text} (${key})`, "aria-label": `${text} ${key}`, onclick: act }, key);
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
    } }, input, make("button", {}, texts.addLabel)), prelabels.node);
  const tools = make("div", { class: "row tools", role: "toolbar", "aria-label": texts.keys },
    button(texts.previous, "←", () => go(index - 1).catch(failed)), button(texts.next, "→", () => go(index + 1).catch(failed)),
    button(texts.nextUnlabeled, "N", () => unlabeled().catch(failed)), button(texts.undo, "Z", () => step("undo")), button(texts.redo, "⇧Z", () => step("redo")),
    button(texts.fit, "0", () => stage.fit()), button(texts.keys, "?", () => help.showModal()));
  /** @type {HTMLDialogElement} */
  const help = make("dialog", {}, make("h2", {}, texts.keys),
    make("dl", {}, ...texts.keyList.flatMap(([key, what]) => [make("dt", {}, key), make("dd", {}, what)])),
    make("form", { method: "dialog" }, make("button", {}, "OK")));
  const node = make("section", { class: "labeller" }, make("h1", { class: "unseen" }, `${name}: ${texts.labelling}`), make("div", { class: "desk" }, tools, stage.node), side, help);

  function setMode(/** @type {string} */ value) { mode = value; query.set("mode", value); chosen = null; show(); }
  function step(/** @type {"undo" | "redo"} */ which) {
    const found = which === "undo" ? desk.undo() : desk.redo();
    if (found) open(found).catch(failed);
  }
  function show() {
    stage.canDraw = mode === "boxes";
    for (const one of /** @type {Iterable<HTMLElement>} */ (modes.children)) one.setAttribute("aria-pressed", String(one.dataset.mode === mode));
    // Which one it is, once it is there: models that are known before have the page shown too.
    where.textContent = !total ? texts.empty : hasArrived ? texts.position(index + 1, total) : "";
    file.textContent = sheet ? sheet.source_ref.split("/").pop() : total && hasArrived ? texts.gone : "";
    const unsaved = desk.unsaved;
    state.textContent = unsaved ? (desk.isLost ? texts.queued(unsaved, desk.trouble) : texts.saving) : sheet ? texts.saved : "";
    state.dataset.state = unsaved ? (desk.isLost ? "lost" : "saving") : sheet ? "saved" : "";
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const one of own()) counts.set(one.label, (counts.get(one.label) ?? 0) + 1);
    for (const one of sheet?.state.labels ?? []) colours.of(one);
    const keys = new Map([...colours.byKey()].map(([key, one]) => [one, key]));
    list.replaceChildren(...colours.names.map(one => {
      const isGiven = sheet?.state.labels.includes(one), count = counts.get(one);
      const swatch = make("i");
      swatch.style.background = colours.of(one);
      return make("li", {}, make("button", { type: "button", "aria-pressed": String(mode === "image" ? Boolean(isGiven) : one === active), onclick: () => label(one) },
        make("kbd", {}, keys.get(one) ?? ""), swatch, make("span", {}, one), make("small", {}, [isGiven ? "✓" : "", count ? `×${count}` : ""].join(" ").trim())));
    }));
    const ghosts = offered();
    prelabels.show(ghosts, colours, accept);
    stage.show(own(), chosen, colours, ghosts.filter(one => one.box !== null));
  }

  // --- keys ---
  function press(/** @type {KeyboardEvent} */ event) {
    // Sliders and ticks have their own keys; letters go to the image.
    const on = /** @type {Element} */ (event.target);
    const isOwn = on.matches?.("[type=range]") ? event.key in STEPS : on.matches?.("[type=checkbox]") ? event.key === " " : on.matches?.("input, select, textarea");
    if (isOwn || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (stage.isHeld) return;
    if (arriving && event.key !== "Escape") { event.preventDefault(); early.push(event); return; }
    const act = meant(event);
    if (!act) return;
    event.preventDefault();
    // A key that is held goes on or moves; it does not give and take.
    if (!event.repeat || event.key === " " || event.key.startsWith("Arrow") || event.key === "Tab") act();
  }
  function meant(/** @type {KeyboardEvent} */ event) {
    const { key } = event, on = /** @type {Element} */ (event.target), here = sheet, one = box();
    if (/^[1-9]$/.test(key)) return () => label(colours.byKey().get(key));
    if (key in STEPS && one) return () => nudge(key, event.shiftKey);
    // A button that has the focus is for the space key.
    if (key === " " && on.matches?.("button, a")) return undefined;
    return /** @type {Record<string, () => unknown>} */ ({
      " ": () => go(index + 1).catch(failed), ArrowRight: () => go(index + 1).catch(failed), ArrowLeft: () => go(index - 1).catch(failed),
      n: () => unlabeled().catch(failed), z: () => step("undo"), Z: () => step("redo"), "0": () => stage.fit(), "+": () => stage.zoom(1.25), "=": () => stage.zoom(1.25), "-": () => stage.zoom(.8),
      b: () => setMode(mode === "boxes" ? "image" : "boxes"), "?": () => help.showModal(),
      ...(sheet && { c: copyLast }),
      ...(here && offered().length && { a: () => accept(offered()), x: () => prelabels.leave(here), ...(!on.matches?.("button, a") && { Enter: () => accept(offered().slice(0, 1)) }) }),
      ...(mode === "boxes" && own().length && event.target === stage.node && { Tab: () => nextBox(event.shiftKey ? -1 : 1) }),
      ...(one && { Delete: remove, Backspace: remove, d: () => addBox(moved(one.box, [.02, .02])), Escape: () => choose(null) }),
      ...(!one && { Escape: () => { location.hash = query.get("back") ?? `#/p/${encodeURIComponent(name)}?${query}`; } }),
    })[key];
  }
  /** Edits that still wait when this view is left are told in the header. */
  function tellElsewhere() {
    const unsaved = desk.unsaved;
    say(unsaved ? (desk.isLost ? texts.queued(unsaved, desk.trouble) : texts.saving) : "");
  }
  await load(first - BEHIND, BEHIND + AHEAD + 1);
  return {
    node,
    entered() {
      desk.changed = show; desk.conflict = settle;
      desk.refused = (which, error) => note(`${which.source_ref.split("/").pop()}: ${texts.notSaved(error.message)}`, { seconds: 0 });
      addEventListener("keydown", press);
      stage.node.focus({ preventScroll: true });
      prelabels.offer().catch(() => {});
      go(Math.min(first, Math.max(0, total - 1))).catch(failed);
    },
    leave() { left = true; desk.changed = tellElsewhere; tellElsewhere(); removeEventListener("keydown", press); stage.leave(); },
  };
}
