// One picture large: zoomed, moved, drawn on.
import { draw, make } from "/pages/drawing.js";
import { Colours } from "./boxes.js";
import { texts } from "./texts.js";

const HANDLES = [[0, 0], [.5, 0], [1, 0], [1, .5], [1, 1], [.5, 1], [0, 1], [0, .5]];
const LEAST_PX = 2, SLOP = 3, MOST_SCALE = 40;
/** @param {number} value @param {number} least @param {number} most */
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

export class Stage {
  /** A box that is being drawn. @type {Box | null} */
  drawing = null;
  /** One that is being moved, and where it is now. @type {{ id: number, box: Box } | null} */
  moving = null;
  /** @type {OwnBox[]} */
  boxes = [];
  /** @type {BoxGhost[]} */
  ghosts = [];
  /** @type {number | null} */
  chosen = null;
  colours = new Colours([]);
  isFit = false;
  isLocked = false;
  /** @param {StageAsked} asked */
  constructor(asked) {
    this.asked = asked;
    this.svg = draw("svg", { role: "img", "aria-label": texts.picture });
    this.picture = make("div", { class: "picture" });
    this.node = make("div", { class: "stage", tabindex: "0" }, this.picture);
    this.lines = [draw("line", { class: "cross" }), draw("line", { class: "cross" })];
    /** @type {Pair} */
    this.size = [1, 1];
    this.scale = 1; this.x = 0; this.y = 0;
    this.canDraw = true;
    this.node.addEventListener("pointerdown", event => this.down(event));
    this.node.addEventListener("pointermove", event => this.cross(event));
    this.node.addEventListener("pointerleave", () => this.cross(null));
    this.node.addEventListener("wheel", event => this.wheel(event), { passive: false });
    this.watch = new ResizeObserver(() => { if (this.isFit) this.fit(); });
    this.watch.observe(this.node);
  }
  leave() { this.watch.disconnect(); }
  /** Whether a pointer holds something, and which image it is must not change. */
  isHeld = false;
  /** Put an image in the place of the last one. @param {HTMLImageElement} image */
  put(image) {
    /** @type {Pair} */
    const size = [image.naturalWidth || 1, image.naturalHeight || 1];
    this.size = size;
    image.style.width = `${size[0]}px`;
    image.style.height = `${size[1]}px`;
    image.draggable = false;
    this.svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    this.svg.style.width = `${size[0]}px`;
    this.svg.style.height = `${size[1]}px`;
    this.picture.replaceChildren(image, this.svg);
    this.fit();
  }
  fit() {
    const { clientWidth: w, clientHeight: h } = this.node;
    if (!w || !h) return;
    this.scale = Math.min(w / this.size[0], h / this.size[1]);
    this.x = (w - this.size[0] * this.scale) / 2;
    this.y = (h - this.size[1] * this.scale) / 2;
    this.isFit = true;
    this.place();
  }
  place() {
    this.picture.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.paint();
  }
  /** @param {number} factor @param {number[]} at a point of the stage that stays where it is */
  zoom(factor, at = [this.node.clientWidth / 2, this.node.clientHeight / 2]) {
    const least = Math.min(this.node.clientWidth / this.size[0], this.node.clientHeight / this.size[1]) / 2;
    const scale = clamp(this.scale * factor, least, MOST_SCALE), by = scale / this.scale;
    this.x = at[0] - (at[0] - this.x) * by;
    this.y = at[1] - (at[1] - this.y) * by;
    this.scale = scale;
    this.isFit = false;
    this.place();
  }
  wheel(/** @type {WheelEvent} */ event) {
    event.preventDefault();
    this.zoom(Math.exp(-clamp(event.deltaY, -240, 240) / 400), this.at(event));
  }
  /** @param {MouseEvent} event @returns {Pair} */
  at(event) {
    const frame = this.node.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }
  /** Where a pointer is in the picture, as shares of it. @param {MouseEvent} event @returns {Pair} */
  share(event) {
    const [x, y] = this.at(event);
    return [(x - this.x) / this.scale / this.size[0], (y - this.y) / this.scale / this.size[1]];
  }
  cross(/** @type {MouseEvent | null} */ event) {
    const isShown = event && this.canDraw && !event.buttons && !this.over(event.target);
    this.svg.classList.toggle("crossed", Boolean(isShown));
    if (!event || !isShown) return;
    const [x, y] = this.share(event), [w, h] = this.size;
    for (const [line, from, to] of /** @type {[Element, Pair, Pair][]} */ ([[this.lines[0], [x * w, 0], [x * w, h]], [this.lines[1], [0, y * h], [w, y * h]]])) {
      line.setAttribute("x1", String(from[0])); line.setAttribute("y1", String(from[1]));
      line.setAttribute("x2", String(to[0])); line.setAttribute("y2", String(to[1]));
    }
  }
  over(/** @type {EventTarget | null} */ target) { return /** @type {Element | null} */ (target)?.closest?.("[data-box], [data-handle]"); }

