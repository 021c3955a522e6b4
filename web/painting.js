/** docs/format.md, section 14: nested grids painted in whole numbers, in strips of rows. */
import { Engine, KINDS } from "./engine.js";
import { loudnessOf, pyramid } from "./lightness.js";
import { Layers, network } from "./weights.js";

const [PLANES, OUTPUTS, STRIDE, DEPTH] = [17, 8, 8, 3];
const MOST_CELL = 65535;
/** Cells of 2 x 2 pixels around that an output of the network may depend on. */
const REACH = 32;
/** Cells of 2 x 2 pixels in a strip. */
const STRIP = 2 ** 19;
const [QUIET, HALF_HEARD, LOUDEST] = [65_536_000, 49_152_000, 224];

/**
 * @typedef {object} Picture what is painted
 * @property {Uint8Array} lightness the stored plane
 * @property {number} width
 * @property {number} height
 * @property {Int16Array} samples [2, h, w], in 1/256 of a CIELAB unit
 * @property {number} spacing of the samples
 * @property {number} step the field of the last GRID chunk
 */

/**
 * Gives colours of rows, i32[2, bottom - top, width] in the engine's memory, until the next ones are asked for.
 * @param {Engine} engine
 * @param {Picture} picture
 * @param {boolean} refined with the network; else guided
 * @param {string | URL} [models] as of `network`
 * @returns {AsyncGenerator<{top: number, bottom: number, colors: number}>}
 * @throws {import("./failure.js").CrayError}
 */
export async function* painted(engine, picture, refined, models) {
  const { width, height, spacing } = picture;
  const start = engine.kernels.mark();
  const refiner = refined && spacing > 1 ? new Refiner(engine, (await network("refiner-1", models)).layers) : null;
  // Strips begin where cells and gates do.
  const whole = Math.max(2 * STRIDE, spacing);
  const rows = Math.max(1, Math.floor((2 * Math.max(REACH, Math.floor((2 * STRIP) / width))) / whole)) * whole;
  const before = engine.kernels.mark();
  for (let top = 0; top < height; top += rows) {
    const bottom = Math.min(height, top + rows);
    yield { top, bottom, colors: strip(engine, picture, refiner, top, bottom, whole) };
    engine.kernels.release(before);
  }
  engine.kernels.release(start);
}

/** Of rows top to bottom. */
function strip(engine, picture, refiner, top, bottom, whole) {
  const { lightness, width, height, spacing, samples } = picture;
  const across = Math.ceil(width / spacing);
  const size = samples.length / 2;
  if (spacing === 1) {
    const count = (bottom - top) * width;
    const colors = engine.take(8 * count);
    for (let plane = 0; plane < 2; plane++) {
      const from = plane * size + top * width;
      engine.view(Int32Array, colors + 4 * plane * count, count).set(samples.subarray(from, from + count));
    }
    return colors;
  }
  // All levels above see less than four cells far.
  const reach = Math.ceil((2 * REACH + 4 * spacing) / whole) * whole;
  const [first, last] = [Math.max(0, top - reach), Math.min(height, bottom + reach)];
  const light = pyramid(engine, lightness.subarray(first * width, last * width), width, last - first, spacing);
  const [from, to] = [(first / spacing) * across, Math.ceil(last / spacing) * across];
  let cells = engine.take(8 * (to - from));
  const given = engine.view(Int32Array, cells, 2 * (to - from));
  for (let plane = 0; plane < 2; plane++)
    given.set(samples.subarray(plane * size + from, plane * size + to), plane * (to - from));
  for (let n = spacing / 2; n > 1; n /= 2) cells = continued(engine, cells, light, n, null, 0, light.get(2 * n).height);
  const [own, end] = [(top - first) / 2, Math.ceil((bottom - first) / 2)];
  const added = refiner?.added(cells, light, own, end, picture) ?? null;
  return continued(engine, cells, light, 1, added, own, end, bottom - first - 2 * own);
}

/** Children, cells of spacing n, of rows first to last of cells; of as many rows as are said. */
function continued(engine, cells, light, n, added, first, last, rows = light.get(n).height) {
  const [coarse, fine] = [light.get(2 * n), light.get(n)];
  const out = engine.take(8 * rows * fine.width);
  const network = added ? [added.values, added.gate, added.first, added.rows, added.across] : [0, 0, 0, 0, 0];
  // The last row of blocks may have one row of children only.
  engine.kernels.continued(
    cells, coarse.means, fine.means, coarse.height, coarse.width, fine.height, fine.width, ...network, MOST_CELL, out,
    first, rows, last,
  );
  return out;
}

/** Refined 1. */
class Refiner {
  /** @param {Engine} engine @param {Map<string, import("./weights.js").Packed>} layers */
  constructor(engine, layers) {
    this.engine = engine;
    this.layers = new Layers(engine, layers);
  }

