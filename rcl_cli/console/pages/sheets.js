// Edits of entries: saved at once, one after the other, undone and redone; what can't be sent waits and is told.
import { local, Unreachable } from "./server.js";

const AGAIN_MS = [500, 1000, 2000, 4000];
// The store is taken by somebody else, or its disk is full: that passes.
const PASSING = new Set(["session", "ResourceInUseException", "InternalServerError", "ThrottlingException"]);
let lastId = 0, clock = 0;

/** A box on an image: shares of it, and an id that stays while it moves. @type {(label: string, box: Box) => OwnBox} */
export const newBox = (label, box) => ({ id: ++lastId, label, box });
/** What time it is for `Desk.refresh`; to be asked before entries are. */
export const tick = () => ++clock;

/**
 * What is said of an image: labels and boxes, never changed once it is made. `saved` is filled in when the store has it:
 * { line, order }, with the ids of the boxes as the line has them. `before` is the state that it was made from.
 * @type {(before: State, part: Edit) => State}
 */
const stateFrom = (before, part) => ({ labels: before.labels, boxes: before.boxes, ...part, saved: null, before });
/** What is in the store of the states that led to one: the last of them that got there, by now. @param {Unsaved} state */
function baseOf(state) {
  let one = state.before;
  while (!one.saved) one = one.before;
  return one.saved;
}

/** @param {Labelling & { line: string }} entry @returns {State} */
function stateOf({ line, labels, boxes }) {
  const own = boxes.map(({ label, box }) => newBox(label, box));
  return { labels, boxes: own, saved: { line, order: own.map(one => one.id) }, before: null };
}

/** One entry as people edit it. */
export class Sheet {
  /** @type {State | null} */
  sent = null;
  isDisputed = false;
  isSending = false;
  touched = tick();
  /** @param {Entry} entry */
  constructor(entry) {
    this.dataset = entry.dataset; this.position = entry.position; this.source_ref = entry.source_ref; this.mark = entry.mark;
    this.state = this.stored = stateOf(entry);
  }
  get isClean() { return this.state === this.stored && !this.sent; }
  /** Begin anew with what the store says. @param {Labelling & { line: string, mark: string }} entry */
  take(entry) {
    Object.assign(this, { state: stateOf(entry), mark: entry.mark, sent: null, isDisputed: false, touched: tick() });
    this.stored = this.state;
  }
  /** What to send for a state, and the order in which its boxes will be. @param {State} state @returns {[SaveRequest, number[]]} */
  request(state) {
    const named = { dataset: this.dataset, source_ref: this.source_ref, mark: this.mark };
    if (state.saved) return [{ ...named, line: state.saved.line }, state.saved.order];
    const base = baseOf(state), places = new Map(base.order.map((id, place) => [id, place]));
    const last = places.size, place = (/** @type {OwnBox} */ one) => places.get(one.id) ?? last;
    const boxes = [...state.boxes].sort((a, b) => place(a) - place(b));
    return [{ ...named, base: base.line, labels: state.labels,
      boxes: boxes.map(one => ({ label: one.label, box: one.box, place: places.get(one.id) ?? null })) }, boxes.map(one => one.id)];
  }
}

