/** The page: opens what is dropped, chosen or pasted, and shows it as it becomes better. */
import { CrayError } from "./cray.js";
import { Opened, PAINTED } from "./opened.js";
import { orientationOf, upright } from "./orientation.js";
import { png } from "./png.js";
import { digits, metadata, sizeOf, structure } from "./structure.js";
import { theme } from "./theme.js";
import { Viewer, controls } from "./viewing.js";

/** @param {string} id @returns {HTMLElement} */
const element = (id) => document.getElementById(id);
const [canvas, stage, file, level] = ["picture", "stage", "file", "level"].map(element);
const viewer = new Viewer(stage, canvas, (zoom) => (element("zoom").textContent = `${Math.round(100 * zoom)} %`));

/** @type {Opened | null} */
let opened = null;
/** What is seen. @type {{width: number, height: number, rgba: Uint8ClampedArray} | null} */
let shown = null;
/** Whether pictures still arrive. */
let arriving = false;
/** Ends the decoding of a view that is not looked at any more. */
let looking = new AbortController();
/** Of the last PNG that was saved. */
let address = null;

function say(text, wrong = false) {
  const status = element("status");
  if (status.textContent !== text) status.textContent = text;
  status.parentElement.classList.toggle("wrong", wrong);
}

/** @returns {import("./opened.js").View} what is chosen */
function chosen() {
  return { view: document.querySelector("[name=view]:checked").value, level: level.valueAsNumber };
}

function close() {
  looking.abort();
  opened?.close();
  [opened, shown, arriving] = [null, null, false];
  viewer.clear();
  forget();
  canvas.setAttribute("aria-label", "No picture");
  element("structure").replaceChildren();
  for (const id of ["structure", "depth", "whole"]) element(id).hidden = true;
  for (const id of ["welcome", "nothing"]) element(id).hidden = false;
  for (const id of ["views", "zooms", "save"]) element(id).disabled = true;
  document.title = "cray";
}

function forget() {
  if (address) URL.revokeObjectURL(address);
  address = null;
}

/** Opens what a file, or anything with such bytes, has; the one before is closed, even while it is decoded. */
async function open(blob) {
  close();
  const mine = (opening = {});
  const name = blob.name ?? "picture.cray";
  say(`Reading ${name}…`);
  try {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    if (mine !== opening) return;
    opened = new Opened(name, bytes);
  } catch (error) {
    if (mine === opening) complain(name, error);
    return;
  }
  document.title = `${name} – cray`;
  element("structure").replaceChildren(...structure(name, opened.info));
  element("structure").hidden = false;
  element("nothing").hidden = element("welcome").hidden = true;
  await decoding();
}
let opening = null;

/** Opens what is at an address of the page's own host: `?open=photo.cray`. @param {URL} address */
async function load(address) {
  const name = nameIn(address);
  say(`Reading ${name}…`);
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`it cannot be read (status ${answer.status})`);
    await open(Object.assign(await answer.blob(), { name }));
  } catch (error) {
    complain(name, new CrayError(error.message));
  }
}

function nameIn({ pathname }) {
  const last = pathname.split("/").at(-1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // not UTF-8
  }
}

/** All pictures on the way to the painted one; those that are looked for are shown. */
async function decoding() {
  const mine = opened;
  prepare();
  const start = performance.now();
  arriving = true;
  say(`Decoding ${mine.name}…`);
  try {
    for await (const picture of mine.arriving()) {
      if (mine !== opened) return;
      arrived(picture);
    }
    arriving = false;
    say(summary(mine, (performance.now() - start) / 1000));
    await look();
  } catch (error) {
    if (mine !== opened || error.name === "AbortError") return;
    arriving = false;
    complain(mine.name, error);
  }
}

/** What of the controls this file has. */
function prepare() {
  const { levels, info } = opened;
  const has = { grey: true, levels: levels > 1, guided: info.grids.length > 0, painted: true };
  for (const input of document.querySelectorAll("[name=view]")) input.disabled = !has[input.value];
  if (document.querySelector("[name=view]:checked").disabled) document.querySelector("[value=painted]").checked = true;
  Object.assign(level, { max: Math.max(1, levels), value: Math.min(level.valueAsNumber, Math.max(1, levels)) });
  element("whole").hidden = !opened.canBeWhole;
  nameLevel();
}

