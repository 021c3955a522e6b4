/** The comparison: one picture in several codecs at the same bytes, encoded anew whenever the slider moves. */
import { digits, sizeOf } from "../structure.js";
import { theme } from "../theme.js";
import { Viewer, controls } from "../viewing.js";
import { Estimate } from "./estimate.js";
import { address, ask, lines, make } from "./server.js";
import { Wipe } from "./wipe.js";

const element = (id) => document.getElementById(id);
const [stage, file, quality] = ["stage", "file", "quality"].map(element);
const ORIGINAL = "Original";
const NAMES = [ORIGINAL, "cray", "AVIF", "WebP", "JPEG"];
const AREAS = {
  whole: "All of it", centre: "Centre, 1 megapixel", small: "Centre, ¼ megapixel", reduced: "All, reduced to 1 megapixel",
};
/** Milliseconds in which the slider rests before a picture is encoded. */
const REST = 150;
/** Pixels that SSIMULACRA2 is of at most. */
const MEASURED = 2 ** 20;

const wipe = new Wipe(stage, element("beside"), element("line"), element("wipe"));
const viewer = new Viewer(stage, element("picture"), (zoom) => {
  element("zoom").textContent = `${Math.round(100 * zoom)} %`;
  wipe.follow(viewer);
});
const estimate = new Estimate();

/** What is compared: an address of the server's. @type {string | null} */
let picture = null;
/** What the server has said of the picture and of each codec. @type {{facts: object | null, codecs: Map<string, object>}} */
let found = { facts: null, codecs: new Map() };
/** Ends what is not waited for any more. */
let running = new AbortController();
/** Pixels that were fetched. @type {Map<number, Promise<Uint8ClampedArray>>} */
let fetched = new Map();

function say(text, wrong = false) {
  element("status").textContent = text;
  element("status").parentElement.classList.toggle("wrong", wrong);
}

/** Compares another picture. */
function take(place, name) {
  picture = place;
  found = { facts: null, codecs: new Map() };
  fetched = new Map();
  viewer.clear();
  wipe.clear();
  element("welcome").hidden = true;
  element("codecs").tBodies[0].replaceChildren(...NAMES.map(row));
  element("area").replaceChildren();
  element("facts").replaceChildren(make("h2", "", name));
  document.title = `${name} – cray`;
  estimate.forget(place);
  return run();
}

/** Encodes as the tools say; what was asked for before is not waited for any more. */
async function run() {
  if (!picture) return;
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const start = performance.now();
  estimate.forget(picture);
  for (const cell of element("codecs").tBodies[0].querySelectorAll("td")) cell.classList.add("old");
  say("Encoding…");
  const query = { quality: quality.value, effort: element("effort").value, area: element("area").value };
  try {
    for await (const line of lines(address(`comparison/${picture}`, query), signal)) {
      if (line.codec) await measured(line);
      else await begun(line);
      if (signal.aborted) return;
    }
    say(`Encoded and measured in ${((performance.now() - start) / 1000).toFixed(1)} s.`);
  } catch (error) {
    if (signal.aborted) return;
    if (!found.facts) element("welcome").hidden = false;
    say(`${nameOf(picture)}: ${error.message}`, true);
  }
}

/** The server has the picture. */
function begun(facts) {
  const { width, height, of, area, areas } = facts;
  const same = found.facts?.width === width && found.facts?.height === height && found.facts?.area === area;
  found.facts = facts;
  if (!same) {
    found.codecs.clear();
    fetched.clear();
    element("area").replaceChildren(...areas.map((each) => Object.assign(make("option", "", AREAS[each]), { value: each, selected: each === area })));
    element("area").disabled = areas.length < 2;
  }
  element("zooms").disabled = false;
  const seen = area === "whole" ? "" : area === "reduced" ? `, reduced to ${digits(width)} × ${digits(height)}` : `, of which ${digits(width)} × ${digits(height)} in the middle are compared`;
  element("facts").replaceChildren(make("h2", "", nameOf(picture)), make("p", "", `${digits(of[0])} × ${digits(of[1])} pixels${seen}.`));
  element("part").textContent = width * height > MEASURED ? ", of a megapixel in the middle" : "";
  const speed = element("effort").value >= 5 ? 6 : 8;
  element("ways").textContent = `AVIF (4:2:0, speed ${speed}), WebP and JPEG (4:2:0) have the quality at which their file is the largest that is no larger than the .cray. Metadata and transparency are left out.`;
  fill(row(ORIGINAL));
  return show();
}

/** Something of a codec has come. */
function measured({ codec, ...facts }) {
  const known = "bytes" in facts || "failed" in facts ? {} : found.codecs.get(codec);
  found.codecs.set(codec, { ...known, ...facts });
  fill(row(codec));
  if (codec === "cray" && "bytes" in facts) nameQuality();
  const visible = [element("left"), element("right")].some(({ value }) => value === codec);
  return visible && ("bytes" in facts || "difference" in facts) ? show() : null;
}