  /** What the network adds to rows top to bottom of cells of spacing 2, and where it is heard. */
  added(cells, light, top, bottom, { step, spacing }) {
    const { engine } = this;
    const [coarse, fine] = [light.get(2), light.get(1)];
    const [first, last] = [Math.max(0, top - REACH), Math.min(coarse.height, bottom + REACH)];
    const [rows, across] = [last - first, coarse.width].map((side) => Math.ceil(side / STRIDE) * STRIDE);
    const gate = engine.put(gateOf(engine, coarse, fine));
    const values = engine.take(4 * OUTPUTS * rows * across);
    engine.within(() => {
      const planes = engine.zeros(PLANES * rows * across);
      const octave = Math.min(127, 16 * Math.log2(spacing) - 16);
      engine.kernels.given(
        cells, coarse.means, fine.means, coarse.height, coarse.width, fine.height, fine.width, loudnessOf(step), octave,
        planes, rows, across, first, last,
      );
      this.outputs(planes, rows, across, values);
    });
    return { values, gate, first, rows, across };
  }

  /** The network of planes i8[17, height, width], sides multiples of 8, into i32[8, height, width]. */
  outputs(planes, height, width, values) {
    const skips = [this.layer("stem", planes, height, width, { channels: PLANES, signed: 1, interleaved: 0 })];
    let [x, h, w] = [skips[0], height, width];
    for (let k = 0; k < DEPTH; k++) {
      [h, w] = [h / 2, w / 2];
      const y = this.layer(`down.${k}`, x, h, w, { folded: 1 });
      x = this.layer(`before.${k}`, y, h, w, { added: y });
      if (k < DEPTH - 1) skips.push(x);
    }
    x = this.layer("bottom", x, h, w, { added: x });
    for (let k = DEPTH - 1; k >= 0; k--) {
      const y = this.layer(`up.${k}`, x, h, w, { added: skips[k], kind: KINDS.unfolded });
      [h, w] = [2 * h, 2 * w];
      x = this.layer(`after.${k}`, y, h, w, { added: y });
    }
    this.layer("head", x, h, w, { kind: KINDS.whole, out: values });
  }

  /** One layer; by default of bytes and into bytes pixel by pixel, as many channels as the layer has outputs. */
  layer(name, data, height, width, given) {
    const { engine, layers } = this;
    const outputs = layers.outputs.get(name);
    const { channels, signed = 0, interleaved = 1, folded = 0, added = 0, kind = KINDS.interleaved } = given;
    const out = given.out ?? engine.take(outputs * height * width);
    engine.kernels.give(0, data, channels ?? layers.inputs.get(name), signed, interleaved, folded);
    Engine.done(engine.kernels.convolve(layers.address(name), 1, height, width, -1, out, added, kind, outputs));
    return out;
  }
}

/** u16, for every 8 x 8 cells of spacing 2. @param {Engine} engine */
function gateOf(engine, coarse, fine) {
  const { height, width } = coarse;
  let loud = engine.within(() => {
    const sums = engine.take(4 * height * width);
    engine.kernels.texture(coarse.means, fine.means, height, width, fine.height, fine.width, sums);
    return { height, width, values: engine.view(Int32Array, sums, height * width).slice() };
  });
  for (let n = 1; n < STRIDE; n *= 2) loud = summed(loud);
  return Uint16Array.from(binomial(loud), (sum) => {
    const heard = Math.max(sum - QUIET, 0);
    return Math.floor((LOUDEST * heard) / (heard + HALF_HEARD));
  });
}

/** The sum over blocks(). */
function summed({ height, width, values }) {
  const [rows, columns] = [Math.ceil(height / 2), Math.ceil(width / 2)];
  const sums = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const [above, below] = [2 * y, Math.min(2 * y + 1, height - 1)].map((row) => row * width);
      const [left, right] = [2 * x, Math.min(2 * x + 1, width - 1)];
      sums[y * columns + x] = values[above + left] + values[above + right] + values[below + left] + values[below + right];
    }
  return { height: rows, width: columns, values: sums };
}

/** G, 256 times a mean, the nearest cell repeated beyond the border. */
export function binomial({ height, width, values }) {
  const near = (k, count) => Math.min(Math.max(k, 0), count - 1);
  const filtered = (given, at) => given(at - 2) + given(at + 2) + 4 * (given(at - 1) + given(at + 1)) + 6 * given(at);
  const [across, out] = [0, 0].map(() => new Float64Array(height * width));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      across[y * width + x] = filtered((k) => values[y * width + near(k, width)], x);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) out[y * width + x] = filtered((k) => across[near(k, height) * width + x], y);
  return out;
}
