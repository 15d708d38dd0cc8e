// Pictures that people bring, one or a folder of them or the camera's, and what a running model says of each.
import { make } from "/pages/drawing.js";
import { invoke } from "./server.js";
import { Colours, overlay } from "./boxes.js";
import { dropZone } from "./dropped.js";
import { failed, note } from "./notes.js";
import { texts } from "./texts.js";

const ENDPOINT = "http://127.0.0.1:8650";

/** @param {File} file */
async function base64(file) {
  /** @type {string} */
  const url = await new Promise((done, broken) => {
    const reader = new FileReader();
    reader.onload = () => done(/** @type {string} */ (reader.result));
    reader.onerror = () => broken(reader.error);
    reader.readAsDataURL(file);
  });
  return url.slice(url.indexOf(",") + 1);
}

/** Lines that ask the same, as they stand; those for programs need `rcl serve`. @param {string} arn @param {string} name @param {number | null} least */
function lines(arn, name, least) {
  const quoted = `'${name.replaceAll("'", "'\\''")}'`, python = JSON.stringify(name);
  const cli = least === null ? "" : ` --min-confidence ${least}`, given = least === null ? "" : `, MinConfidence=${least}`, js = least === null ? "" : `, MinConfidence: ${least}`;
  return {
    CLI: `rcl detect-custom-labels --project-version-arn ${arn} --image-bytes fileb://${quoted}${cli}`,
    boto3: `import boto3\n\nclient = boto3.client("rekognition", endpoint_url="${ENDPOINT}", region_name="us-east-1",\n                      aws_access_key_id="any", aws_secret_access_key="key")\nwith open(${python}, "rb") as image:\n    found = client.detect_custom_labels(ProjectVersionArn="${arn}", Image={"Bytes": image.read()}${given})\nprint(found["CustomLabels"])`,
    JavaScript: `import { readFile } from "node:fs/promises";\nimport { RekognitionClient, DetectCustomLabelsCommand } from "@aws-sdk/client-rekognition";\n\nconst client = new RekognitionClient({ endpoint: "${ENDPOINT}", region: "us-east-1",\n  credentials: { accessKeyId: "any", secretAccessKey: "key" } });\nconst Bytes = await readFile(${python});\nconsole.log((await client.send(new DetectCustomLabelsCommand({ ProjectVersionArn: "${arn}", Image: { Bytes }${js} }))).CustomLabels);`,
    curl: `printf '{"ProjectVersionArn":"%s","Image":{"Bytes":"%s"}${least === null ? "" : `,"MinConfidence":${least}`}}' '${arn}' "$(base64 < ${quoted} | tr -d '\\n')" |\n  curl -s ${ENDPOINT}/ -H 'Content-Type: application/x-amz-json-1.1' -H 'X-Amz-Target: RekognitionService.DetectCustomLabels' --data-binary @-`,
  };
}

