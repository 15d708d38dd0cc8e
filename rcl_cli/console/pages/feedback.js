// Pictures from work, one after the other: is what the model says right? What people say of it goes into the training set.
import { make } from "/pages/drawing.js";
import { feedbackUrl, invoke, local, nameOf, projectNamed, sendList, upload } from "./server.js";
import { Colours, overlay } from "./boxes.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const /** @type {QueueState[]} */ STATES = ["WAITING", "WRONG", "RIGHT", "CORRECTED"], AHEAD = 8, EVERY_MS = 700;

/** @param {string} name @returns {Promise<View>} */
export async function feedback(name) {
  const project = await projectNamed(name), base = `#/p/${encodeURIComponent(name)}`;
  const colours = new Colours(project.labels), query = new URLSearchParams(location.hash.split("?")[1] ?? "");
  let state = STATES.find(one => one === query.get("state")) ?? "WAITING", /** @type {Queued[]} */ items = [], offset = 0, busy = false, left = false, timer = 0, asked = 0, bringing = Promise.resolve();

  // --- the queue ---
  const tabs = new Map(STATES.map(one => [one, make("button", { type: "button", onclick: () => { state = one; offset = 0; load().catch(failed); } })]));
  const shot = make("div", { class: "shot large" }), said = make("ul"), about = make("dl"), empty = make("p", { hidden: true });
  /** @param {Verdict} verdict @param {string} key */
  const button = (verdict, key) => make("button", { type: "button", class: `verdict ${verdict.toLowerCase()}`, onclick: () => say(verdict).catch(failed) }, make("kbd", {}, key), ` ${texts.verdicts[verdict]}`);
  const verdicts = make("p", { class: "row", role: "group", "aria-label": texts.isItRight }, button("RIGHT", "R"), button("WRONG", "W"), button("CORRECTED", "C"));
  const one = make("div", { class: "trial", hidden: true }, make("div", {}, shot), make("div", {}, verdicts, make("h3", {}, texts.modelSays), said, about));

  async function load() {
    // Until it is there nothing is judged; of several, the last one that was asked for counts.
    const own = ++asked;
    busy = true;
    try {
      const found = await local("feedback", { project: project.arn, state, offset, limit: AHEAD });
      if (left || own !== asked) return;
      if (!found.items.length && offset) { offset = Math.max(0, found.counts[state] - 1); await load(); return; }
      take(found);
    } finally { if (own === asked) busy = false; }
  }
  function take(/** @type {Queue} */ found) {
    items = found.items;
    for (const [which, tab] of tabs) {
      tab.textContent = `${texts.states[which]} ${found.counts[which].toLocaleString("en")}`;
      tab.setAttribute("aria-pressed", String(which === state));
    }
    history.replaceState(null, "", `${base}/feedback${state === "WAITING" ? "" : `?state=${state}`}`);
    show();
  }
  function show() {
    const item = items[0];
    one.hidden = !item;
    empty.hidden = Boolean(item);
    empty.textContent = texts.nobodyWaits[state];
    if (!item) return;
    const image = make("img", { src: feedbackUrl(project, item), alt: item.source_ref.split("/").pop() }), svg = overlay();
    image.addEventListener("load", () => svg.fit(image.naturalWidth, image.naturalHeight));
    svg.boxes(item.boxes, colours);
    shot.replaceChildren(image, svg);
    /** @type {Map<string, number>} */
    const best = new Map();
    for (const [label, score] of item.scores) if (!best.has(label)) best.set(label, score);
    const claims = /** @type {[string, number | null][]} */ ([...item.labels.map(label => [label, best.get(label)]), ...item.boxes.map(({ label }) => [label, null])]);
    /** @type {Map<string, { n: number, score: number | null }>} */
    const counts = new Map();
    for (const [label, score] of claims) counts.set(label, { n: (counts.get(label)?.n ?? 0) + 1, score });
    said.replaceChildren(...(counts.size ? [...counts].map(([label, { n, score }]) => {
      const swatch = make("i");
      swatch.style.background = colours.of(label);
      return make("li", {}, swatch, make("span", {}, label), score === null ? `×${n}` : texts.percent(100 * score));
    }) : [make("li", {}, texts.nothingFound)]));
    about.replaceChildren(...[[texts.fileName, item.source_ref.split("/").pop()], [texts.origin, item.origin], [texts.model, item.version], [texts.unsureness, texts.percent(100 * item.unsureness)]]
      .flatMap(([title, value]) => [make("dt", {}, title), make("dd", {}, value)]));
    // A verdict is the queue's until it became an entry; that is changed where entries are.
    for (const verdict of /** @type {Iterable<HTMLButtonElement>} */ (verdicts.children)) verdict.disabled = item.state === "RIGHT" || item.state === "CORRECTED" || (item.state === "WRONG" && !verdict.matches(".corrected"));
    for (const next of items.slice(1, 4)) new Image().src = feedbackUrl(project, next);
  }
  async function say(/** @type {Verdict} */ verdict) {
    const item = items[0];
    if (!item || busy) return;
    busy = true;
    try {
      const { entry } = await local("feedback-verify", { project: project.arn, source_ref: item.source_ref, verdict, seen: item.version_arn });
      if (verdict === "CORRECTED" && entry) {
        const { queue } = await local("queue", { entries: [[entry.dataset, entry.position]] });
        location.hash = `${base}/label/0?${new URLSearchParams({ queue, back: location.hash, model: item.version.split("/").pop(), ...(item.boxes.length || !item.labels.length ? {} : { mode: "image" }) })}`;
        return;
      }
      items.shift();
      show();
      await load();
    } catch (error) {
      // Somebody else was faster, say: what is there now is shown.
      await load();
      throw error;
    } finally { busy = false; }
  }
  function press(/** @type {KeyboardEvent} */ event) {
    if (/** @type {Element} */ (event.target).matches?.("input, select, textarea") || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const verdict = /** @type {Record<string, Verdict | undefined>} */ ({ r: "RIGHT", w: "WRONG", c: "CORRECTED" })[event.key.toLowerCase()];
    /** @type {HTMLButtonElement | null | undefined} */
    const pressed = verdict && verdicts.querySelector(`.${verdict.toLowerCase()}`);
    if (verdict && pressed && !pressed.disabled && !one.hidden) { event.preventDefault(); say(verdict).catch(failed); }
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && (step > 0 ? items.length > 1 : offset > 0)) { event.preventDefault(); offset += step; load().catch(failed); }
  }

  // --- bringing pictures ---
  const running = make("p"), progress = make("span", { role: "status", class: "count" });
  const prefix = make("input", { "aria-label": texts.prefix, placeholder: "s3://bucket/prefix/", autocomplete: "off", required: true, pattern: "s3://.+" });
  const input = make("input", { type: "file", multiple: true, accept: "image/jpeg,image/png,.jsonl,.manifest", hidden: true, onchange: () => { bring([...input.files ?? []]).catch(failed); input.value = ""; } });
  const form = make("form", { class: "row", onsubmit: event => { event.preventDefault(); add([prefix.value.trim()]).catch(failed); } },
    texts.feedbackDrop, make("button", { type: "button", onclick: () => input.click() }, texts.choose), input, texts.orPrefix, prefix, make("button", {}, texts.addPrefix), progress);
  async function add(/** @type {string[]} */ sources) {
    await local("feedback-add", { project: project.arn, sources });
    await follow();
  }
  /** Tell how far it is, until it is over. */
  async function follow() {
    for (;;) {
      let told = null;
      try { told = await local("feedback-adding", { project: project.arn }); } catch (error) {
        // The server comes back, or was started again and knows of nothing.
        if (error.code) throw error;
      }
      if (left) return;
      if (told?.is_over) {
        progress.textContent = "";
        if (told.trouble) note(told.trouble, { seconds: 0 });
        else if ("added" in told) note(texts.feedbackAdded(told), { seconds: told.left_out ? 0 : 8 });
        await load();
        return;
      }
      if (told) progress.textContent = texts.askedAbout(told.done);
      await new Promise(done => { timer = setTimeout(done, EVERY_MS); });
    }
  }
  /** What comes while others are on their way waits for them. @param {File[]} files */
  function bring(files) {
    bringing = bringing.catch(() => {}).then(() => sent(files));
    return bringing;
  }
  const isList = (/** @type {File} */ file) => /\.(jsonl|manifest)$/i.test(file.name);
  async function sent(/** @type {File[]} */ every) {
    for (const file of every.filter(isList)) { await sendList(project.arn, file); await follow(); }
    const files = every.filter(file => !isList(file)), /** @type {string[]} */ refs = [], /** @type {string[]} */ refused = [];
    for (const file of files) {
      progress.textContent = texts.adding(refs.length + refused.length, files.length);
      try { refs.push((await upload(project.arn, file)).source_ref); } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
        if (!error.code) break;
      }
    }
    const missing = files.length - refs.length;
    if (missing) note(texts.refused(missing, refused[0] ?? ""), { seconds: 0 });
    progress.textContent = "";
    if (refs.length) await add(refs);
  }
  const drop = (/** @type {DragEvent} */ event) => { const files = [...(event.dataTransfer?.files ?? [])]; if (files.length) bring(files).catch(failed); };

  const { ProjectVersionDescriptions: all } = await invoke("DescribeProjectVersions", { ProjectArn: project.arn });
  const names = all.filter(one => one.Status === "RUNNING").map(nameOf);
  running.textContent = names.length ? texts.askedIs(names[0]) : texts.feedbackNeeds;
  await load();
  return {
    node: make("section", { class: "models" }, make("h1", {}, texts.feedback), make("p", {}, texts.feedbackWhat), running, form,
      make("p", { class: "row", role: "group", "aria-label": texts.feedback }, ...tabs.values()), empty, one),
    entered() {
      addEventListener("keydown", press); addEventListener("drop", drop);
      local("feedback-adding", { project: project.arn }).then(told => { if (!told.is_over) follow().catch(failed); }).catch(() => {});
    },
    leave() { left = true; clearTimeout(timer); removeEventListener("keydown", press); removeEventListener("drop", drop); },
  };
}
