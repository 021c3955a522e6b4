/** docs/format.md, sections 11 to 13: nested grids, level after level, by the network in the loop. */
import { Engine, KINDS } from "./engine.js";
import { check } from "./failure.js";
import { restored } from "./frames.js";
import { loudnessOf, pyramid } from "./lightness.js";
import { spacings } from "./reader.js";
import { Layers, network } from "./weights.js";

const WHAT = "nested grids";
const VERSION = 4;
const COARSE = 4;
const [TURNS, SPREADS] = [64, 64];
const [MOST_CELL, MOST_SHIFT] = [65535, 4095];
const TURN_AND_SPREADS = 3;
const [FEATURES, KNOWN, OWN] = [51, 13, 6];
/** The spread of the symbol that moves the others' spreads. */
const OFFSET = 16;

/** @typedef {{samples: Int16Array, width: number, height: number, spacing: number}} Cells samples [2, height, width] */

/**
 * Gives what every level adds, from the coarsest on.
 * @param {Engine} engine whose memory above is free again wherever a level is given
 * @param {import("./reader.js").CrayFile} file
 * @param {Uint8Array} lightness the stored plane
 * @param {number} most levels that are decoded
 * @param {string | URL} [models] as of `network`
 * @returns {AsyncGenerator<Cells>}
 * @throws {CrayError}
 */
export async function* nested(engine, file, lightness, most, models) {
  const { network: version, payload, spacing: coarsest } = file.grids[0];
  check(version === VERSION, `${WHAT}: network ${version}, this decoder has ${VERSION}`);
  const { layers, frequencies } = await network(`predictor-${VERSION}`, models);
  const there = payload.length >= TURN_AND_SPREADS && payload[0] < TURNS && Math.max(payload[1], payload[2]) < SPREADS;
  check(there, `${WHAT}: turn or spreads of the first level are not there or out of range`);
  engine.within(() => engine.kernels.alphabets(engine.put(frequencies)));
  const decoder = new LevelDecoder(engine, new Layers(engine, layers), file, lightness);
  for (const spacing of spacings(file.grids).slice(0, most)) {
    if (spacing === coarsest) decoder.first(payload, spacing);
    else engine.within(() => decoder.next(spacing));
    yield decoder.samples(payload[0], spacing);
  }
}

class LevelDecoder {
  /**
   * @param {Engine} engine
   * @param {Layers} layers
   * @param {import("./reader.js").CrayFile} file
   * @param {Uint8Array} lightness
   */
  constructor(engine, layers, file, lightness) {
    const { grids, width, height } = file;
    Object.assign(this, { engine, layers, kernels: engine.kernels });
    this.light = pyramid(engine, lightness, width, height, grids[0].spacing);
    this.homes = new Map(grids.flatMap((grid) => spacings([grid]).map((n) => [n, grid])));
    this.data = new Map(grids.map((grid, k) => [grid, codestream(engine, grid.payload.subarray(k ? 0 : TURN_AND_SPREADS))]));
    this.begin(grids[0]);
  }

  /** The range-coded data of a chunk. @param {import("./reader.js").Grid} home */
  begin(home) {
    const { address, size } = this.data.get(home);
    Object.assign(this, { home, offset: 0 });
    this.kernels.begin(address, size);
  }

  /** s, the quantiser step of cells. @param {number} n */
  step(n) {
    return Math.max(1, Math.floor(this.homes.get(n).step / n));
  }

  /** Symbols [size] into memory, of the spreads there, which are moved by the offset. */
  decode(spreads, mask, size, offset, symbols) {
    const whole = this.kernels.symbols(spreads, mask, size, offset, symbols);
    Engine.done(whole >= 0);
    check(whole, `${WHAT}: range-coded data is damaged`);
  }

  /** Cells are kept outside of the engine's memory between levels. */
  first(payload, n) {
    const { engine } = this;
    const { height, width } = this.light.get(n);
    const size = height * width;
    this.cells = new Int32Array(2 * size);
    this.symbols = null;
    engine.within(() => {
      const [spreads, mask, symbols] = [1, 1, 2].map((bytes) => engine.take(bytes * size));
      for (let plane = 0; plane < 2; plane++) {
        engine.view(Uint8Array, spreads, size).fill(payload[1 + plane]);
        engine.view(Uint8Array, mask, size).fill(1);
        this.decode(spreads, mask, size, 0, symbols);
        const residual = Int32Array.from(engine.view(Int16Array, symbols, size));
        const samples = restored(engine, residual, width, height);
        for (let k = 0; k < size; k++) this.cells[plane * size + k] = within(samples[k] * this.step(n), MOST_CELL);
      }
    });
  }

