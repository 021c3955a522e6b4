/** docs/format.md, sections 12 and 14: the networks' files, and layers as kernels want them (kernels.h). */
import { CrayError, check } from "./failure.js";
import { resource } from "./resources.js";

const FILES = {
  "predictor-4": "b2421f653f8a13b65263a21bd4a60ac848de936fd7e66e3af76c10d08462a2d2",
  "refiner-1": "eb1038e9c9e276b975313e9363d08f7edaf8ab8cafa10c35d7659e1fa316c0c5",
};
const TYPES = { I8: Int8Array, U8: Uint8Array, I32: Int32Array, U32: Uint32Array };
const LANES = 8;
/** Twice the transform of three weights of Winograd's filtering. */
const TILED = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]];

/**
 * @typedef {{weights: Int16Array, tiled: Int16Array, bias: Int32Array, shift: Uint8Array, side: number, inputs: number,
 *   outputs: number}} Packed outputs: those that are meant
 */

/** @type {Map<string, Promise<{layers: Map<string, Packed>, frequencies?: Uint32Array}>>} */
const loaded = new Map();

/**
 * @param {keyof typeof FILES} name
 * @param {string | URL} [base] the folder of networks, by default `models` beside this module or above its folder
 * @returns {Promise<{layers: Map<string, Packed>, frequencies?: Uint32Array}>}
 * @throws {CrayError} if it is not there, or another one
 */
export function network(name, base) {
  const key = `${name} ${base ?? ""}`;
  if (!loaded.has(key)) {
    const loading = find(name, base).then((bytes) => networkOf(bytes));
    loading.catch(() => loaded.delete(key));
    loaded.set(key, loading);
  }
  return loaded.get(key);
}

async function find(name, base) {
  const file = `${name}.safetensors`;
  const beside = ["./models/", "../models/"].map((folder) => new URL(folder, import.meta.url));
  const folders = base === undefined ? beside : [absolute(base)];
  let failure;
  for (const folder of folders) {
    try {
      const bytes = await resource(new URL(file, folder));
      const found = await sha256(bytes);
      check(found === null || found === FILES[name], `${file}: SHA-256 is ${found}, the format says ${FILES[name]}`);
      return bytes;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function absolute(base) {
  const here = globalThis.location?.href ?? import.meta.url;
  return new URL(String(base).replace(/\/?$/, "/"), here);
}

/** In hexadecimal digits; null where the browser has no way, as on pages that are not secure. */
async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The arrays of a safetensors file. @param {Uint8Array} bytes @returns {Map<string, {data: any, shape: number[]}>} */
function tensors(bytes) {
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  delete header.__metadata__;
  return new Map(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [first, last] }]) => {
      const data = new TYPES[dtype](bytes.slice(8 + size + first, 8 + size + last).buffer);
      return [name, { data, shape }];
    }),
  );
}

function networkOf(bytes) {
  let arrays;
  try {
    arrays = tensors(bytes);
  } catch {
    throw new CrayError("network: not a safetensors file");
  }
  const layers = new Map();
  for (const [key, { data, shape }] of arrays) {
    if (!key.endsWith(".weights")) continue;
    const name = key.slice(0, -".weights".length);
    layers.set(name, packed(name, data, shape, arrays.get(`${name}.bias`).data, arrays.get(`${name}.shift`).data));
  }
  return { layers, frequencies: arrays.get("frequencies")?.data };
}

/** The order of fold()ed planes in which all of a pixel follow each other. */
function byPixel(channels) {
  return Array.from({ length: channels }, (_, k) => 4 * (k % (channels / 4)) + Math.floor(k / (channels / 4)));
}

/** @returns {Packed} of weights i8 [outputs, inputs, side, side] */
function packed(name, weights, [outputs, inputs, side], bias, shift) {
  const plain = (count) => Array.from({ length: count }, (_, k) => k);
  const taken = name.startsWith("down.") ? byPixel(inputs) : plain(inputs);
  const given = name.startsWith("up.") ? byPixel(outputs) : plain(outputs);
  const allOutputs = Math.ceil(outputs / LANES) * LANES;
  const allInputs = inputs + (inputs % 2);
  const weight = (o, i, y, x) => (o < outputs && i < inputs ? weights[((given[o] * inputs + taken[i]) * side + y) * side + x] : 0);
  const tile = (o, i, y, x) => {
    let sum = 0;
    for (let r = 0; r < 3; r++) for (let c = 0; c < 3; c++) sum += TILED[y][r] * TILED[x][c] * weight(o, i, r, c);
    return sum;
  };
  const filled = (Type, values) => Type.from({ length: allOutputs }, (_, o) => (o < outputs ? values[given[o]] : 0));
  return {
    weights: inPairs(weight, side, allInputs, allOutputs),
    tiled: inPairs(tile, side === 3 ? 4 : 0, allInputs, allOutputs),
    bias: filled(Int32Array, bias),
    shift: filled(Uint8Array, shift),
    side,
    inputs: allInputs,
    outputs,
  };
}

/** [side, side, inputs / 2, outputs, 2]. */
function inPairs(weight, side, inputs, outputs) {
  const out = new Int16Array(side * side * inputs * outputs);
  let at = 0;
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      for (let i = 0; i < inputs; i += 2)
        for (let o = 0; o < outputs; o++) {
          out[at++] = weight(o, i, y, x);
          out[at++] = weight(o, i + 1, y, x);
        }
  return out;
}

/** A network's layers in an engine's memory. */
export class Layers {
  /**
   * @param {import("./engine.js").Engine} engine
   * @param {Map<string, Packed>} layers
   */
  constructor(engine, layers) {
    this.addresses = new Map();
    this.inputs = new Map();
    this.outputs = new Map();
    for (const [name, layer] of layers) {
      const arrays = [layer.weights, layer.tiled, layer.bias, layer.shift].map((array) => engine.put(array));
      this.addresses.set(name, engine.kernels.layer(...arrays, layer.side, layer.inputs, layer.bias.length) >>> 0);
      this.inputs.set(name, layer.inputs);
      this.outputs.set(name, layer.outputs);
    }
  }

  /** @param {string} name @returns {number} */
  address(name) {
    return this.addresses.get(name);
  }
}
