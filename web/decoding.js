/** A file to pictures: grey at once, then level after level, then painted; on a page or in a worker. */
import { picture } from "./codecs.js";
import { Engine } from "./engine.js";
import { CrayError, check } from "./failure.js";
import { palette, plane as restored, samples } from "./frames.js";
import { nested } from "./nesting.js";
import { painted } from "./painting.js";
import { isNested, read, spacings } from "./reader.js";
import { means, reducedColors } from "./reducing.js";
import { painter } from "./srgb.js";
import { guided } from "./upsampling.js";

export const COLORS = ["auto", "guided", "refined", "none"];
/** Rows of one grid that become RGB at once. */
const BAND = 64;
/** Spacing and step, in 1/256 of a CIELAB unit, from which on the network is better, where the file does not say. */
const [REFINED_SPACING, REFINED_STEP] = [4, 3072];

/**
 * @param {Uint8Array} bytes
 * @param {import("./cray.js").DecodeOptions & {progressive?: boolean}} options checked
 * @returns {AsyncGenerator<import("./cray.js").Picture>} the last one is whole; without `progressive` there is no other
 * @throws {CrayError}
 */
export async function* pictures(bytes, { color, levels, scale, limits, models, progressive }) {
  const file = read(bytes, limits);
  const { width, height } = file;
  const engine = await Engine.create();
  const plane = (coded, what) => decodePlane(engine, coded, width, height, what);
  const whole = await plane(file.lightness, "lightness plane");
  const alpha = file.alpha && means(await plane(file.alpha, "alpha plane"), width, height, scale);
  const canvas = new Canvas(engine, file, means(whole, width, height, scale), alpha, scale);
  const grey = file.grids.length === 0 || color === "none";
  if (progressive || grey) yield canvas.show(canvas.grey(), "grey", grey);
  if (grey) return;
  if (!isNested(file)) {
    const grid = await decodeGrid(engine, file, whole);
    yield canvas.show(await canvas.oneGrid(grid, whole), "painted", true, grid);
    return;
  }
  const all = spacings(file.grids);
  const { step } = file.grids.at(-1);
  let left = Math.max(1, Math.min(levels ?? all.length, all.filter((n) => n >= scale).length));
  for await (const cells of nested(engine, file, whole, left, models)) {
    left -= 1;
    if (left && !progressive) continue;
    const refined = !left && scale === 1 && isRefined(file, color, cells.spacing, all.at(-1), step);
    const paint = (network) => canvas.nestedGrids(cells, whole, step, network, models);
    if (refined && progressive) yield canvas.show(await paint(false), "level", false, cells);
    yield canvas.show(await paint(refined), left ? "level" : "painted", !left, cells);
  }
}

/** Section 14's rule. */
function isRefined(file, color, spacing, finest, step) {
  if (color !== "auto" || spacing === 1) return color === "refined" && spacing > 1;
  if (file.way && spacing === finest) return file.way === "refined";
  return spacing >= REFINED_SPACING || (spacing > 1 && step >= REFINED_STEP);
}

/** @returns {Promise<Uint8Array>} */
async function decodePlane(engine, { coder, payload }, width, height, what) {
  if (coder === "zstd") return restored(engine, payload, width, height, what);
  return (await picture(payload, coder, width, height, what)).red;
}

/** Of one grid. @returns {Promise<import("./upsampling.js").Grid & {width: number, height: number}>} */
async function decodeGrid(engine, file, lightness) {
  const { coder, payload, spacing, sampling, step } = file.grids[0];
  const [width, height] = [Math.ceil(file.width / spacing), Math.ceil(file.height / spacing)];
  const what = "colour grid";
  const grid = { width, height, spacing, sampling, step };
  if (coder === "palette") return { ...grid, samples: palette(payload, lightness, what) };
  if (coder === "zstd") return { ...grid, samples: samples(engine, payload, width, height, what) };
  const { red, green } = await picture(payload, "webp", width, height, what, true);
  const both = new Int16Array(2 * red.length);
  green.forEach((value, k) => (both[k] = value - 128));
  red.forEach((value, k) => (both[red.length + k] = value - 128));
  return { ...grid, samples: both };
}

