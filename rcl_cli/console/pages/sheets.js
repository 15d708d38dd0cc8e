// Edits of entries: saved at once, one after the other, undone and redone; what can't be sent waits and is told.
import { local, Unreachable } from "./server.js";

const AGAIN_MS = [500, 1000, 2000, 4000];
let lastId = 0;

/** A box on an image: shares of it, and an id that stays while it moves. */
export const newBox = (label, box) => ({ id: ++lastId, label, box });

/**
 * One entry as people edit it. A state is what is said of the image: { labels, boxes, line }, never changed, but that
 * `line` and `order` (ids of its boxes as the line has them) are filled in once it is saved.
 */
class Sheet {
  constructor(entry) {
    Object.assign(this, { dataset: entry.dataset, position: entry.position, source_ref: entry.source_ref });
    this.take(entry);
  }
  /** Begin anew with what the store says. */
  take({ line, mark, labels, boxes }) {
    const own = boxes.map(({ label, box }) => newBox(label, box));
    this.state = { labels, boxes: own, line, order: own.map(one => one.id) };
    this.acknowledged(this.state, mark);
  }
  acknowledged(state, mark) {
    this.mark = mark;
    this.saved = state;
    this.places = new Map(state.order.map((id, place) => [id, place]));
  }
  /** What to send for a state, and the order in which its boxes will be. */
  request(state) {
    const named = { dataset: this.dataset, source_ref: this.source_ref, mark: this.mark };
    if (state.line) return [{ ...named, line: state.line }, state.order];
    const place = one => this.places.get(one.id) ?? Infinity;
    const boxes = [...state.boxes].sort((a, b) => place(a) === place(b) ? 0 : place(a) - place(b));
    return [{ ...named, labels: state.labels, boxes: boxes.map(one => ({ label: one.label, box: one.box, place: this.places.get(one.id) ?? null })) },
      boxes.map(one => one.id)];
  }
}

export class Desk {
  /** @param told called whenever something is to be shown: { unsaved, isLost, sheet } */
  constructor({ changed, conflict, refused }) {
    Object.assign(this, { changed, conflict, refused, sheets: new Map(), done: [], undone: [], sending: new Set(), isLost: false });
    addEventListener("beforeunload", this.warn = event => { if (this.unsaved) event.preventDefault(); });
  }
  leave() { removeEventListener("beforeunload", this.warn); }
  sheet(entry) {
    const key = `${entry.dataset} ${entry.position}`;
    let found = this.sheets.get(key);
    if (!found) this.sheets.set(key, found = new Sheet(entry));
    else if (found.state === found.saved && found.mark !== entry.mark) found.take(entry);
    return found;
  }
  get unsaved() { return [...this.sheets.values()].filter(one => one.state !== one.saved).length; }
  edit(sheet, state) {
    this.done.push([sheet, sheet.state, state]);
    this.undone.length = 0;
    this.put(sheet, state);
  }
  /** @returns the sheet that was changed, undefined where there is nothing to undo */
  undo() { return this.step(this.done, this.undone, 1); }
  redo() { return this.step(this.undone, this.done, 2); }
  step(from, to, which) {
    const one = from.pop();
    if (!one) return undefined;
    to.push(one);
    this.put(one[0], one[which]);
    return one[0];
  }
  put(sheet, state) {
    sheet.state = state;
    this.changed();
    this.send(sheet);
  }
  async send(sheet) {
    if (this.sending.has(sheet)) return;
    this.sending.add(sheet);
    let failures = 0;
    while (sheet.state !== sheet.saved && !sheet.isDisputed) {
      const state = sheet.state, [request, order] = sheet.request(state);
      let answer;
      try {
        answer = await local("save", request);
        this.isLost = false;
      } catch (error) {
        if (error instanceof Unreachable || error.code === "session") {
          this.isLost = true;
          this.changed();
          await new Promise(done => setTimeout(done, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]));
          continue;
        }
        // The store has what it had before; the page says so, and shows it.
        sheet.state = sheet.saved;
        this.forget(sheet);
        this.refused(sheet, error);
        break;
      }
      if ("conflict" in answer) {
        // An answer that was lost on its way: what is there is what was sent.
        if (answer.conflict && same(answer.conflict, state)) { this.accept(sheet, state, order, answer.conflict); continue; }
        sheet.isDisputed = true;
        this.conflict(sheet, answer.conflict);
        break;
      }
      this.accept(sheet, state, order, answer);
    }
    this.sending.delete(sheet);
    this.changed();
  }
  accept(sheet, state, order, answer) {
    Object.assign(state, { line: answer.line, order });
    sheet.acknowledged(state, answer.mark);
    this.changed();
  }
  /** What was undone or done before no longer leads anywhere. */
  forget(sheet) {
    this.done = this.done.filter(one => one[0] !== sheet);
    this.undone = this.undone.filter(one => one[0] !== sheet);
  }
  /** After a conflict. */
  settle(sheet, theirs, isMine) {
    sheet.isDisputed = false;
    this.forget(sheet);
    const mine = sheet.state;
    if (theirs) sheet.take(theirs);
    if (isMine && theirs) this.edit(sheet, { labels: mine.labels, boxes: mine.boxes.map(one => newBox(one.label, one.box)), line: null });
    if (!theirs) sheet.state = sheet.saved;
    this.changed();
  }
}

/** Whether a line says what a state does, to the thousandth of the image's side. */
function same(line, state) {
  const key = one => [one.label, ...one.box.map(side => Math.round(side * 1000))].join(" ");
  const all = boxes => boxes.map(key).sort().join("|");
  return [...line.labels].sort().join("|") === [...state.labels].sort().join("|") && all(line.boxes) === all(state.boxes);
}
