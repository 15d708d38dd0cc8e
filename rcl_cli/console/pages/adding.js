// Pictures that are dropped or chosen: sent a few at a time, and told how it went.
import { make } from "/pages/drawing.js";
import { local, upload } from "./server.js";
import { note } from "./notes.js";
import { texts } from "./texts.js";

const AT_ONCE = 4, BATCH = 50;

/** All files of what was dropped, those of folders too. */
async function filesOf(transfer) {
  const roots = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.length) return [...transfer.files];
  const found = [];
  async function walk(entry) {
    if (entry.isFile) { found.push(await new Promise(done => entry.file(done, () => done(new File([], entry.name))))); return; }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise(done => reader.readEntries(done, () => done([])));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  }
  for (const root of roots) await walk(root);
  return found;
}

export function adder(project, changed) {
  const input = make("input", { type: "file", multiple: true, accept: "image/jpeg,image/png", hidden: true,
    onchange: () => { add([...input.files]); input.value = ""; } });
  const said = make("span", { role: "status" });
  const node = make("p", { class: "row adder" }, texts.dropHere,
    make("button", { type: "button", onclick: () => input.click() }, texts.choose), input, said);
  let place = null, part = "TRAIN", busy = Promise.resolve();

  const add = files => { busy = busy.then(() => sent(files)); return busy; };
  async function sent(files) {
    const refused = [], refs = [];
    let next = 0, done = 0, created = 0, known = 0, broken = null;
    const tell = () => { said.textContent = texts.adding(done, files.length); };
    async function enter(force) {
      if (!refs.length || (!force && refs.length < BATCH)) return;
      const batch = refs.splice(0);
      let answer;
      try {
        answer = await local("add", { project: project.arn, part, source_refs: batch });
      } catch (error) {
        for (const ref of batch) refused.push(`${ref.split("/").pop()}: ${error.message}`);
        if (!error.code) broken = error;
        return;
      }
      created += answer.new; known += batch.length - answer.new;
      changed();
    }
    async function sender() {
      while (next < files.length && !broken) {
        const file = files[next++];
        try {
          refs.push((await upload(project.arn, file)).source_ref);
          await enter(false);
        } catch (error) {
          refused.push(`${file.name}: ${error.message}`);
          // Without the server all others would fail in the same way.
          if (!error.code) broken = error;
        }
        done++; tell();
      }
    }
    tell();
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
    await enter(true);
    said.textContent = texts.added(created, known);
    const missing = refused.length + (files.length - done);
    if (missing) note(texts.refused(missing, refused[0] ?? ""), { seconds: 0 });
  }
  function over(event) { if (event.dataTransfer?.types.includes("Files")) document.body.classList.add("dropping"); }
  function out(event) { if (!event.relatedTarget) document.body.classList.remove("dropping"); }
  async function drop(event) {
    document.body.classList.remove("dropping");
    if (event.dataTransfer?.types.includes("Files")) add(await filesOf(event.dataTransfer));
  }
  const heard = { dragover: over, dragleave: out, drop };
  return {
    node,
    listen(where) { place = where; for (const [kind, hear] of Object.entries(heard)) place.addEventListener(kind, hear); },
    leave() { for (const [kind, hear] of Object.entries(heard)) place?.removeEventListener(kind, hear); },
  };
}
