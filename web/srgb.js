/** docs/format.md, section 7, "To RGB in whole numbers": the kernel's tables. */

const MATRIX = [9208016, -4595341, -1623268, -2753151, 5607399, 135159, 158297, -609902, 3441012];
const [ONE, KNEE, SLOPE, LIGHTNESS] = [2n ** 24n, 1224000n, 2143158n, 51000n];
const SUM = 2989407n;
const CURVE = 4096;

/** [value / 2^power]. */
const over = (value, power) => (value + (1n << (power - 1n))) >> power;
const most = (a, b) => (a > b ? a : b);

function curve(f) {
  const bent = most(f, KNEE);
  return over(over(bent * bent, 20n) * bent, 21n) - over(SLOPE * most(KNEE - f, 0n), 20n);
}

/** The least linear light, in 1/2^24, of an 8-bit value i. */
function threshold(i) {
  const j = BigInt(2 * i - 1);
  if (i <= 10) return (ONE * 100n * j + 510n * 1292n - 1n) / (510n * 1292n);
  const power = ONE ** 5n * (20n * j + 561n) ** 12n;
  const reached = (light) => light ** 5n * 10761n ** 12n >= power;
  let light = BigInt(Math.floor(Number(ONE) * ((20 * (2 * i - 1) + 561) / 10761) ** 2.4)); // nearly
  while (!reached(light)) light += 1n;
  while (reached(light - 1n)) light -= 1n;
  return light;
}

/** i32[4096] by which linear light c becomes (curve[c >> 12] + c) >> 12: lab.h. */
function curveTable() {
  const width = Number(ONE) / CURVE;
  const edges = [...Array.from({ length: 255 }, (_, k) => Number(threshold(k + 1))), 2 * Number(ONE)];
  let count = 0;
  return Int32Array.from({ length: CURVE }, (_, k) => {
    while (edges[count] <= k * width) count += 1;
    return count * width - k * width + Math.max((k + 1) * width - edges[count], 0);
  });
}

/** i32[256, 2]: the least and the most luminance that clipping may make of a lightness. */
function luminanceTable() {
  return Int32Array.from({ length: 512 }, (_, k) => {
    const fy = 4000n * (5n * BigInt(k >> 1) + 204n);
    return Number(over(SUM * curve(fy + (k & 1 ? LIGHTNESS : -LIGHTNESS)), 24n));
  });
}

let tables;

/**
 * A function that paints in an engine's memory: the addresses of lightness u8[count], of a* and b*, and of what gets
 * rgb u8[count, 3]. whole: i32 in 1/256 of a CIELAB unit; else f32 in units.
 * @param {import("./engine.js").Engine} engine
 */
export function painter(engine) {
  tables ??= [Int32Array.from(MATRIX), curveTable(), luminanceTable()];
  const given = tables.map((table) => engine.put(table));
  const { lab_to_rgb, lab_floats_to_rgb } = engine.kernels;
  return (lightness, a, b, count, rgb, whole = true) =>
    (whole ? lab_to_rgb : lab_floats_to_rgb)(...given, lightness, a, b, count, rgb);
}
