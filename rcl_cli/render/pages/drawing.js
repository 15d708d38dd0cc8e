// Elements, and pictures with boxes over them: for report pages and the console.
const NS = "http://www.w3.org/2000/svg";

/** @template {Element} E @param {E} node @param {Record<string, Attribute>} attributes @param {Children} children */
function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes))
    if (key.startsWith("on")) node.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : String(value));
  node.append(...children);
  return node;
}
/** @type {Make} */
export const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
/** @type {Draw} */
export const draw = (name, attributes = {}, ...children) => fill(document.createElementNS(NS, name), attributes, children);

/** A picture with boxes over it. @param {Picture} picture @param {Outline[]} boxes */
export function shot(picture, boxes) {
  if (!picture.url) return make("div", { class: "gone" }, "The picture is not there any more, or can't be read.");
  const svg = draw("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none" });
  for (const { box: [x, y, width, height], colour, dash, title } of boxes)
    for (const [ink, wide] of /** @type {const} */ ([["#000", 4], [colour, 2]]))
      svg.append(draw("rect", { x, y, width, height, fill: "transparent", stroke: ink, "stroke-width": wide,
        "stroke-dasharray": dash ?? "none", "vector-effect": "non-scaling-stroke" }, ...(title ? [draw("title", {}, title)] : [])));
  const size = picture.size ? { width: picture.size[0], height: picture.size[1] } : {};
  return make("div", { class: "shot" }, make("img", { src: picture.url, alt: picture.name, decoding: "async", ...size }), svg);
}