  /** The level of spacing n from that of twice the spacing. */
  next(n) {
    const { engine, kernels } = this;
    if (this.homes.get(n) !== this.home) this.begin(this.homes.get(n));
    const level = this.prepared(n);
    const { height, width, rows, columns, step } = level;
    const size = height * width;
    const part = n >= COARSE ? "coarse" : "fine";
    let hidden = this.through(`${part}.first`, [{ data: level.features, channels: FEATURES, signed: 1 }], level, -1);
    const [known, own] = [KNOWN, OWN].map((channels) => engine.zeros(channels * size));
    const [symbols, shifts] = [0, 0].map(() => engine.zeros(12 * size));
    const [newSymbols, newShifts] = [0, 0].map(() => engine.take(6 * size));
    const [spreads, mask] = [0, 0].map(() => engine.take(3 * size));
    for (let half = 0; half < 2; half++) {
      fillMask(engine.view(Uint8Array, mask, 3 * size), level, half);
      if (half) hidden = this.through(`${part}.later`, [hidden, { data: known, channels: KNOWN, signed: 1 }], level, 1);
      for (let plane = 0; plane < 2; plane++) {
        // What is not meant is not written.
        engine.view(Int16Array, newShifts, 3 * size).fill(0);
        engine.view(Uint8Array, spreads, 3 * size).fill(0);
        this.predict(part, half, plane, hidden, own, level, newShifts, spreads);
        this.offset += this.moved();
        this.decode(spreads, mask, 3 * size, this.offset, newSymbols);
        kernels.settle(height, width, rows, columns, step, symbols, shifts, half, plane, newSymbols, newShifts, known, own);
      }
    }
    const cells = engine.take(8 * rows * columns);
    kernels.children(height, width, rows, columns, step, level.parents, level.guided, symbols, shifts, MOST_CELL, cells);
    this.cells = engine.view(Int32Array, cells, 2 * rows * columns).slice();
    this.symbols = engine.view(Int16Array, symbols, 6 * size).slice();
  }

  /** Guided details and features of a level's blocks. */
  prepared(n) {
    const { engine, kernels } = this;
    const [coarse, fine] = [this.light.get(2 * n), this.light.get(n)];
    const finer = this.light.get(Math.max(1, n / 2));
    const { height, width } = coarse;
    const [rows, columns] = [fine.height, fine.width];
    const step = this.step(n);
    const parents = engine.put(this.cells);
    const above = this.symbols ? engine.put(this.symbols) : 0;
    const guided = engine.take(24 * height * width);
    const features = engine.take(FEATURES * height * width);
    kernels.prepare(
      parents, above, coarse.means, fine.means, fine.ranges, finer.means, height, width, rows, columns, finer.height,
      finer.width, step, loudnessOf(step), Math.min(127, 16 * Math.log2(n) - 48), guided, features,
    );
    return { height, width, rows, columns, step, parents, guided, features };
  }

  /** All layers of a name; half: the blocks of the last one that are meant, -1 for all. */
  through(name, planes, level, half) {
    const { engine, kernels, layers } = this;
    for (let k = 0; layers.address(`${name}.${k}`); k++) {
      const channels = layers.outputs.get(`${name}.${k}`);
      const last = !layers.address(`${name}.${k + 1}`);
      const out = engine.take(channels * level.height * level.width);
      planes.forEach(({ data, channels, signed }, at) => kernels.give(at, data, channels, signed, 1, 0));
      const by = layers.address(`${name}.${k}`);
      Engine.done(
        kernels.convolve(by, planes.length, level.height, level.width, last ? half : -1, out, 0, KINDS.interleaved, channels),
      );
      planes = [{ data: out, channels, signed: 0 }];
    }
    return planes[0];
  }

  /** Shifts and spreads of a half's and a plane's details. */
  predict(part, half, plane, hidden, own, level, shifts, spreads) {
    const { kernels, layers } = this;
    const names = plane ? [`${part}.both.${half}`, `${part}.other.${half}`] : [`${part}.one.${half}`];
    const [first, last = 0] = names.map((name) => layers.address(name));
    kernels.give(0, hidden.data, hidden.channels, 0, 1, 0);
    if (plane) kernels.give(1, own, OWN, 1, 1, 0);
    Engine.done(kernels.head(first, last, 1 + plane, level.height, level.width, half, shifts, spreads, MOST_SHIFT));
  }

  /** The symbol that is coded alone. */
  moved() {
    return this.engine.within(() => {
      const [spread, mask] = [OFFSET, 1].map((byte) => this.engine.put(Uint8Array.of(byte)));
      const symbol = this.engine.take(2);
      this.decode(spread, mask, 1, 0, symbol);
      return this.engine.view(Int16Array, symbol, 1)[0];
    });
  }

  /** Cells in the axes of a* and b*. @param {number} turn @param {number} n @returns {Cells} */
  samples(turn, n) {
    const { engine } = this;
    const { height, width } = this.light.get(n);
    const [cosine, sine] = [Math.cos, Math.sin].map((f) => Math.round(16384 * f((Math.PI * turn) / TURNS)));
    const samples = engine.within(() => {
      const [cells, out] = [engine.put(this.cells), engine.take(2 * this.cells.length)];
      engine.kernels.turn(cells, cosine, sine, out, height * width);
      return engine.view(Int16Array, out, this.cells.length).slice();
    });
    return { samples, width, height, spacing: n };
  }
}

function codestream(engine, data) {
  return { address: engine.put(data), size: data.length };
}

function within(value, most) {
  return Math.min(Math.max(value, -most), most);
}

/** Details that tell children apart that are there, of the blocks of a half, [3, height, width]. */
function fillMask(mask, { height, width, rows, columns }, half) {
  const size = height * width;
  mask.fill(0);
  for (let y = 0; y < height; y++)
    for (let x = (y + half) % 2; x < width; x += 2) {
      const [beside, below] = [2 * x + 1 < columns, 2 * y + 1 < rows];
      const at = y * width + x;
      mask[at] = Number(beside);
      mask[size + at] = Number(below);
      mask[2 * size + at] = Number(beside && below);
    }
}
