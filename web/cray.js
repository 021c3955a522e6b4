/** Decodes .cray files (docs/format.md) in browsers and in Node. */
import { COLORS, pictures } from "./decoding.js";
import { CrayError, check } from "./failure.js";
import { isNested, read, spacings } from "./reader.js";
import { isNode } from "./resources.js";

export { CrayError };

const hasWorkers = !isNode && typeof Worker === "function";
const SCALES = [1, 2, 4, 8, 16];

/** @typedef {import("./cray.d.ts").DecodeOptions} DecodeOptions */
/** @typedef {import("./cray.d.ts").Picture} Picture */

/**
 * The picture: see cray.d.ts.
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {DecodeOptions} [options]
 * @returns {Promise<Picture>}
 * @throws {CrayError} for a file that cannot be decoded, RangeError for an option that there is not
 */
export async function decode(bytes, options = {}) {
  let last;
  for await (const picture of run(bytes, options, Boolean(options.onProgress))) {
    if (!picture.done) options.onProgress(picture);
    last = picture;
  }
  return last;
}

/**
 * The picture as it becomes better: grey, then level after level, then whole.
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {DecodeOptions} [options]
 * @returns {AsyncGenerator<Picture>}
 * @throws {CrayError} as `decode`
 */
export function progressive(bytes, options = {}) {
  return run(bytes, options, true);
}

/**
 * What a file says of itself; nothing is decoded, CRC-32s are not looked at.
 * @param {Uint8Array | ArrayBuffer} bytes
 * @param {DecodeOptions["limits"]} [limits]
 * @returns {import("./cray.d.ts").Info}
 * @throws {CrayError}
 */
export function info(bytes, limits) {
  const data = asBytes(bytes);
  const file = read(data, limits, false);
  const { width, height, minor, lightness, alpha, grids, metadata, way, chunks } = file;
  const levels = isNested(file) ? spacings(grids) : grids.map(({ spacing }) => spacing);
  const sizes = chunks.filter(({ type }) => type === "GRID").map(({ size }) => size);
  const lasts = grids.map((grid) => (isNested(file) ? spacings([grid]).at(-1) : grid.spacing));
  return {
    width,
    height,
    version: `1.${minor}`,
    lightness: { coder: lightness.coder, quality: lightness.quality },
    alpha: alpha && { coder: alpha.coder },
    grids: levels.map((spacing) => {
      const { coder, sampling, step } = grids.find((grid) => spacings([grid]).includes(spacing));
      const [rows, columns] = [height, width].map((side) => Math.ceil(side / spacing));
      const own = coder === "nested" ? Math.max(1, Math.floor(step / spacing)) : step;
      const size = sizes[lasts.indexOf(spacing)] ?? null;
      return { spacing, sampling, step: own / 256, coder, rows, columns, size };
    }),
    painting: way,
    metadata: Object.keys(metadata),
    chunks,
    size: data.length,
  };
}

function asBytes(bytes) {
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new TypeError("expected an ArrayBuffer or an array of the bytes of a file");
}

function checked({ color = "auto", levels, scale = 1, limits, models, worker = hasWorkers }) {
  const refuse = (complaint) => {
    throw new RangeError(complaint);
  };
  if (!COLORS.includes(color)) refuse(`color is ${color}, expected one of ${COLORS.join(", ")}`);
  if (levels !== undefined && !(Number.isInteger(levels) && levels > 0)) refuse(`levels is ${levels}, expected 1 or more`);
  if (!SCALES.includes(scale)) refuse(`scale is ${scale}, expected one of ${SCALES.join(", ")}`);
  if (color === "refined" && scale > 1) refuse("reduced pictures are not refined, expected another color or scale 1");
  const base = models === undefined ? undefined : new URL(models, globalThis.location?.href ?? import.meta.url).href;
  return { worker, options: { color, levels, scale, limits, models: base } };
}

async function* run(bytes, given, stages) {
  const { worker, options } = checked(given);
  const data = asBytes(bytes);
  const all = { ...options, progressive: stages };
  for await (const picture of worker ? elsewhere(data, all, given.signal) : pictures(data, all)) {
    given.signal?.throwIfAborted();
    yield picture;
  }
}

/** Workers that have nothing to do: they have what they once loaded. @type {Worker[]} */
const idle = [];
const MOST_IDLE = 4;

/** In a worker, which ends where no more pictures are wanted, and else waits for other work. */
async function* elsewhere(bytes, options, signal) {
  signal?.throwIfAborted();
  const worker = idle.pop() ?? new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const [waiting, arrived] = [[], []];
  const take = (message) => (waiting.length ? waiting.shift()(message) : arrived.push(message));
  worker.onmessage = ({ data }) => take(data);
  worker.onerror = ({ message = "the worker could not be started" }) => take({ failure: { known: false, message } });
  const stop = () => take({});
  signal?.addEventListener("abort", stop);
  let done = false;
  try {
    const copy = bytes.slice(); // and not all of a larger buffer
    worker.postMessage({ bytes: copy, options }, [copy.buffer]);
    while (!done) {
      const message = arrived.length ? arrived.shift() : await new Promise((resolve) => waiting.push(resolve));
      signal?.throwIfAborted();
      const { picture, failure } = message;
      if (failure) {
        done = failure.known;
        throw failure.known ? new CrayError(failure.message) : new Error(failure.message);
      }
      done = picture.done;
      yield picture;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    if (done && idle.length < MOST_IDLE) idle.push(worker);
    else worker.terminate();
  }
}
