/** docs/format.md, section 7: guided upsampling of one grid, in floating point, row by row. */
import { binomial } from "./painting.js";

const EPSILON = 160;
const UNIT = 100 / 255;

/**
 * @typedef {object} Grid
 * @property {Int16Array} samples [2, h, w]
 * @property {number} spacing
 * @property {string} sampling "mean" or "point"
 * @property {number} step in 1/256 of a CIELAB unit
 */

/**
 * @param {Uint8Array} lightness the stored plane
 * @param {number} width
 * @param {number} height
 * @param {Grid} grid
 * @returns {(y: number, a: Float32Array, b: Float32Array) => void} fills a row of a* and b*
 */
export function guided(lightness, width, height, { samples, spacing, sampling, step }) {
  const [rows, columns] = [Math.ceil(height / spacing), Math.ceil(width / spacing)];
  const size = rows * columns;
  const shape = { height: rows, width: columns };
  const point = sampling === "point";
  const S = [0, 1].map((plane) =>
    Float64Array.from(samples.subarray(plane * size, (plane + 1) * size), (k) =>
      Math.min(Math.max((k * step) / 256, -128), 128),
    ),
  );
  const reduce = (row) => reduced(row, width, height, spacing, point);
  const [M] = reduce((y, [values]) => {
    for (let x = 0; x < width; x++) values[x] = lightness[y * width + x] * UNIT;
  });
  const G = (values) => binomial({ ...shape, values }).map((sum) => sum / 256);
  const times = (one, other) => one.map((value, k) => value * other[k]);
  const mean = G(M);
  const spread = G(times(M, M)).map((square, k) => Math.max(square - mean[k] ** 2, 0) + EPSILON);
  const slopes = S.map((plane) => {
    const [product, own] = [G(times(M, plane)), G(plane)];
    return product.map((sum, k) => (sum - mean[k] * own[k]) / spread[k]);
  });
  const up = interpolation([...S, ...slopes, M], shape, width, height, spacing, point);
  const row = (y, outs) => {
    const [a, b, slopeA, slopeB, near] = up(y);
    for (let x = 0; x < width; x++) {
      const detail = lightness[y * width + x] * UNIT - near[x];
      outs[0][x] = a[x] + slopeA[x] * detail;
      outs[1][x] = b[x] + slopeB[x] * detail;
    }
  };
  const base = reduce(row);
  S.forEach((plane, c) => plane.forEach((value, k) => (plane[k] = 2 * value - base[c][k])));
  return (y, a, b) => row(y, [a, b]);
}

/** Planes of cells [h, w] of what row(y, planes) fills, at most two. */
function reduced(row, width, height, spacing, point) {
  const [rows, columns] = [Math.ceil(height / spacing), Math.ceil(width / spacing)];
  const middle = Math.floor(spacing / 2);
  const values = [0, 0].map(() => new Float64Array(width));
  const cells = [0, 0].map(() => new Float64Array(rows * columns));
  for (let i = 0; i < rows; i++) {
    const [top, bottom] = point
      ? [Math.min(i * spacing + middle, height - 1), Math.min(i * spacing + middle, height - 1) + 1]
      : [i * spacing, Math.min((i + 1) * spacing, height)];
    for (let y = top; y < bottom; y++) {
      row(y, values);
      for (let j = 0; j < columns; j++) {
        const [left, right] = point
          ? [Math.min(j * spacing + middle, width - 1), Math.min(j * spacing + middle, width - 1) + 1]
          : [j * spacing, Math.min((j + 1) * spacing, width)];
        const count = (bottom - top) * (right - left);
        for (let x = left; x < right; x++)
          for (let c = 0; c < 2; c++) cells[c][i * columns + j] += values[c][x] / count;
      }
    }
  }
  return cells;
}

/** The cells and weights of pixels along one axis, four each. */
function taps(length, cells, spacing, point) {
  const middle = point ? Math.floor(spacing / 2) : (spacing - 1) / 2;
  const [places, weights] = [new Int32Array(4 * length), new Float64Array(4 * length)];
  for (let x = 0; x < length; x++) {
    const position = (x - middle) / spacing;
    for (let k = 0; k < 4; k++) {
      const cell = Math.floor(position) - 1 + k;
      const d = Math.abs(position - cell);
      places[4 * x + k] = Math.min(Math.max(cell, 0), cells - 1);
      weights[4 * x + k] = d <= 1 ? (1.25 * d - 2.25) * d * d + 1 : ((-0.75 * d + 3.75) * d - 6) * d + 3;
    }
  }
  return { places, weights };
}

/** up() of planes of cells: a function that gives row y of each. */
function interpolation(planes, { height: rows, width: columns }, width, height, spacing, point) {
  const [down, across] = [taps(height, rows, spacing, point), taps(width, columns, spacing, point)];
  const between = new Float64Array(columns);
  const out = planes.map(() => new Float64Array(width));
  return (y) => {
    planes.forEach((plane, c) => {
      between.fill(0);
      for (let k = 0; k < 4; k++) {
        const [from, weight] = [down.places[4 * y + k] * columns, down.weights[4 * y + k]];
        for (let j = 0; j < columns; j++) between[j] += weight * plane[from + j];
      }
      const { places, weights } = across;
      for (let x = 0, at = 0; x < width; x++, at += 4)
        out[c][x] =
          weights[at] * between[places[at]] + weights[at + 1] * between[places[at + 1]] +
          weights[at + 2] * between[places[at + 2]] + weights[at + 3] * between[places[at + 3]];
    });
    return out;
  };
}