/** What is shown: pixels of the reduced picture. */
class Canvas {
  /** @param {Uint8Array} lightness @param {Uint8Array | null} alpha both reduced */
  constructor(engine, file, lightness, alpha, scale) {
    Object.assign(this, { engine, file, lightness, alpha, scale });
    [this.width, this.height] = [file.width, file.height].map((side) => Math.ceil(side / scale));
  }

  show(rgba, stage, done, grid = null) {
    const { width, height, lightness, alpha, file } = this;
    const cells = grid && { width: grid.width, height: grid.height, spacing: grid.spacing, samples: grid.samples };
    return { width, height, rgba, stage, done, lightness, alpha, grid: cells, metadata: file.metadata };
  }

  /** RGBA of which rows are still to be put. */
  blank() {
    const rgba = new Uint8ClampedArray(4 * this.width * this.height);
    for (let k = 0; k < this.lightness.length; k++) rgba[4 * k + 3] = this.alpha ? this.alpha[k] : 255;
    return rgba;
  }

  /** Pixels from the first on. */
  static put(rgba, first, rgb) {
    for (let from = 0, to = 4 * first; from < rgb.length; from += 3, to += 4) {
      rgba[to] = rgb[from];
      rgba[to + 1] = rgb[from + 1];
      rgba[to + 2] = rgb[from + 2];
    }
  }

  grey() {
    const { engine } = this;
    const rgb = engine.within(() => {
      const shades = engine.take(3 * 256);
      const [every, none] = [engine.put(Uint8Array.from({ length: 256 }, (_, k) => k)), engine.zeros(4 * 256)];
      painter(engine)(every, none, none, 256, shades);
      return engine.view(Uint8Array, shades, 3 * 256).slice();
    });
    const rgba = this.blank();
    for (let k = 0, to = 0; k < this.lightness.length; k++, to += 4)
      for (let c = 0; c < 3; c++) rgba[to + c] = rgb[3 * this.lightness[k] + c];
    return rgba;
  }

  /** @param {Uint8Array} whole the stored plane */
  async nestedGrids(cells, whole, step, refined, models) {
    const { engine, width, height, lightness, scale } = this;
    if (scale > 1) return this.reduced({ ...cells, sampling: "mean", step: 1, nested: step }, whole);
    const rgba = this.blank();
    const picture = { ...cells, lightness, width, height, step };
    for await (const { top, bottom, colors } of painted(engine, picture, refined, models)) {
      const count = (bottom - top) * width;
      const paint = painter(engine);
      const light = engine.put(lightness.subarray(top * width, bottom * width));
      const rgb = engine.take(3 * count);
      paint(light, colors, colors + 4 * count, count, rgb);
      Canvas.put(rgba, top * width, engine.view(Uint8Array, rgb, 3 * count));
    }
    return rgba;
  }

  /** @param {Uint8Array} whole the stored plane */
  async oneGrid(grid, whole) {
    if (this.scale > 1) return this.reduced(grid, whole);
    return this.byRows(guided(this.lightness, this.width, this.height, grid));
  }

  /** Of what fills a row of a* and b*, in CIELAB units. */
  byRows(row) {
    const { engine, width, height, lightness } = this;
    const rgba = this.blank();
    for (let top = 0; top < height; top += BAND) {
      const rows = Math.min(BAND, height - top);
      engine.within(() => {
        const count = rows * width;
        const paint = painter(engine);
        const [a, b, rgb] = [4, 4, 3].map((bytes) => engine.take(bytes * count));
        const light = engine.put(lightness.subarray(top * width, top * width + count));
        for (let y = 0; y < rows; y++)
          row(top + y, ...[a, b].map((plane) => engine.view(Float32Array, plane + 4 * y * width, width)));
        paint(light, a, b, count, rgb, false);
        Canvas.put(rgba, top * width, engine.view(Uint8Array, rgb, 3 * count));
      });
    }
    return rgba;
  }

  async reduced(grid, whole) {
    return this.byRows(await reducedColors(this.engine, grid, whole, this.file.width, this.file.height, this.scale));
  }
}
