/** docs/format.md, sections 1, 8 and 11: a file's chunks and their fields, checked; nothing is decoded. */
import { CrayError, check } from "./failure.js";

const MAGIC = [0x89, 0x43, 0x52, 0x59, 0x0d, 0x0a, 0x1a, 0x0a];
const ORDER = ["HEAD", "GRID", "LGHT", "ALPH", "CEND"];
/** Bytes of fields that a chunk begins with. */
const FIELDS = { HEAD: 13, GRID: 1, LGHT: 2, ALPH: 1, CEND: 0 };
/** Metadata chunks and what they are called in a picture. */
const METADATA = { eXIf: "exif", iCCP: "icc_profile", xMPd: "xmp" };
const FRAME = 12;
const MOST_GRIDS = 16;
export const PLANE_CODERS = ["zstd", "webp", "avif"];
export const GRID_CODERS = ["zstd", "webp", "nested", "palette"];
const SAMPLINGS = ["mean", "point"];
const WAYS = ["guided", "refined"];

/** What a file may ask for; checked before anything of that size is asked of memory. */
export const LIMITS = { pixels: 178_956_970, side: 262_144, metadata: 64 << 20, ancillary: 1000 };

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 (ISO 3309) of bytes. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = -1;
  for (let k = 0; k < bytes.length; k++) crc = (crc >>> 8) ^ CRC[(crc ^ bytes[k]) & 255];
  return ~crc >>> 0;
}

/**
 * @typedef {{type: string, offset: number, size: number}} Chunk offset of its length field; size with framing
 * @typedef {{spacing: number, sampling: string, step: number, coder: string, network: number,
 *   levels: number, payload: Uint8Array}} Grid step in 1/256 of a CIELAB unit
 * @typedef {{coder: string, quality: number | null, payload: Uint8Array}} Plane
 * @typedef {{width: number, height: number, minor: number, grids: Grid[], lightness: Plane, alpha: Plane | null,
 *   metadata: {[name: string]: Uint8Array}, way: string | null, chunks: Chunk[]}} CrayFile
 */

/**
 * @param {Uint8Array} bytes the whole file
 * @param {Partial<typeof LIMITS>} [limits]
 * @param {boolean} [whole] whether CRC-32s are checked
 * @returns {CrayFile}
 * @throws {CrayError} for whatever section 8 refuses and can be seen without decoding
 */
export function read(bytes, limits = {}, whole = true) {
  const allowed = { ...LIMITS, ...limits };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  check(bytes.length > 0, "file is empty, expected a .cray file");
  check(MAGIC.every((byte, k) => bytes[k] === byte), "not a .cray file: its first eight bytes are others");
  const file = { grids: [], alpha: null, metadata: {}, way: null, chunks: [] };
  const ancillary = { count: 0, size: 0 };
  let position = MAGIC.length;
  let rank = -1;
  while (rank < ORDER.length - 1) {
    const { type, size } = frame(bytes, view, position);
    const payload = bytes.subarray(position + 8, position + 8 + size);
    if (whole) {
      const stored = view.getUint32(position + 8 + size);
      const found = crc32(bytes.subarray(position + 4, position + 8 + size));
      const where = `chunk ${type} at offset ${position}`;
      check(stored === found, `${where}: CRC-32 is ${hex(found)}, the file says ${hex(stored)}`);
    }
    if (ORDER.includes(type)) rank = takeCritical(file, type, payload, position, rank, allowed);
    else takeAncillary(file, type, payload, position, rank, ancillary, allowed);
    file.chunks.push({ type, offset: position, size: size + FRAME });
    position += size + FRAME;
  }
  check(position === bytes.length, `${bytes.length - position} bytes after CEND at offset ${position}, expected none`);
  check(file.lightness, "no LGHT chunk, expected one");
  checkGrids(file);
  return file;
}

function hex(number) {
  return number.toString(16).padStart(8, "0");
}

function frame(bytes, view, position) {
  check(position + 8 <= bytes.length, `file ends at offset ${bytes.length}, expected a chunk`);
  const size = view.getUint32(position);
  const letters = bytes.subarray(position + 4, position + 8);
  const type = String.fromCharCode(...letters);
  check(/^[A-Za-z]{4}$/.test(type), `chunk type at offset ${position + 4}: expected four letters`);
  const left = Math.max(0, bytes.length - position - FRAME);
  const fits = size < 2 ** 31 && position + size + FRAME <= bytes.length;
  check(fits, `chunk ${type} at offset ${position} claims ${size} bytes, the file ends after ${left}`);
  return { type, size };
}

/** @returns {number} the chunk's place in ORDER */
function takeCritical(file, type, payload, offset, before, limits) {
  const rank = ORDER.indexOf(type);
  const repeated = rank === before && type !== "GRID";
  const misplaced = (file.width === undefined) !== (type === "HEAD") || rank < before || repeated;
  check(!misplaced, `chunk ${type} at offset ${offset} is out of order`);
  if (type === "HEAD" && payload.length > 0)
    check(payload[0] === 1, `format version ${payload[0]}, this decoder reads version 1`);
  const fixed = type === "HEAD" || type === "CEND";
  check(
    fixed ? payload.length === FIELDS[type] : payload.length >= FIELDS[type],
    `chunk ${type} at offset ${offset} has ${payload.length} bytes, not what it must have`,
  );
  const fields = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (type === "HEAD") takeHead(file, fields, limits);
  else if (type === "GRID") {
    check(file.grids.length < file.count, countOfGrids(file.grids.length + 1, file.count));
    file.grids.push(gridOf(payload, fields, `GRID at offset ${offset}:`));
  } else if (type === "LGHT") {
    const quality = payload[1];
    check(quality <= 100 || quality === 255, `LGHT at offset ${offset}: quality is ${quality}, expected 0 to 100 or 255`);
    const coder = named(payload[0], PLANE_CODERS, `LGHT at offset ${offset}: coder`);
    file.lightness = { coder, quality: quality === 255 ? null : quality, payload: payload.subarray(2) };
  } else if (type === "ALPH") {
    const coder = named(payload[0], PLANE_CODERS.slice(0, 2), `ALPH at offset ${offset}: coder`);
    file.alpha = { coder, quality: null, payload: payload.subarray(1) };
  }
  return rank;
}

