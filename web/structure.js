/** What a file is made of, as elements: sizes, chunks, levels, metadata. */
import { exif } from "./orientation.js";

const CHUNKS = {
  HEAD: "header", GRID: "colours", LGHT: "lightness", ALPH: "alpha", CEND: "end",
  eXIf: "EXIF", iCCP: "ICC profile", xMPd: "XMP", shoW: "painting",
};
const METADATA = { exif: "EXIF", icc_profile: "ICC profile", xmp: "XMP" };
const CODERS = { zstd: "lossless, zstd", webp: "WebP", avif: "AVIF" };
/** Chunks that have a line of their own. */
const MOST_ROWS = 100;

/** @param {number} count with separators of thousands @returns {string} */
export const digits = (count) => count.toLocaleString("en-GB");

/** @param {number} bytes */
export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const [unit, name] = bytes < 1e6 ? [1e3, "kB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(bytes / unit).toPrecision(3)} ${name}`;
}

/**
 * @param {string} name
 * @param {import("./cray.js").Info} info
 * @returns {HTMLElement[]}
 */
export function structure(name, info) {
  const { width, height, size, lightness, alpha, painting, version } = info;
  const facts = {
    Name: name,
    Picture: `${digits(width)} × ${digits(height)} pixels, ${megapixels(width * height)}`,
    Size: `${digits(size)} bytes, ${((8 * size) / (width * height)).toPrecision(3)} bits per pixel`,
    Lightness: CODERS[lightness.coder] + (lightness.quality === null ? "" : `, quality ${lightness.quality}`),
    Alpha: alpha ? CODERS[alpha.coder] : "none",
    Colours: coloursOf(info),
    ...(painting && { Painting: painting === "refined" ? "with a network, the file says" : "without a network, the file says" }),
    Format: version,
  };
  return [...section("File", list(facts)), ...section("Chunks", chunks(info)), ...levels(info)];
}

/** @param {import("./cray.js").Picture["metadata"]} metadata @returns {HTMLElement[]} */
export function metadata(metadata) {
  const said = exif(metadata.exif);
  if (said.Orientation) said.Orientation = `${said.Orientation}${said.Orientation === 1 ? "" : ", shown upright"}`;
  const sizes = Object.entries(METADATA).filter(([key]) => metadata[key]).map(([key, title]) => [title, digits(metadata[key].length) + " bytes"]);
  return section("Metadata", sizes.length ? list({ ...said, ...Object.fromEntries(sizes) }) : make("p", "None.", "quiet"));
}

function megapixels(pixels) {
  return `${(pixels / 1e6).toPrecision(pixels < 1e6 ? 2 : 3)} MP`;
}

function coloursOf({ grids }) {
  if (grids.length === 0) return "none";
  const [{ coder, spacing }] = grids;
  if (coder === "nested") return `${grids.length} nested ${grids.length === 1 ? "level" : "levels"}`;
  return coder === "palette" ? "a palette" : `one grid, a cell for ${spacing} × ${spacing} pixels`;
}

function chunks({ chunks, size }) {
  const rows = chunks.slice(0, MOST_ROWS).map(({ type, offset, size: bytes }) => {
    const row = make("tr");
    const share = make("td", `${((100 * bytes) / size).toFixed(1)} %`, "number");
    const bar = make("div", "", "share");
    bar.style.width = `${(100 * bytes) / size}%`;
    share.append(bar);
    const title = make("th");
    title.scope = "row";
    title.append(make("code", type), ` ${CHUNKS[type] ?? ""}`);
    row.append(title, make("td", digits(offset), "number"), make("td", digits(bytes), "number"), share);
    return row;
  });
  const found = table(["Chunk", "Offset", "Bytes", "Share"], rows);
  if (chunks.length <= MOST_ROWS) return found;
  const both = make("div");
  both.append(found, make("p", `And ${digits(chunks.length - MOST_ROWS)} more.`, "quiet"));
  return both;
}

function levels({ grids }) {
  if (grids.length === 0) return [];
  const rows = grids.map(({ spacing, columns, rows, step, size }, k) => {
    const row = make("tr");
    row.dataset.spacing = spacing;
    const facts = [`${spacing} × ${spacing}`, `${digits(columns)} × ${digits(rows)}`, step.toPrecision(3), size === null ? "with next" : digits(size)];
    row.append(make("td", `${k + 1}`), ...facts.map((text) => make("td", text, "number")));
    return row;
  });
  return section(grids[0].coder === "nested" ? "Levels of colour" : "Grid of colour", table(["", "Pixels", "Cells", "Step", "Bytes"], rows));
}

function section(title, ...content) {
  return [make("h2", title), ...content];
}

function list(facts) {
  const found = make("dl");
  for (const [name, value] of Object.entries(facts)) found.append(make("dt", name), make("dd", String(value)));
  return found;
}

function table(titles, rows) {
  const [found, head, body] = [make("table"), make("thead"), make("tbody")];
  const line = make("tr");
  titles.forEach((title, k) => {
    const cell = make(title ? "th" : "td", title, k ? "number" : "");
    if (title) cell.scope = "col";
    line.append(cell);
  });
  head.append(line);
  body.append(...rows);
  found.append(head, body);
  return found;
}

/** @returns {HTMLElement} text is text, whatever a file says */
function make(tag, text = "", className = "") {
  const found = document.createElement(tag);
  if (text) found.textContent = text;
  if (className) found.className = className;
  return found;
}
