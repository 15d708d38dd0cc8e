// Pictures that are dropped or chosen: sent a few at a time, and told how it went.
import { make } from "/pages/drawing.js";
import { local, upload } from "./server.js";
import { dropZone } from "./dropped.js";
import { note } from "./notes.js";
import { texts } from "./texts.js";

const AT_ONCE = 4, BATCH = 50;

/** @param {Project} project @param {() => void} changed */
export function adder(project, changed) {
  const input = make("input", { type: "file", multiple: true, accept: "image/jpeg,image/png", hidden: true,
    onchange: () => { add([...input.files ?? []]); input.value = ""; } });
  const said = make("span", { role: "status" });
  const node = make("p", { class: "row adder" }, texts.dropHere,
    make("button", { type: "button", onclick: () => input.click() }, texts.choose), input, said);
  let busy = Promise.resolve();
  const part = "TRAIN";

  const add = (/** @type {File[]} */ files) => { busy = busy.then(() => sent(files)); return busy; };
  async function sent(/** @type {File[]} */ files) {
    const /** @type {string[]} */ refused = [], /** @type {string[]} */ refs = [];
    let next = 0, done = 0, created = 0, known = 0, /** @type {Error | null} */ broken = null;
    const tell = () => { said.textContent = texts.adding(done, files.length); };
    async function enter(/** @type {boolean} */ force) {
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
  return { node, ...dropZone((files, unread) => {
    if (unread.length) note(texts.refused(unread.length, `${unread[0]}: ${texts.unread}`), { seconds: 0 });
    add(files.map(one => one.file));
  }) };
}