function named(number, names, what) {
  check(number < names.length, `${what} is ${number}, expected 0 to ${names.length - 1}`);
  return names[number];
}

function countOfGrids(found, said) {
  return `${found} GRID chunks, HEAD says ${said}`;
}

function takeHead(file, fields, limits) {
  const width = fields.getUint32(2);
  const height = fields.getUint32(6);
  check(width > 0 && height > 0, `picture is ${width} x ${height}, expected at least 1 x 1`);
  const [pixels, side] = [width * height, Math.max(width, height)];
  check(pixels <= limits.pixels, `picture is ${width} x ${height} = ${pixels} pixels, the limit is ${limits.pixels}`);
  check(side <= limits.side, `picture is ${width} x ${height}, the limit of a side is ${limits.side}`);
  const [color, depth, count] = [10, 11, 12].map((offset) => fields.getUint8(offset));
  check(color === 1, `colour transform ${color}, expected 1 (CIELAB, D65)`);
  check(depth === 8, `lightness depth ${depth}, expected 8`);
  check(count <= MOST_GRIDS, `${count} colour grids, expected 0 to ${MOST_GRIDS}`);
  Object.assign(file, { width, height, minor: fields.getUint8(1), count });
}

/** Bytes of fields that a GRID chunk begins with, by its coder. */
const GRID_FIELDS = { zstd: 6, webp: 6, nested: 5, palette: 3 };

/** @returns {Grid} */
function gridOf(payload, fields, where) {
  const coder = named(payload[0], GRID_CODERS, `${where} coder`);
  const size = GRID_FIELDS[coder];
  check(payload.length >= size, `${where} ${coder} in ${payload.length} bytes, expected at least ${size}`);
  const step = fields.getUint16(size - 2);
  const grid = { spacing: 1, sampling: "mean", step, coder, network: 0, levels: 1, payload: payload.subarray(size) };
  if (coder === "nested") {
    const [, network, sizes] = payload;
    Object.assign(grid, { network, spacing: 1 << (sizes >> 4), levels: 1 + (sizes & 15) });
    const said = `${grid.levels} nested grids from n = ${grid.spacing}`;
    check(grid.spacing >> (grid.levels - 1) >= 1, `${where} ${said}, expected none below n = 1`);
  } else if (coder !== "palette") {
    grid.spacing = fields.getUint16(1);
    grid.sampling = named(payload[3], SAMPLINGS, `${where} sampling`);
  }
  check(grid.spacing > 0 && step > 0, `${where} spacing n is ${grid.spacing} and step ${step}, expected 1 to 65535`);
  return grid;
}

function takeAncillary(file, type, payload, offset, rank, ancillary, limits) {
  check(rank >= 0, `chunk ${type} at offset ${offset}, expected HEAD`);
  check(type[0] >= "a", `unknown critical chunk ${type} at offset ${offset}, made by a newer version?`);
  ancillary.count += 1;
  check(ancillary.count <= limits.ancillary, `more than ${limits.ancillary} ancillary chunks at offset ${offset}`);
  const name = Object.hasOwn(METADATA, type) ? METADATA[type] : null;
  ancillary.size += payload.length + (name ? 0 : FRAME);
  check(ancillary.size <= limits.metadata, `ancillary chunks exceed ${limits.metadata} bytes at offset ${offset}`);
  if (type === "shoW" && payload.length === 1 && payload[0] < WAYS.length) file.way ??= WAYS[payload[0]];
  if (!name) return;
  check(!(name in file.metadata), `chunk ${type} at offset ${offset} is there twice`);
  file.metadata[name] = payload;
}

/** What a picture's grids are together: one, or levels that nest. */
function checkGrids({ grids, count }) {
  check(grids.length === count, countOfGrids(grids.length, count));
  let spacing = grids[0]?.spacing;
  for (const grid of grids) {
    const alike = grids.length === 1 || grid.coder === "nested";
    check(alike, `${grids.length} GRID chunks, one of them ${grid.coder}, expected nested ones only`);
    if (grid.spacing !== spacing || grid.network !== grids[0].network)
      throw new CrayError(
        `GRID of n = ${grid.spacing}, network ${grid.network}, ` +
          `expected n = ${spacing}, network ${grids[0].network}`,
      );
    spacing = Math.floor(grid.spacing / 2 ** grid.levels);
  }
}

/** Spacings of all levels of nested grids, from the coarsest on. @param {Grid[]} grids */
export function spacings(grids) {
  return grids.flatMap(({ spacing, levels }) => Array.from({ length: levels }, (_, k) => spacing >> k));
}

/** Whether the colours are levels of nested grids. @param {CrayFile} file */
export function isNested(file) {
  return file.grids.length > 0 && file.grids[0].coder === "nested";
}
