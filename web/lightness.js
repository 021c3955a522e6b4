/** docs/format.md, section 11, Lightness: means and ranges of cells, and cells, in an engine's memory. */

/** Bytes of the sums of cells of so many pixels each way. @param {number} n */
function bytesOfSums(n) {
  return n === 1 ? 1 : n <= 16 ? 2 : 8;
}

/** @typedef {{height: number, width: number, means: number, ranges: number}} Level addresses of i16[height, width] */

/**
 * m_n and r_n of n = 1, 2, 4, ..., coarsest.
 * @param {import("./engine.js").Engine} engine
 * @param {Uint8Array} plane the stored lightness
 * @param {number} width
 * @param {number} height
 * @param {number} coarsest
 * @returns {Map<number, Level>}
 */
export function pyramid(engine, plane, width, height, coarsest) {
  const { kernels } = engine;
  const stored = engine.put(plane);
  const means = engine.take(2 * plane.length);
  const ranges = engine.zeros(2 * plane.length);
  const values = engine.view(Int16Array, means, plane.length);
  for (let k = 0; k < plane.length; k++) values[k] = 64 * plane[k];
  const levels = new Map([[1, { height, width, means, ranges }]]);
  let finer = { height, width, sums: stored, low: stored, high: stored };
  for (let n = 2; n <= coarsest; n *= 2) {
    const [rows, columns] = [Math.ceil(finer.height / 2), Math.ceil(finer.width / 2)];
    const size = rows * columns;
    const bytes = bytesOfSums(n);
    const level = { height: rows, width: columns, means: engine.take(2 * size), ranges: engine.take(2 * size) };
    const [sums, low, high] = [bytes, 1, 1].map((each) => engine.take(each * size));
    const shift = 2 * Math.log2(n) - 6;
    kernels.halve(
      finer.sums, finer.low, finer.high, finer.height, finer.width, bytesOfSums(n / 2), bytes, shift, sums, low, high,
      level.means, level.ranges,
    );
    levels.set(n, level);
    finer = { height: rows, width: columns, sums, low, high };
  }
  return levels;
}

/** floor(8 log2 step). @param {number} step 1 to 65535 */
export function loudnessOf(step) {
  let [power, bits] = [BigInt(step) ** 8n, -1];
  for (; power > 0n; power >>= 1n) bits += 1;
  return bits - 64;
}
