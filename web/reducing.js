/** Reduced pictures: means of planes, and colours from cells as large as their pixels. */
import { painted } from "./painting.js";
import { guided } from "./upsampling.js";

/**
 * Means of blocks of scale x scale pixels, to the nearest integer as Pillow's Image.reduce rounds.
 * @param {Uint8Array} plane [height, width]
 * @returns {Uint8Array} [ceil(height / scale), ceil(width / scale)]
 */
export function means(plane, width, height, scale) {
  if (scale === 1) return plane;
  const [rows, columns] = [height, width].map((side) => Math.ceil(side / scale));
  const out = new Uint8Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const [bottom, right] = [Math.min(height, (i + 1) * scale), Math.min(width, (j + 1) * scale)];
      const count = (bottom - i * scale) * (right - j * scale);
      let sum = count >> 1;
      for (let y = i * scale; y < bottom; y++) for (let x = j * scale; x < right; x++) sum += plane[y * width + x];
      out[i * columns + j] = (sum * Math.floor(2 ** 24 / count)) / 2 ** 24;
    }
  return out;
}

/**
 * AB of the reduced picture. Cell means are those of a picture reduced by what their spacing and `scale` have in common,
 * too: there they are painted, and what is left of `scale` is means. Points have no place among reduced pixels.
 * @param {import("./engine.js").Engine} engine
 * @param {import("./upsampling.js").Grid & {width: number, height: number, nested?: number}} grid
 *   nested: the last GRID chunk's step
 * @param {Uint8Array} lightness the stored plane [height, width]
 * @returns {Promise<(y: number, a: Float32Array, b: Float32Array) => void>} fills a row of a* and b*
 */
export async function reducedColors(engine, grid, lightness, width, height, scale) {
  const common = grid.sampling === "mean" ? divisor(grid.spacing, scale) : 1;
  const cells = { ...grid, spacing: grid.spacing / common };
  const rest = scale / common;
  if (cells.spacing === 1) return meansOfRows(rowsOf(grid.samples, grid.width, grid.step), grid.width, grid.height, rest);
  const [across, down] = [width, height].map((side) => Math.ceil(side / common));
  const light = means(lightness, width, height, common);
  if (!grid.nested) return meansOfRows(guided(light, across, down, cells), across, down, rest);
  const colors = new Int32Array(2 * across * down);
  const picture = { ...cells, lightness: light, width: across, height: down, step: grid.nested };
  for await (const { top, bottom, colors: found } of painted(engine, picture, false)) {
    const count = (bottom - top) * across;
    for (let plane = 0; plane < 2; plane++)
      colors.set(engine.view(Int32Array, found + 4 * plane * count, count), (plane * down + top) * across);
  }
  return meansOfRows(rowsOf(colors, across, 1), across, down, rest);
}

function divisor(one, other) {
  return other ? divisor(other, one % other) : one;
}

/** What fills a row from planes [2, h, width], in so many 1/256. */
function rowsOf(planes, width, step) {
  const size = planes.length / 2;
  return (y, ...outs) =>
    outs.forEach((out, plane) => {
      for (let x = 0, from = plane * size + y * width; x < width; x++, from++)
        out[x] = Math.min(Math.max((planes[from] * step) / 256, -128), 128);
    });
}

/** What fills a row with means of blocks of rest x rest pixels of what `row` fills. */
function meansOfRows(row, width, height, rest) {
  if (rest === 1) return row;
  const own = [0, 0].map(() => new Float32Array(width));
  return (i, ...outs) => {
    const bottom = Math.min(height, (i + 1) * rest);
    for (const out of outs) out.fill(0);
    for (let y = i * rest; y < bottom; y++) {
      row(y, ...own);
      outs.forEach((out, plane) => {
        for (let x = 0; x < width; x++) {
          const j = Math.floor(x / rest);
          const count = (bottom - i * rest) * (Math.min(width, (j + 1) * rest) - j * rest);
          out[j] += own[plane][x] / count;
        }
      });
    }
  };
}