function nameLevel() {
  const { view, level: number } = chosen();
  const { grids } = opened.info;
  element("depth").hidden = view !== "levels";
  const spacing = grids[number - 1]?.spacing;
  const text = `${number} of ${level.max}: ${spacing} × ${spacing} pixels a cell`;
  if (view === "levels") {
    element("levelName").textContent = text;
    level.setAttribute("aria-valuetext", text);
  }
  const last = view === "levels" ? spacing : view === "grey" ? null : grids.at(-1)?.spacing;
  for (const row of document.querySelectorAll("tr[data-spacing]")) row.classList.toggle("chosen", Number(row.dataset.spacing) === last);
}

/** Something on the way: shown where it is what is looked for, or nearer to it than what is seen. */
function arrived(picture) {
  if (!shown) element("structure").append(...metadata(picture.metadata));
  const { view } = chosen();
  const known = opened.known(chosen());
  if (view === "painted" || !shown) show(picture);
  else if (known) show(known);
}

function show(picture) {
  shown = upright(picture, orientationOf(opened.metadata));
  viewer.show(shown, opened.info.alpha !== null);
  for (const id of ["views", "zooms", "save"]) element(id).disabled = false;
  canvas.setAttribute("aria-label", `${opened.name}, ${shown.width} × ${shown.height} pixels, ${titleOf(picture)}`);
}

function titleOf({ stage: found, grid }) {
  if (found === "level") return `level of ${grid.spacing} × ${grid.spacing} pixels a cell`;
  return found;
}

/** Shows what is chosen; decodes it if need be. */
async function look() {
  looking.abort();
  if (!opened) return;
  looking = new AbortController();
  const [mine, { signal }, view] = [opened, looking, chosen()];
  nameLevel();
  const known = mine.known(view);
  if (known) return show(known);
  if (arriving) return;
  try {
    say(`Decoding ${mine.name}…`);
    const picture = await mine.picture(view, signal);
    if (signal.aborted || mine !== opened) return;
    show(picture);
    say(summary(mine));
  } catch (error) {
    if (!signal.aborted && mine === opened && error.name !== "AbortError") complain(mine.name, error);
  }
}

function summary({ name, info, scale }, seconds) {
  const { width, height, size } = info;
  const reduced = scale > 1 ? `, shown reduced to 1/${scale} of each side so that no more than ${Math.round(PAINTED / 1e6)} megapixels are painted` : "";
  const time = seconds === undefined ? "" : `, decoded in ${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return `${name}: ${digits(width)} × ${digits(height)} pixels, ${sizeOf(size)}${reduced}${time}.`;
}

function complain(name, error) {
  if (!shown) {
    element("welcome").hidden = false;
    element("views").disabled = true;
  }
  say(`${name}: ${error.message}`, true);
  if (!(error instanceof CrayError)) console.error(error);
}

async function save() {
  const [mine, picture] = [opened, shown];
  say("Writing a PNG…");
  const blob = await png(picture);
  if (mine !== opened) return;
  forget();
  address = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: address, download: `${mine.name.replace(/\.cray$/i, "")}.png` });
  link.click();
  say(`${link.download}: ${digits(picture.width)} × ${digits(picture.height)} pixels, ${sizeOf(blob.size)}, without metadata.`);
}

/** The first file of what was dropped or pasted. */
function take(event) {
  const found = event.dataTransfer ?? event.clipboardData;
  const given = found?.files?.[0];
  event.preventDefault();
  if (given) open(given);
  else if (found?.types.length) say("Nothing was opened: expected a .cray file.", true);
}

const on = (id, listener) => element(id).addEventListener("click", listener);
for (const id of ["open", "choose"]) on(id, () => file.click());
file.addEventListener("change", () => {
  if (file.files[0]) open(file.files[0]);
  file.value = ""; // so that the same file can be chosen again
});
on("save", save);
controls(viewer);
on("whole", () => {
  looking.abort();
  opened.restart(1);
  decoding();
});
for (const input of document.querySelectorAll("[name=view]")) input.addEventListener("change", look);
level.addEventListener("input", look);

let inside = 0;
const dropping = (change) => stage.classList.toggle("dropping", (inside = Math.max(0, inside + change)) > 0);
addEventListener("dragenter", () => dropping(1));
addEventListener("dragleave", () => dropping(-1));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  dropping(-inside);
  take(event);
});
addEventListener("paste", take);
addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "o") return file.click();
  const own = key.startsWith("Arrow") ? target.closest?.("input, aside") : null;
  if (!own && viewer.key(key)) event.preventDefault();
});
addEventListener("pagehide", forget);
theme();
close();
const given = new URLSearchParams(location.search).get("open");
if (given) load(new URL(given, location.href));
else if ("serviceWorker" in navigator) navigator.serviceWorker.register("offline.js").catch(() => {}); // not everywhere, and not needed
