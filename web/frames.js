/** docs/format.md, sections 4 to 6: Zstandard frames of planes and grids, and palettes. */
import { decompress } from "./vendor/fzstd/index.mjs";
import { CrayError, check } from "./failure.js";

const MAGIC = 0xfd2fb528;
const MOST_WINDOW = 2 ** 27;
const BLOCK_HEADER = 3;

/**
 * One frame that says its content's size, and nothing after it.
 * @param {Uint8Array} data
 * @param {number} size of the content
 * @param {string} what is named in complaints
 * @returns {Uint8Array}
 * @throws {CrayError}
 */
export function unpack(data, size, what) {
  const header = headerOf(data, what);
  check(header.content === size, `${what}: zstd frame holds ${header.content} bytes, expected ${size}`);
  const checksum = data.subarray(endOfBlocks(data, header.size, size, what));
  const ends = checksum.length === (header.checksum ? 4 : 0);
  check(ends, `${what}: damaged zstd frame (${checksum.length} bytes after its blocks)`);
  let content;
  try {
    content = decompress(data, new Uint8Array(size));
  } catch (error) {
    throw new CrayError(`${what}: damaged zstd frame (${error.message})`);
  }
  check(content.length === size, `${what}: zstd frame ends after ${content.length} bytes, expected ${size}`);
  if (header.checksum) {
    const stored = new DataView(checksum.buffer, checksum.byteOffset).getUint32(0, true);
    check(stored === Number(xxh64(content) & 0xffffffffn), `${what}: damaged zstd frame (checksum)`);
  }
  return content;
}

/** RFC 8878, 3.1.1.1. */
function headerOf(data, what) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  check(data.length >= 6 && view.getUint32(0, true) === MAGIC, `${what}: no zstd frame`);
  const descriptor = data[4];
  const single = (descriptor >> 5) & 1;
  const contentBytes = [single, 2, 4, 8][descriptor >> 6];
  check(contentBytes > 0, `${what}: zstd frame without its content's size`);
  check((descriptor & 0b1011) === 0, `${what}: zstd frame with a dictionary or reserved bits, expected none`);
  const start = single ? 5 : 6;
  check(data.length >= start + contentBytes, `${what}: zstd frame ends early`);
  let content = contentBytes === 2 ? 256 : 0;
  for (let k = 0; k < contentBytes; k++) content += data[start + k] * 2 ** (8 * k);
  const base = 2 ** (10 + (data[5] >> 3));
  check(single || base * (1 + (data[5] & 7) / 8) <= MOST_WINDOW, `${what}: zstd frame with a window above ${MOST_WINDOW} bytes`);
  return { content, size: start + contentBytes, checksum: Boolean(descriptor & 4) };
}

/** Where the last block ends; blocks of one repeated byte must not hold more than the content. */
function endOfBlocks(data, start, content, what) {
  for (let [at, held, last] = [start, 0, false]; ; ) {
    check(at + BLOCK_HEADER <= data.length, `${what}: zstd frame ends early`);
    const header = data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
    const [kind, size] = [(header >> 1) & 3, header >> 3];
    last = Boolean(header & 1);
    check(kind < 3, `${what}: damaged zstd frame (block of type 3)`);
    if (kind < 2) held += size;
    at += BLOCK_HEADER + (kind === 1 ? 1 : size);
    check(held <= content, `${what}: zstd frame holds more than ${content} bytes`);
    check(at <= data.length, `${what}: zstd frame ends early`);
    if (last) return at;
  }
}

const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n,
];
const wrap = (number) => BigInt.asUintN(64, number);
const turned = (number, by) => wrap((number << by) | (number >> (64n - by)));
const mixed = (sum, lane) => wrap(turned(wrap(sum + lane * P2), 31n) * P1);