  // --- what is drawn ---
  /** @param {OwnBox[]} boxes @param {number | null} chosen @param {Colours} colours @param {BoxGhost[]} ghosts */
  show(boxes, chosen, colours, ghosts = []) {
    Object.assign(this, { boxes, chosen, colours, ghosts });
    this.paint();
  }
  paint() {
    const [w, h] = this.size, unit = 1 / this.scale, parts = /** @type {SVGElement[]} */ ([...this.lines]);
    for (const one of this.ghosts) {
      const [x, y, width, height] = one.box, frame = { x: x * w, y: y * h, width: width * w, height: height * h };
      const text = draw("text", { x: frame.x + 3 * unit, y: frame.y + 14 * unit, "font-size": 12 * unit, class: "name", "stroke-width": 3 * unit });
      text.textContent = `${one.label} ${texts.percent(100 * one.score)}`;
      parts.push(draw("rect", { ...frame, class: "under ghost" }), draw("rect", { ...frame, class: "box ghost", stroke: this.colours.of(one.label), "data-ghost": one.id },
        draw("title", {}, texts.accept(one.label))), text);
    }
    const ordered = [...this.boxes].sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3]);
    for (const one of ordered) {
      const [x, y, width, height] = this.moving?.id === one.id ? this.moving.box : one.box, colour = this.colours.of(one.label);
      const frame = { x: x * w, y: y * h, width: width * w, height: height * h };
      const isChosen = one.id === this.chosen;
      parts.push(draw("rect", { ...frame, class: "under" }),
        draw("rect", { ...frame, class: isChosen ? "box chosen" : "box", stroke: colour, "data-box": one.id }, draw("title", {}, one.label)));
      const text = draw("text", { x: frame.x + 3 * unit, y: Math.max(frame.y, 14 * unit) - 4 * unit, "font-size": 13 * unit, class: "name", "stroke-width": 3 * unit });
      text.textContent = isChosen ? `${one.label}  ${Math.round(frame.width)} × ${Math.round(frame.height)}` : one.label;
      parts.push(text);
    }
    if (this.drawing) {
      const [x, y, width, height] = this.drawing;
      parts.push(draw("rect", { x: x * w, y: y * h, width: width * w, height: height * h, class: "box new", stroke: "#fff" }));
    }
    const one = this.boxes.find(box => box.id === this.chosen);
    if (one) {
      const [x, y, width, height] = this.moving?.id === one.id ? this.moving.box : one.box, side = 9 * unit;
      for (const [across, down] of HANDLES)
        parts.push(draw("rect", { x: (x + width * across) * w - side / 2, y: (y + height * down) * h - side / 2, width: side, height: side,
          class: "handle", "data-handle": `${across} ${down}`, "stroke-width": unit }));
    }
    this.svg.replaceChildren(...parts);
  }

  // --- what the pointer does ---
  down(/** @type {PointerEvent} */ event) {
    if (this.isLocked) return undefined;
    if (event.button === 1 || (event.button === 0 && event.shiftKey)) return this.pan(event);
    if (event.button !== 0) return undefined;
    const held = (/** @type {string} */ what) => /** @type {SVGElement | null} */ (/** @type {Element} */ (event.target).closest?.(`[data-${what}]`));
    const handle = held("handle"), box = held("box"), ghost = held("ghost");
    if (handle) return this.pull(event, /** @type {OwnBox} */ (this.boxes.find(one => one.id === this.chosen)), /** @type {Pair} */ (String(handle.dataset.handle).split(" ").map(Number)));
    if (ghost) return this.sketch(event, null, this.ghosts.find(one => String(one.id) === ghost.dataset.ghost));
    const under = box && this.boxes.find(found => String(found.id) === box.dataset.box);
    if (under && under.id === this.chosen) return this.pull(event, under, null);
    // Within a box that is not chosen a drag draws another one: things lie in and over each other.
    return this.canDraw ? this.sketch(event, under) : this.pan(event, under);
  }
  /** @param {PointerEvent} event @param {(now: PointerEvent, by: Pair) => void} move @param {(isDone: boolean) => void} end */
  drag(event, move, end) {
    event.preventDefault();
    this.node.focus({ preventScroll: true });
    const from = this.at(event), { node } = this;
    let isFar = false;
    this.isHeld = true;
    node.setPointerCapture(event.pointerId);
    /** @type {["pointermove" | "pointerup" | "pointercancel", (now: PointerEvent) => void][]} */
    const heard = [
      ["pointermove", now => {
        const to = this.at(now);
        isFar ||= Math.hypot(to[0] - from[0], to[1] - from[1]) >= SLOP;
        if (isFar) move(now, [to[0] - from[0], to[1] - from[1]]);
      }],
      ["pointerup", () => finish(isFar)], ["pointercancel", () => finish(false)],
    ];
    const stop = (/** @type {KeyboardEvent} */ key) => { if (key.key === "Escape") { key.stopImmediatePropagation(); finish(false); } };
    const finish = (/** @type {boolean} */ isDone) => {
      this.isHeld = false;
      for (const [kind, hear] of heard) node.removeEventListener(kind, hear);
      removeEventListener("keydown", stop, true);
      if (node.hasPointerCapture(event.pointerId)) node.releasePointerCapture(event.pointerId);
      end(isDone);
    };
    for (const [kind, hear] of heard) node.addEventListener(kind, hear);
    addEventListener("keydown", stop, true);
  }
  /** @param {PointerEvent} event @param {OwnBox | null} [under] */
  pan(event, under) {
    const [x, y] = [this.x, this.y];
    this.drag(event, (_, [dx, dy]) => { this.x = x + dx; this.y = y + dy; this.isFit = false; this.place(); },
      isDone => { if (!isDone) this.asked.chosen(under?.id ?? null); });
  }
  /** @param {PointerEvent} event @param {OwnBox | null} [under] @param {BoxGhost} [ghost] */
  sketch(event, under, ghost) {
    const [x, y] = this.share(event).map(side => clamp(side, 0, 1));
    this.drag(event, now => {
      const [u, v] = this.share(now).map(side => clamp(side, 0, 1));
      this.drawing = [Math.min(x, u), Math.min(y, v), Math.abs(u - x), Math.abs(v - y)];
      this.paint();
    }, isDone => {
      const box = this.drawing;
      this.drawing = null;
      this.paint();
      if (!isDone && ghost) this.asked.accepted(ghost);
      else if (!isDone) this.asked.chosen(under?.id ?? null);
      else if (box && box[2] * this.size[0] >= LEAST_PX && box[3] * this.size[1] >= LEAST_PX) this.asked.drawn(box);
    });
  }
  /** Move a box, or the sides that a handle holds. @param {PointerEvent} event @param {OwnBox} one @param {Pair | null} handle */
  pull(event, one, handle) {
    const before = one.box;
    this.drag(event, (_, [dx, dy]) => {
      /** @type {Pair} */
      const by = [dx / this.scale / this.size[0], dy / this.scale / this.size[1]];
      this.moving = { id: one.id, box: handle ? resized(before, handle, by, this.size) : moved(before, by) };
      this.paint();
    }, isDone => {
      const found = this.moving;
      this.moving = null;
      if (isDone && found) this.asked.moved(one.id, found.box);
      else this.paint();
    });
  }
}

/** A box moved by shares of the image, as far as it goes. @type {(box: Box, by: Pair) => Box} */
export function moved([x, y, width, height], [dx, dy]) {
  return [clamp(x + dx, 0, 1 - width), clamp(y + dy, 0, 1 - height), width, height];
}

/** A box whose sides that a handle holds were moved; a handle is where it lies: 0, a half or 1 across and down. @type {(box: Box, handle: Pair, by: Pair, size: Pair) => Box} */
export function resized([x, y, width, height], [across, down], [dx, dy], [w, h]) {
  let [left, top, right, bottom] = [x, y, x + width, y + height];
  const least = [LEAST_PX / w, LEAST_PX / h];
  if (across === 0) left = clamp(left + dx, 0, right - least[0]);
  if (across === 1) right = clamp(right + dx, left + least[0], 1);
  if (down === 0) top = clamp(top + dy, 0, bottom - least[1]);
  if (down === 1) bottom = clamp(bottom + dy, top + least[1], 1);
  return [left, top, right - left, bottom - top];
}
