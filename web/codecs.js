/**
 * docs/format.md, section 4: AVIF and WebP codestreams to planes, exactly. Browsers have several ways to their decoders,
 * not all of which give what is coded: the first is taken that decodes small pictures of known values.
 */
import { CrayError, check } from "./failure.js";
import { avifSize, webpSize } from "./headers.js";
import { crc32 } from "./reader.js";
import { isNode, resource } from "./resources.js";

/** Sides and pixels that coders have. */
const MOST = { avif: { side: 32768, pixels: 2 ** 28 }, webp: { side: 16383, pixels: 178_956_970 } };
const SIDE = 16;
/** Codestreams of 16 x 16 pixels, and CRC-32s of their red. */
const KNOWN = {
  avif: [
    [
      "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAAOltZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAAB" +
        "AAAAHmlsb2MAAAAARAAAAQABAAAAAQAAAQ0AAAAnAAAAKGlpbmYAAAAAAAEAAAAaaW5mZQIAAAAAAQAAYXYwMUNvbG9yAAAAAGhpcHJwAAAASWlwY28A" +
        "AAAUaXNwZQAAAAAAAAAQAAAAEAAAAA5waXhpAAAAAAEIAAAADGF2MUOBABwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoME" +
        "AAAAL21kYXQSAAoIGAz/2mAhoNQyGReGIYSSZQAAOtaASull2LfJUc6117ywEw4=",
      0xed911811,
    ],
  ],
  webp: [
    [
      "UklGRqoAAABXRUJQVlA4TJ0AAAAvD8ADAM1VIaL/AYgB2LZtskMSIEB5/P9n0vFGRMTz9r3fPrdbff4vl9f1giI7qkWO6x3TKwB5t2uwzSZ4Ca+9oxEh" +
        "OZPN1oC26qCGMns0SmirEhQxIHLmSS84tzo50WTuSSFRctHye4Fubu/NslNkl2jlll1hlql04L1J6SqdC8DIbXaqc5WrAG1GLbMVYm9+qJHufvcihOLR" +
        "cuQEAA==",
      0xe9cadd4b,
    ],
    ["UklGRjIAAABXRUJQVlA4ICYAAACQAQCdASoQABAAAoBCJaQAAuaKLwAA/vsArETCG1bRN3R50GQAAA==", 0xfe88fca0],
  ],
};

/** @typedef {{red: Uint8Array, green: Uint8Array}} Channels every pixel's */
/** @typedef {(data: Uint8Array, kind: string) => Promise<Channels>} Way */

/** @type {Way} What the decoder itself gives, before any conversion of colours. */
async function imageDecoder(data, kind) {
  const decoder = new ImageDecoder({ data, type: `image/${kind}`, colorSpaceConversion: "none" });
  try {
    const { image } = await decoder.decode();
    const { format, displayWidth: width, displayHeight: height } = image;
    const bytes = new Uint8Array(image.allocationSize());
    const [{ offset, stride }] = await image.copyTo(bytes);
    image.close();
    if (/^(RGB|BGR)[AX]$/.test(format)) return channels(bytes, width, height, format.indexOf("R"), offset, stride, 4);
    check(/^(I4|NV12)/.test(format), `ImageDecoder gives ${format}`);
    const luma = channels(bytes, width, height, 0, offset, stride, 1).red;
    const red = kind === "avif" ? luma : luma.map(redOfLuma);
    return { red, green: red };
  } finally {
    decoder.close();
  }
}

/** As libwebp converts luma, where chroma is 128. */
function redOfLuma(luma) {
  return Math.min(Math.max(((((19077 * luma) >> 8) - 1160) / 64) | 0, 0), 255);
}

/** @type {Way} */
async function canvas(data, kind) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([data], { type: `image/${kind}` }), options);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return channels(context.getImageData(0, 0, width, height).data, width, height, 0, 0, 4 * width, 4);
}

/** Decoders in WebAssembly, loaded when the first codestream needs them. */
const modules = new Map();

/** @type {Way} */
async function webAssembly(data, kind) {
  if (!modules.has(kind)) {
    const loading = load(kind);
    loading.catch(() => modules.delete(kind));
    modules.set(kind, loading);
  }
  const decode = await modules.get(kind);
  const { data: rgba, width, height } = await decode(data.slice().buffer);
  return channels(rgba, width, height, 0, 0, 4 * width, 4);
}

async function load(kind) {
  const { default: decode, init } = await import(`./vendor/${kind}/decode.js`);
  const bytes = await resource(new URL(`./vendor/${kind}/codec/dec/${kind}_dec.wasm`, import.meta.url));
  await init(await WebAssembly.compile(bytes));
  globalThis.ImageData ??= PlainImageData;
  return decode;
}

/** What Node does not have, as decoders make it. */
class PlainImageData {
  constructor(data, width, height) {
    Object.assign(this, { data, width, height });
  }
}

/** Red and green of pixels of so many bytes; green follows red or goes before it. @returns {Channels} */
function channels(bytes, width, height, first, offset, stride, size) {
  const red = new Uint8Array(width * height);
  const green = size === 1 ? red : new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0, from = offset + y * stride; x < width; x++, at++, from += size) {
      red[at] = bytes[from + first];
      if (size > 1) green[at] = bytes[from + 1];
    }
  return { red, green };
}

/** @type {Map<string, Promise<{way: Way, name: string}>>} */
const chosen = new Map();

async function choose(kind) {
  const ways = isNode ? { webAssembly } : { imageDecoder, canvas, webAssembly };
  const failures = [];
  for (const [name, way] of Object.entries(ways)) {
    try {
      for (const [stream, crc] of KNOWN[kind]) {
        const { red } = await way(Uint8Array.from(atob(stream), (letter) => letter.charCodeAt(0)), kind);
        check(red.length === SIDE * SIDE && crc32(red) === crc, "other values than are coded");
      }
      return { way, name };
    } catch (error) {
      failures.push(`${name}: ${error.message}`);
    }
  }
  throw new CrayError(`nothing here decodes ${kind} exactly (${failures.join("; ")})`);
}

/** Which way decodes a kind of codestream here. @param {"avif" | "webp"} kind @throws {CrayError} */
export function wayTo(kind) {
  if (!chosen.has(kind)) {
    const choosing = choose(kind);
    choosing.catch(() => chosen.delete(kind));
    chosen.set(kind, choosing);
  }
  return chosen.get(kind);
}

/**
 * @param {Uint8Array} data
 * @param {"avif" | "webp"} kind
 * @param {number} width
 * @param {number} height
 * @param {string} what is named in complaints
 * @param {boolean} [lossless] whether it must be
 * @returns {Promise<Channels>}
 * @throws {CrayError}
 */
export async function picture(data, kind, width, height, what, lossless = false) {
  const damaged = (reason) => new CrayError(`${what}: damaged ${kind} codestream (${reason})`);
  let size;
  try {
    size = kind === "avif" ? avifSize(data) : webpSize(data);
    check(!lossless || size.lossless, "lossy, expected lossless");
  } catch (error) {
    throw damaged(error.message);
  }
  const says = (found) => `${what}: ${kind} codestream is ${found}, expected ${width} x ${height}`;
  check(size.width === width && size.height === height, says(`${size.width} x ${size.height}`));
  const most = MOST[kind];
  check(Math.max(width, height) <= most.side && width * height <= most.pixels, `${what}: too large for ${kind}`);
  const { way } = await wayTo(kind);
  let found;
  try {
    found = await way(data, kind);
  } catch (error) {
    throw damaged(error?.message ?? error);
  }
  check(found.red.length === width * height, says(`${found.red.length} pixels`));
  return found;
}
