// Files that are dropped onto a page, those of folders too.

const isFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");

/** All files of what was dropped, each with its path; and paths of what can't be read. @param {DataTransfer} transfer */
async function filesOf(transfer) {
  const roots = [...transfer.items].map(item => item.webkitGetAsEntry?.()).filter(one => !!one);
  if (!roots.length) return { files: [...transfer.files].map(file => ({ file, path: file.name })), unread: [] };
  const /** @type {Brought[]} */ files = [], /** @type {string[]} */ unread = [];
  async function walk(/** @type {FileSystemEntry} */ entry) {
    const path = entry.fullPath.replace(/^\/+/, "");
    if (entry.isFile) {
      /** @type {File | null} */
      const file = await new Promise(done => /** @type {FileSystemFileEntry} */ (entry).file(done, () => done(null)));
      if (file) files.push({ file, path }); else unread.push(path);
      return;
    }
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    for (;;) {
      /** @type {FileSystemEntry[] | null} */
      const some = await new Promise(done => reader.readEntries(done, () => done(null)));
      if (!some) unread.push(path);
      if (!some?.length) return;
      for (const one of some) await walk(one);
    }
  }
  for (const root of roots) await walk(root);
  return { files, unread };
}

/** Hears what is dropped onto a place. @param {(files: Brought[], unread: string[]) => void} take */
export function dropZone(take) {
  let /** @type {HTMLElement | null} */ place = null;
  /** @type {["dragover" | "dragleave" | "drop", (event: DragEvent) => void][]} */
  const heard = [
    ["dragover", event => { if (isFiles(event)) document.body.classList.add("dropping"); }],
    ["dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); }],
    ["drop", async event => {
      document.body.classList.remove("dropping");
      if (!event.dataTransfer || !isFiles(event)) return;
      const { files, unread } = await filesOf(event.dataTransfer);
      take(files, unread);
    }],
  ];
  return {
    listen(/** @type {HTMLElement} */ where) { place = where; for (const [kind, hear] of heard) where.addEventListener(kind, hear); },
    leave() { for (const [kind, hear] of heard) place?.removeEventListener(kind, hear); },
  };
}
