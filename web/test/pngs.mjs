/** Pixels of a PNG file as the page writes them. */
import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import { crc32 } from "../reader.js";

/** @param {Buffer} bytes @returns {{width: number, height: number, rgba: number[]}} */
export function pixelsOf(bytes) {
  assert.equal(bytes.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  const chunks = {};
  for (let at = 8; at < bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    assert.equal(bytes.readUInt32BE(at + 8 + size), crc32(bytes.subarray(at + 4, at + 8 + size)));
    chunks[bytes.toString("latin1", at + 4, at + 8)] = bytes.subarray(at + 8, at + 8 + size);
    at += 12 + size;
  }
  assert.deepEqual(Object.keys(chunks), ["IHDR", "sRGB", "IDAT", "IEND"]);
  const [width, height] = [0, 4].map((offset) => chunks.IHDR.readUInt32BE(offset));
  const channels = { 2: 3, 6: 4 }[chunks.IHDR[9]];
  const data = inflateSync(chunks.IDAT);
  assert.equal(data.length, height * (1 + width * channels));
  const rgba = [];
  let above = Buffer.alloc(width * channels);
  for (let y = 0, at = 0; y < height; y++) {
    assert.equal(data[at++], 4, "the filter is Paeth's");
    const row = Buffer.from(data.subarray(at, (at += above.length)));
    for (let k = 0; k < row.length; k++) {
      const [a, b, c] = [row[k - channels] ?? 0, above[k], above[k - channels] ?? 0];
      const [pa, pb, pc] = [b - c, a - c, a + b - 2 * c].map(Math.abs);
      row[k] += pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    }
    for (let x = 0; x < width; x++) rgba.push(...row.subarray(x * channels, (x + 1) * channels), ...(channels === 3 ? [255] : []));
    above = row;
  }
  return { width, height, rgba };
}