/** @param {Signed[]} labels */
export function trial(labels) {
  const colours = new Colours(labels);
  let /** @type {VersionRow[]} */ running = [], /** @type {File[]} */ files = [], at = 0, /** @type {File | null} */ file = null, asked = 0;
  let looks = 0, /** @type {CustomLabel[] | null} */ all = null, /** @type {CustomLabel[] | null} */ own = null, /** @type {MediaStream | null} */ stream = null;
  const model = make("select", { "aria-label": texts.model, onchange: () => ask() });
  const decides = make("input", { type: "checkbox", checked: true, onchange: () => show() });
  const slider = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": texts.confidence, oninput: () => { decides.checked = false; show(); } });
  const value = make("output"), list = make("ul"), state = make("span", { role: "status" });
  /** @type {HTMLDivElement & { svg?: Overlay | null }} */
  const shot = make("div", { class: "shot" });
  const input = make("input", { type: "file", accept: "image/jpeg,image/png", multiple: true, hidden: true, onchange: () => { bring([...input.files ?? []]); input.value = ""; } });
  /** @param {string} text @param {number} by */
  const step = (text, by) => make("button", { type: "button", "aria-label": text, title: text, onclick: () => open(at + by) }, by < 0 ? "←" : "→");
  const where = make("span", { class: "count" }), steps = make("span", { class: "row", hidden: true }, step(texts.previous, -1), step(texts.next, 1), where);
  const camera = make("button", { type: "button", hidden: !navigator.mediaDevices?.getUserMedia, onclick: () => (stream ? shoot() : look()).catch(failed) }, texts.camera);
  const code = make("details", { hidden: true });
  const inside = make("div", { class: "trial", hidden: true }, make("div", {}, make("p", { class: "row" }, texts.tryHere,
    make("button", { type: "button", onclick: () => input.click() }, texts.choosePicture), input, camera, steps, state), shot, code),
    make("div", {}, model, make("p", {}, make("label", {}, decides, ` ${texts.asTrained}`)), make("p", { class: "row" }, slider, value), list));
  const needs = make("p", {}, texts.tryNeeds);
  const node = make("section", { "aria-label": texts.try }, make("h2", {}, texts.try), needs, inside);

  function bring(/** @type {File[]} */ every) {
    const pictures = every.filter(one => one && ["image/jpeg", "image/png"].includes(one.type));
    if (!pictures.length) { if (every.length) note(texts.noPictures); return; }
    files = pictures;
    open(0);
  }
  function open(/** @type {number} */ which) {
    if (which < 0 || which >= files.length) return;
    unlook();
    at = which;
    file = files[at];
    steps.hidden = files.length < 2;
    where.textContent = texts.position(at + 1, files.length);
    const old = shot.querySelector("img");
    if (old) URL.revokeObjectURL(old.src);
    const image = make("img", { src: URL.createObjectURL(file), alt: file.name }), svg = overlay();
    image.addEventListener("load", () => { svg.fit(image.naturalWidth, image.naturalHeight); show(); });
    shot.replaceChildren(image, svg);
    shot.svg = svg;
    ask();
  }

  // --- the camera ---
  async function look() {
    const turn = ++looks;
    camera.disabled = true;
    let found;
    try { found = await navigator.mediaDevices.getUserMedia({ video: true }); } finally { camera.disabled = false; }
    // Whoever asked for it has gone on meanwhile.
    if (turn !== looks) { for (const track of found.getTracks()) track.stop(); return; }
    stream = found;
    const video = make("video", { autoplay: true, playsinline: true, "aria-label": texts.camera });
    video.muted = true;
    video.srcObject = stream;
    shot.svg = null;
    shot.replaceChildren(video);
    camera.textContent = texts.takePicture;
  }
  function unlook() {
    looks++;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = null;
    camera.textContent = texts.camera;
  }
  async function shoot() {
    const video = shot.querySelector("video");
    if (!video?.videoWidth) return;
    const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
    /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).drawImage(video, 0, 0);
    /** @type {Blob | null} */
    const data = await new Promise(done => canvas.toBlob(done, "image/jpeg", .95));
    if (data) bring([new File([data], "camera.jpg", { type: "image/jpeg" })]);
  }
  async function ask() {
    if (!file || !model.value) return;
    const turn = ++asked, version = model.value;
    all = own = null;
    show();
    state.textContent = texts.asking;
    try {
      const Image = { Bytes: await base64(file) };
      const found = [await invoke("DetectCustomLabels", { ProjectVersionArn: version, Image })];
      found.push(await invoke("DetectCustomLabels", { ProjectVersionArn: version, Image, MinConfidence: 0 }));
      if (turn === asked) [own, all] = found.map(one => one.CustomLabels);
    } catch (error) {
      failed(error);
    }
    if (turn !== asked) return;
    state.textContent = "";
    show();
  }
  function show() {
    const least = Number(slider.value), found = decides.checked ? own : all?.filter(one => one.Confidence >= least);
    value.textContent = decides.checked ? "" : texts.percent(least);
    const items = (found ?? []).map(one => {
      const swatch = make("i");
      swatch.style.background = colours.of(one.Name);
      return make("li", {}, swatch, make("span", {}, one.Name), `${one.Confidence.toFixed(1)} %`);
    });
    list.replaceChildren(...(found && !items.length ? [make("li", {}, texts.nothingFound)] : items));
    /** @type {Labelled[]} */
    const boxes = (found ?? []).filter(one => one.Geometry).map(one => {
      const { Left, Top, Width, Height } = /** @type {Required<CustomLabel>} */ (one).Geometry.BoundingBox;
      return { label: one.Name, box: [Left, Top, Width, Height] };
    });
    shot.svg?.boxes(boxes, colours);
    code.hidden = !found;
    if (!found || !file) return;
    const parts = Object.entries(lines(model.value, file.name, decides.checked ? null : least));
    code.replaceChildren(make("summary", {}, texts.code), ...parts.map(([title, text]) => {
      const copy = make("button", { type: "button", onclick: async () => {
        try { await navigator.clipboard.writeText(text); copy.textContent = texts.copied; } catch (error) { failed(error); }
      } }, texts.copy);
      return make("div", { class: "code", role: "group", "aria-label": title }, make("pre", { tabindex: "0" }, text), copy);
    }));
  }
  const zone = dropZone(every => { if (running.length) bring(every.map(one => one.file)); });
  const paste = (/** @type {ClipboardEvent} */ event) => { if (running.length) bring([...event.clipboardData?.files ?? []]); };
  return {
    node,
    /** Models that can be asked now. */
    offer(/** @type {VersionRow[]} */ rows) {
      running = rows;
      if (!rows.length) unlook();
      inside.hidden = !rows.length; needs.hidden = rows.length > 0;
      const before = model.value;
      model.replaceChildren(...rows.map(row => make("option", { value: row.arn }, row.name)));
      if (rows.some(row => row.arn === before)) model.value = before;
      else if (file) ask();
    },
    listen() { zone.listen(document.body); addEventListener("paste", paste); },
    leave() { unlook(); zone.leave(); removeEventListener("paste", paste); },
  };
}