/** All edits of this page, whatever view is shown. */
export class Desk {
  /** @type {Map<string, Sheet>} */
  sheets = new Map();
  /** @type {Step[]} */
  done = [];
  /** @type {Step[]} */
  undone = [];
  isLost = false;
  trouble = "";
  changed = () => {};
  /** @type {(sheet: Sheet, theirs: Saved | null) => void} */
  conflict = () => {};
  /** @type {(sheet: Sheet, error: Error) => void} */
  refused = () => {};
  constructor() {
    addEventListener("beforeunload", event => { if (this.unsaved) event.preventDefault(); });
  }
  key(/** @type {Place} */ entry) { return `${entry.dataset} ${entry.position}`; }
  sheet(/** @type {Entry} */ entry) {
    const key = this.key(entry);
    // Where an entry was taken out, another one may have its place.
    if (this.sheets.get(key)?.source_ref !== entry.source_ref) this.sheets.set(key, new Sheet(entry));
    return /** @type {Sheet} */ (this.sheets.get(key));
  }
  /** Let a sheet be what was just loaded, unless it was changed here since it was asked for. @param {Entry} entry @param {number} asked */
  refresh(entry, asked) {
    const found = this.sheets.get(this.key(entry));
    if (!found || !found.isClean || found.touched > asked || found.mark === entry.mark) return;
    found.take(entry);
    // What was done before led to a line that is no more.
    this.forget(found);
  }
  get unsaved() { return [...this.sheets.values()].filter(one => !one.isClean).length; }
  /** @param {Sheet} sheet @param {Edit} part */
  edit(sheet, part) {
    const state = stateFrom(sheet.state, part);
    this.done.push([sheet, sheet.state, state]);
    this.undone.length = 0;
    this.put(sheet, state);
  }
  /** @returns the sheet that was changed, undefined where there is nothing to undo */
  undo() { return this.step(this.done, this.undone, 1); }
  redo() { return this.step(this.undone, this.done, 2); }
  /** @param {Step[]} from @param {Step[]} to @param {1 | 2} which */
  step(from, to, which) {
    const one = from.pop();
    if (!one) return undefined;
    to.push(one);
    this.put(one[0], one[which]);
    return one[0];
  }
  /** @param {Sheet} sheet @param {State} state */
  put(sheet, state) {
    Object.assign(sheet, { state, touched: tick() });
    this.changed();
    this.send(sheet);
  }
  async send(/** @type {Sheet} */ sheet) {
    if (sheet.isSending) return;
    sheet.isSending = true;
    let failures = 0;
    while (!sheet.isClean && !sheet.isDisputed) {
      // One whose answer was lost is sent again before what came after it: the store may have it.
      const state = sheet.sent ?? sheet.state, [request, order] = sheet.request(state);
      sheet.sent = state;
      let answer;
      try {
        answer = await local("save", request);
        Object.assign(this, { isLost: false, trouble: "" });
      } catch (error) {
        if (error instanceof Unreachable || PASSING.has(error.code)) {
          Object.assign(this, { isLost: true, trouble: error.message });
          this.changed();
          await new Promise(done => setTimeout(done, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]));
          continue;
        }
        // The store has what it had before; the page says so, and shows it.
        Object.assign(sheet, { sent: null, state: sheet.stored, touched: tick() });
        this.forget(sheet);
        this.refused(sheet, error);
        break;
      }
      if ("conflict" in answer) {
        sheet.isDisputed = true;
        this.conflict(sheet, answer.conflict);
        break;
      }
      if (answer.by_others) {
        // Somebody else said the same, and more perhaps: to undo it would undo theirs.
        const { state: later } = sheet;
        this.forget(sheet);
        sheet.take(answer);
        if (later !== state) this.over(sheet, later);
        this.changed();
        continue;
      }
      Object.assign(state, { saved: { line: answer.line, order } });
      Object.assign(sheet, { mark: answer.mark, stored: state, sent: null, touched: tick() });
      this.changed();
    }
    sheet.isSending = false;
    this.changed();
  }
  /** What was undone or done before no longer leads anywhere. @param {Sheet} sheet */
  forget(sheet) {
    this.done = this.done.filter(one => one[0] !== sheet);
    this.undone = this.undone.filter(one => one[0] !== sheet);
  }
  /** Let an entry as the store has it say what a state of before says. @param {Sheet} sheet @param {State} wanted */
  over(sheet, wanted) {
    // Boxes that both have stay theirs, with all that their line says of them.
    const left = [...sheet.state.boxes];
    const boxes = wanted.boxes.map(one => {
      const at = left.findIndex(other => other.label === one.label && other.box.every((side, n) => Math.abs(side - one.box[n]) < .002));
      return at < 0 ? newBox(one.label, one.box) : left.splice(at, 1)[0];
    });
    this.edit(sheet, { labels: wanted.labels, boxes });
  }
  /** After a conflict: `theirs` is null where the entry is gone. @param {Sheet} sheet @param {Saved | null} theirs @param {boolean} isMine */
  settle(sheet, theirs, isMine) {
    const mine = sheet.state;
    this.forget(sheet);
    if (theirs) sheet.take(theirs);
    else Object.assign(sheet, { state: sheet.stored, sent: null, isDisputed: false });
    if (theirs && isMine) this.over(sheet, mine);
    this.changed();
  }
}
export const desk = new Desk();
