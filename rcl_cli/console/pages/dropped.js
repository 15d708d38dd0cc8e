// Files that are dropped onto a page, those of folders too.

const isFiles = event => event.dataTransfer?.types.includes("Files");

/** All files of what was dropped, each with its path: [{ file, path }]. */
async function filesOf(transfer) {
  const roots = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.length) return [...transfer.files].map(file => ({ file, path: file.name }));
  const found = [];
  async function walk(entry) {
    if (entry.isFile) {
      const file = await new Promise(done => entry.file(done, () => done(new File([], entry.name))));
      found.push({ file, path: entry.fullPath.replace(/^\/+/, "") });
      return;
    }
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

/** Hears what is dropped onto a place: `take` is given [{ file, path }]. */
export function dropZone(take) {
  let place = null;
  const heard = {
    dragover(event) { if (isFiles(event)) document.body.classList.add("dropping"); },
    dragleave(event) { if (!event.relatedTarget) document.body.classList.remove("dropping"); },
    async drop(event) {
      document.body.classList.remove("dropping");
      if (isFiles(event)) take(await filesOf(event.dataTransfer));
    },
  };
  return {
    listen(where) { place = where; for (const [kind, hear] of Object.entries(heard)) place.addEventListener(kind, hear); },
    leave() { for (const [kind, hear] of Object.entries(heard)) place?.removeEventListener(kind, hear); },
  };
}
