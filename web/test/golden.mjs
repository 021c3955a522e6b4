/** The golden files (docs/format.md, section 15), and what a picture must have of them. */
import assert from "node:assert/strict";

/**
 * @param {import("../cray.js").Picture} picture
 * @param {{lightness: number[][], alpha?: number[][], grid?: {spacing: number, samples: number[][][]}, metadata?: object}} expected
 */
export function assertGolden(picture, expected) {
  assert.deepEqual([picture.height, picture.width], [expected.lightness.length, expected.lightness[0].length]);
  assert.deepEqual(Array.from(picture.lightness), expected.lightness.flat());
  assert.deepEqual(picture.alpha && Array.from(picture.alpha), expected.alpha?.flat() ?? null);
  assert.equal(picture.grid?.spacing, expected.grid?.spacing);
  if (expected.grid) assert.deepEqual(Array.from(picture.grid.samples), expected.grid.samples.flat(2));
}
