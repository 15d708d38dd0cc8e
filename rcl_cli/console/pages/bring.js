// Labelled images that people have: a folder or an export, sent file by file, looked at as a whole, and imported.
import { make } from "/pages/drawing.js";
import { local, uploadTo } from "./server.js";
import { dropZone } from "./dropped.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const AT_ONCE = 4, EVERY_MS = 300, LABELS_SHOWN = 12;
// What file managers leave in folders.
const isWanted = (/** @type {Brought} */ { path }) => !path.split("/").some(one => one.startsWith(".") || one === "__MACOSX" || one === "Thumbs.db");
const pause = () => new Promise(done => setTimeout(done, EVERY_MS));

/** A name that a project can have, of a folder's. @param {Brought[]} files */
function nameFrom(files) {
  const [first, ...rest] = files[0].path.split("/");
  const isFolder = rest.length && files.every(one => one.path.startsWith(`${first}/`));
  return isFolder ? first.normalize("NFKD").replace(/[^\w.-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 255) : "";
}

async function bring(/** @type {Brought[]} */ every, /** @type {string[]} */ unread) {
  const files = every.filter(isWanted);
  if (!files.length) { note(unread.length ? `${unread[0]}: ${texts.unread}` : texts.nothingDropped); return; }
  const { folder, formats, plain } = await local("bring", {});
  const broken = new AbortController();
  let isImporting = false;
  const said = make("p", { role: "status" }), bar = make("progress", { "aria-label": texts.bring }), body = make("div");
  /** @type {HTMLDialogElement} */
  const dialog = make("dialog", { class: "bring" }, make("h2", { tabindex: "-1", autofocus: true }, texts.bring), said, bar, body,
    make("p", { class: "row" }, make("button", { type: "button", onclick: () => dialog.close() }, texts.close)));
  dialog.addEventListener("close", () => {
    dialog.remove();
    broken.abort();
    if (!isImporting) local("bring-end", { folder }).catch(() => {});
  });
  document.body.append(dialog);
  dialog.showModal();

  const refused = unread.map(path => `${path}: ${texts.unread}`);
  async function send() {
    let next = 0, done = 0;
    const tell = () => { said.textContent = texts.bringing(done, files.length); bar.max = files.length; bar.value = done; };
    async function sender() {
      while (next < files.length && !broken.signal.aborted) {
        const { file, path } = files[next++];
        try {
          await uploadTo(folder, path, file, broken.signal);
        } catch (error) {
          // Without the server all others would fail in the same way.
          if (!error.code || error.code === "ResourceNotFoundException") throw error;
          refused.push(`${path}: ${error.message}`);
        }
        done++; tell();
      }
    }
    tell();
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
  }

  // --- what it is ---
  /** @type {HTMLSelectElement} */
  const select = make("select", { "aria-label": texts.format, onchange: () => look(select.value).catch(failed) },
    ...formats.map(one => make("option", { value: one.name }, one.summary)), make("option", { value: plain }, texts.onlyPictures));
  const project = make("input", { "aria-label": texts.projectName, placeholder: texts.projectName, required: true, maxlength: 255, value: nameFrom(files) });
  const button = make("button", {}, texts.import);
  const form = make("form", { class: "row", onsubmit: event => { event.preventDefault(); imported().catch(failed); } }, select, project, button);

  function contents(/** @type {Look["parts"]} */ parts) {
    const rows = Object.entries(parts).map(([part, { images, unlabelled, boxes, labels, all_labels: all }]) => {
      const shown = labels.slice(0, LABELS_SHOWN).map(([name, count]) => `${name} (${count.toLocaleString("en")})`);
      return make("tr", {}, make("th", {}, texts.parts[/** @type {Part} */ (part.toUpperCase())]), make("td", {}, images.toLocaleString("en")), make("td", {}, unlabelled.toLocaleString("en")),
        make("td", {}, boxes.toLocaleString("en")), make("td", {}, [...shown, ...(all > shown.length ? [texts.andMore(all - shown.length)] : [])].join(", ")));
    });
    return make("table", {}, make("thead", {}, make("tr", {}, ...texts.bringColumns.map(one => make("th", {}, one)))), make("tbody", {}, ...rows));
  }
  const leftOut = (/** @type {string[]} */ notes) => notes.length ? [make("h3", {}, texts.leftOutTitle), make("ul", {}, ...notes.map(one => make("li", {}, one)))] : [];

  /** @param {string} [wanted] */
  async function look(wanted) {
    said.textContent = texts.looking;
    bar.removeAttribute("value");
    bar.hidden = false;
    button.disabled = true;
    /** @type {Look} */
    const found = wanted === plain ? { format: plain, parts: {}, pictures: 0, notes: [], trouble: "" } : await local("bring-look", { folder, format: wanted ?? "" }, broken.signal);
    bar.hidden = true;
    if (!found.format && wanted === undefined && found.pictures) {
      // Pictures can be labelled here.
      select.value = plain;
      said.textContent = texts.noFormat;
    } else {
      select.value = found.format || (wanted ?? "");
      said.textContent = found.format === plain ? texts.plainHint : found.format ? texts.understood(formats.find(one => one.name === found.format)?.summary ?? found.format) : "";
    }
    button.disabled = !found.format && select.value !== plain;
    body.replaceChildren(...(found.trouble ? [make("p", { class: "why" }, found.trouble)] : []), ...(Object.keys(found.parts).length ? [contents(found.parts)] : []),
      ...leftOut([...refused, ...found.notes]), form);
  }

  // --- into datasets ---
  async function imported() {
    const name = project.value.trim();
    button.disabled = true;
    try {
      await local("bring-import", { folder, project: name, format: select.value });
    } catch (error) { button.disabled = false; throw error; }
    isImporting = true;
    form.remove();
    bar.hidden = false;
    for (;;) {
      try {
        const work = await local("bring-progress", { folder });
        if (!work || work.is_over) { over(work ?? { trouble: texts.importLost, notes: [] }, name); return; }
        said.textContent = work.what ? texts.importing(work.what, work.done) : texts.looking;
      } catch (error) {
        // The server comes back; one that was started again knows of nothing.
        if (error.code) { over({ trouble: error.message, notes: [] }, name); return; }
        said.textContent = error.message;
      }
      await pause();
    }
  }
  /** @param {{ trouble: string, notes: string[] }} work @param {string} name */
  function over(work, name) {
    isImporting = false;
    bar.hidden = true;
    if (work.trouble) {
      said.textContent = "";
      button.disabled = false;
      body.replaceChildren(make("p", { class: "why" }, work.trouble), ...leftOut(work.notes), form);
      if (!dialog.open) { note(texts.notImported(work.trouble), { seconds: 0 }); local("bring-end", { folder }).catch(() => {}); }
      return;
    }
    if (work.notes.length) note(texts.importedBut(name, work.notes.join(" · ")), { seconds: 0 });
    else note(texts.imported(name));
    if (dialog.open) { dialog.close(); location.hash = `#/p/${encodeURIComponent(name)}`; } else local("bring-end", { folder }).catch(() => {});
  }

  try {
    await send();
    if (!broken.signal.aborted) await look(undefined);
  } catch (error) {
    if (dialog.open) dialog.close();
    throw error;
  }
}

export function bringer() {
  const input = make("input", { type: "file", webkitdirectory: true, hidden: true, "aria-label": texts.chooseFolder, onchange: () => {
    const files = [...input.files ?? []].map(file => ({ file, path: file.webkitRelativePath || file.name }));
    input.value = "";
    bring(files, []).catch(failed);
  } });
  const zone = dropZone((files, unread) => bring(files, unread).catch(failed));
  const node = make("p", { class: "row adder" }, texts.bringHere, make("button", { type: "button", onclick: () => input.click() }, texts.chooseFolder), input);
  return { node, ...zone };
}
