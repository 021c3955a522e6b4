/** The gallery: cards of all pictures, of which there are as many as are seen. */
import { digits, sizeOf } from "../structure.js";
import { theme } from "../theme.js";
import { address, ask, make } from "./server.js";

const element = (id) => document.getElementById(id);
const [scroll, cards, filter] = ["scroll", "cards", "filter"].map(element);
/** Of a card, in pixels: what it has at least, and its height. */
const [LEAST, HEIGHT] = [168, 216];
/** Rows that are there before and behind those that are seen. */
const AROUND = 1;
/** Milliseconds after which a card asks for its picture. */
const SOON = 60;

/** @typedef {{address?: string, name: string, size?: number, changed?: string, cray?: boolean, error?: string}} File */
/** @type {File[]} */
let files = [];
/** Those of them that are shown. @type {File[]} */
let shown = [];
/** Cards that are there, by what is on them. @type {Map<File, HTMLElement>} */
const there = new Map();
let columns = 1;

/** Where a click leads. */
function target({ address: place, cray }) {
  return cray ? `../index.html?open=${encodeURIComponent(address(`files/${place}`))}` : comparing(place);
}

const comparing = (place) => `comparing.html?picture=${encodeURIComponent(place)}`;

/** @param {File} file @param {number} position */
function card(file, position) {
  const item = make("li", "card");
  item.setAttribute("aria-setsize", shown.length);
  item.setAttribute("aria-posinset", position + 1);
  const link = make("a");
  const frame = make("div", "frame");
  const facts = file.error ? "a folder" : `${file.name.split(".").at(-1).toLowerCase()}, ${sizeOf(file.size)}`;
  const name = make("div", "name", file.name.split("/").at(-1));
  name.title = file.name;
  link.append(frame, name, make("div", "facts", facts));
  item.append(link);
  if (file.error) frame.append(make("p", "fault", file.error));
  else {
    link.href = target(file);
    picture(frame, file);
    if (file.cray) item.append(other(file));
  }
  return item;
}

function other({ address: place, name }) {
  const link = make("a", "compare", "Compare");
  link.href = comparing(place);
  link.setAttribute("aria-label", `Compare ${name} with other codecs`);
  return link;
}

/** Its thumbnail, or the line that says why there is none. */
function picture(frame, file) {
  const source = address(`thumbnails/${file.address}`, { changed: file.changed });
  const image = Object.assign(make("img"), { alt: "", decoding: "async" });
  image.addEventListener("error", async () => {
    if (!image.isConnected) return;
    const reason = await ask(source).then(() => "it cannot be shown", (error) => error.message);
    frame.replaceChildren(make("p", "fault", reason));
  });
  frame.append(image);
  // Cards that are scrolled past ask for nothing.
  setTimeout(() => image.isConnected && (image.src = source), SOON);
}

/** Has the cards there that are seen, each in its place. */
function place() {
  const width = scroll.clientWidth;
  columns = Math.max(1, Math.floor(width / LEAST));
  const wide = width / columns;
  cards.style.height = `${Math.ceil(shown.length / columns) * HEIGHT}px`;
  const top = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - AROUND) * columns;
  const end = (Math.ceil((scroll.scrollTop + scroll.clientHeight) / HEIGHT) + AROUND) * columns;
  const seen = new Set(shown.slice(top, end));
  for (const [file, item] of there)
    if (!seen.has(file)) {
      item.querySelector("img")?.removeAttribute("src"); // nobody waits for it any more
      item.remove();
      there.delete(file);
    }
  [...seen].forEach((file, k) => {
    const position = top + k;
    if (!there.has(file)) {
      there.set(file, card(file, position));
      const next = shown.slice(position + 1, end).find((each) => there.has(each));
      cards.insertBefore(there.get(file), next ? there.get(next) : null); // the order of the Tab key
    }
    const item = there.get(file);
    item.style.width = `${wide}px`;
    item.style.height = `${HEIGHT}px`;
    item.style.transform = `translate(${(position % columns) * wide}px, ${Math.floor(position / columns) * HEIGHT}px)`;
  });
}

function show() {
  const asked = filter.value.toLowerCase();
  shown = asked ? files.filter(({ name }) => name.toLowerCase().includes(asked)) : files;
  for (const item of there.values()) item.remove();
  there.clear();
  scroll.scrollTop = 0;
  place();
  const bytes = shown.reduce((sum, { size = 0 }) => sum + size, 0);
  const count = (pictures) => `${digits(pictures)} ${pictures === 1 ? "picture" : "pictures"}`;
  element("status").textContent = shown.length || asked ? `${count(shown.length)}${asked ? ` of ${digits(files.length)}` : ""}, ${sizeOf(bytes)}.` : "There are no pictures.";
}

/** Arrows move from card to card, also to those that are not there yet. */
function move(event) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity };
  const current = [...there].find(([, item]) => item.contains(document.activeElement))?.[0];
  if (!(event.key in steps) || !current || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const goal = Math.max(0, Math.min(shown.length - 1, shown.indexOf(current) + steps[event.key]));
  const row = Math.floor(goal / columns) * HEIGHT;
  scroll.scrollTop = Math.max(row + HEIGHT - scroll.clientHeight, Math.min(row, scroll.scrollTop));
  place();
  there.get(shown[goal])?.querySelector("a").focus({ preventScroll: true });
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    place();
  });
}

scroll.addEventListener("scroll", soon, { passive: true });
new ResizeObserver(soon).observe(scroll);
filter.addEventListener("input", show);
cards.addEventListener("keydown", move);
theme();
try {
  const found = await (await ask(address("files"))).json();
  files = found.files;
  document.title = `${found.given.join(", ")} – cray`;
  show();
} catch (error) {
  element("status").textContent = error.message;
  element("status").parentElement.classList.add("wrong");
}