/** The checksum of Zstandard frames (RFC 8878, 3.1.1), which encoders of .cray do not write. */
function xxh64(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let [at, hash] = [0, P5];
  if (bytes.length >= 32) {
    const sums = [wrap(P1 + P2), P2, 0n, wrap(-P1)];
    for (; at + 32 <= bytes.length; at += 32)
      for (let k = 0; k < 4; k++) sums[k] = mixed(sums[k], view.getBigUint64(at + 8 * k, true));
    hash = wrap(turned(sums[0], 1n) + turned(sums[1], 7n) + turned(sums[2], 12n) + turned(sums[3], 18n));
    for (const sum of sums) hash = wrap((hash ^ mixed(0n, sum)) * P1 + P4);
  }
  hash = wrap(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8)
    hash = wrap(turned(hash ^ mixed(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
  if (at + 4 <= bytes.length) {
    hash = wrap(turned(hash ^ wrap(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = wrap(turned(hash ^ wrap(BigInt(bytes[at]) * P5), 11n) * P1);
  hash = wrap((hash ^ (hash >> 33n)) * P2);
  hash = wrap((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}

/** Section 6, 8 bits: u8[height, width]. @param {import("./engine.js").Engine} engine @throws {CrayError} */
export function plane(engine, data, width, height, what) {
  const z = unpack(data, width * height, what);
  return engine.within(() => {
    const residual = engine.take(4 * z.length);
    const out = engine.take(z.length);
    const residuals = engine.view(Int32Array, residual, z.length);
    for (let k = 0; k < z.length; k++) residuals[k] = (z[k] >> 1) ^ -(z[k] & 1);
    engine.kernels.restore_u8(residual, out, height, width);
    return engine.view(Uint8Array, out, z.length).slice();
  });
}

/** Section 6, 16 bits: i16[2, height, width]. @throws {CrayError} */
export function samples(engine, data, width, height, what) {
  const size = width * height;
  const content = unpack(data, 4 * size, what);
  const found = new Int16Array(2 * size);
  const residual = new Int32Array(2 * size);
  for (let k = 0; k < 2 * size; k++) {
    const z = content[k] | (content[2 * size + k] << 8);
    residual[k] = (z >> 1) ^ -(z & 1);
  }
  for (let plane = 0; plane < 2; plane++)
    found.set(restored(engine, residual.subarray(plane * size, (plane + 1) * size), width, height), plane * size);
  return found;
}

/** Residuals i32[height, width] to i16. @param {import("./engine.js").Engine} engine @returns {Int16Array} */
export function restored(engine, residual, width, height) {
  return engine.within(() => {
    const given = engine.put(residual);
    const out = engine.take(2 * residual.length);
    engine.kernels.restore_i16(given, out, height, width);
    return engine.view(Int16Array, out, residual.length).slice();
  });
}

/** Section 5, palette: i16[2, H, W] of the stored lightness. @param {Uint8Array} lightness @throws {CrayError} */
export function palette(data, lightness, what) {
  check(data.length >= 2, `${what}: palette in ${data.length} bytes, expected at least 2`);
  const colors = data[0] * 256 + data[1];
  const content = unpack(data.subarray(2), 5 * colors + lightness.length, what);
  const [counts, firsts] = [new Uint32Array(256), new Uint32Array(256)];
  for (let k = 0; k < colors; k++) {
    const rises = k === 0 || content[k - 1] <= content[k];
    check(rises, `${what}: colours of the palette are not in the order of their lightness`);
    if (counts[content[k]]++ === 0) firsts[content[k]] = k;
  }
  const value = (plane, k) => content[(1 + plane) * colors + k] | ((content[(3 + plane) * colors + k] << 24) >> 16);
  const out = new Int16Array(2 * lightness.length);
  for (let at = 0; at < lightness.length; at++) {
    const index = content[5 * colors + at];
    check(index < counts[lightness[at]], `${what}: a pixel has a colour that its lightness does not have`);
    const color = firsts[lightness[at]] + index;
    out[at] = value(0, color);
    out[lightness.length + at] = value(1, color);
  }
  return out;
}