/** @param {string} codec @returns {HTMLElement} its row of the table */
function row(codec) {
  const line = make("tr");
  line.dataset.codec = codec;
  const title = make("th", "", codec);
  title.scope = "row";
  const { quality: own, bytes, ciede2000, ssimulacra2, failed = "" } = found.codecs.get(codec) ?? {};
  const largest = found.codecs.get("cray")?.bytes ?? Infinity;
  const cells = [own, bytes && digits(bytes) + (bytes > largest ? " (least)" : ""), ciede2000?.toFixed(2), ssimulacra2?.toFixed(1)];
  const none = codec === ORIGINAL ? "" : failed ? "–" : "…";
  line.title = failed;
  line.append(title, ...cells.map((text) => make("td", "number", String(text ?? none))));
  return line;
}

function fill(line) {
  element("codecs").tBodies[0].querySelector(`[data-codec="${line.dataset.codec}"]`).replaceWith(line);
  mark();
}

function mark() {
  const seen = [element("left").value, element("right").value];
  for (const line of element("codecs").tBodies[0].rows) line.classList.toggle("seen", seen.includes(line.dataset.codec));
}

/** Puts what is chosen on the left and on the right, as far as it is there. */
async function show() {
  mark();
  const { facts } = found;
  if (!facts) return;
  const { width, height } = facts;
  const sides = await Promise.all(["left", "right"].map((id) => side(element(id).value)));
  if (facts !== found.facts) return;
  const [left, right] = sides;
  if (right) wipe.show(width, height, right.rgba, right.label);
  if (left) {
    viewer.show({ width, height, rgba: left.rgba }, false);
    element("picture").setAttribute("aria-label", left.label);
  }
  wipe.follow(viewer);
}

/** Pixels of a codec, or of how they differ from the original; null while they are not there. */
async function side(codec) {
  const differs = element("difference").getAttribute("aria-pressed") === "true" && codec !== ORIGINAL;
  const { pixels, difference } = codec === ORIGINAL ? found.facts : found.codecs.get(codec) ?? {};
  const number = differs ? difference : pixels;
  if (!number) return null;
  if (!fetched.has(number)) {
    for (const old of [...fetched.keys()].slice(0, -8)) fetched.delete(old);
    const bytes = ask(address(`pixels/${number}`)).then((answer) => answer.arrayBuffer());
    fetched.set(number, bytes.then((buffer) => new Uint8ClampedArray(buffer)));
  }
  const rgba = await fetched.get(number).catch(() => null);
  return rgba && { rgba, label: differs ? `Difference of ${codec}: black is none, white CIEDE2000 ${found.facts.white} and more` : codec };
}

function nameQuality() {
  const bytes = found.codecs.get("cray")?.bytes;
  element("qualityName").textContent = bytes ? `${quality.value}: ${sizeOf(bytes)}` : quality.value;
  quality.setAttribute("aria-valuetext", element("qualityName").textContent);
}

function nameOf(place) {
  return uploaded.get(place) ?? decodeURIComponent(place.split("/").at(-1).replace(/%(?![0-7])../g, "%EF%BF%BD"));
}

/** Names of what was dropped. @type {Map<string, string>} */
const uploaded = new Map();
async function upload(given) {
  say(`Reading ${given.name}…`);
  try {
    const { address: place } = await (await ask(address("uploads"), { method: "POST", body: given })).json();
    uploaded.set(place, given.name || "picture");
    await take(place, uploaded.get(place));
  } catch (error) {
    say(`${given.name}: ${error.message}`, true);
  }
}

function given(event) {
  const [first] = (event.dataTransfer ?? event.clipboardData)?.files ?? [];
  if (event.type === "drop" || first) event.preventDefault();
  if (first) upload(first);
}

for (const [id, chosen] of [["left", ORIGINAL], ["right", "cray"]])
  element(id).append(...NAMES.map((name) => Object.assign(make("option", "", name), { value: name, selected: name === chosen })));
for (const id of ["left", "right"]) element(id).addEventListener("change", show);
for (const id of ["effort", "area"]) element(id).addEventListener("change", run);

const on = (id, listener) => element(id).addEventListener("click", listener);
for (const id of ["open", "choose"]) on(id, () => file.click());
controls(viewer);
on("difference", ({ currentTarget: button }) => {
  const pressed = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", pressed);
  say(pressed && found.facts ? `CIEDE2000 of each pixel: black is none, white ${found.facts.white} and more.` : "");
  show();
});
on("estimate", () => estimate.make(picture, quality.value, element("effort").value));
file.addEventListener("change", () => {
  if (file.files[0]) upload(file.files[0]);
  file.value = "";
});
let resting = 0;
quality.addEventListener("input", () => {
  clearTimeout(resting);
  element("qualityName").textContent = quality.value;
  resting = setTimeout(run, REST);
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", given);
addEventListener("paste", given);
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (!event.target.closest?.("input, select, aside") && viewer.key(event.key)) event.preventDefault();
});
theme();
const asked = new URLSearchParams(location.search).get("picture");
if (asked) take(asked, nameOf(asked));
