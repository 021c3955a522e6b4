/** Pixels to a PNG file; not by a canvas, which changes what is half transparent, and anything where fingerprints are resisted. */
import { crc32 } from "./reader.js";

const MAGIC = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const [RGB, RGBA] = [2, 6];
const PAETH = 4;
const PERCEPTUAL = 0;
/** Bytes that are filtered before others have their turn. */
const BAND = 1 << 20;

/**
 * @param {{width: number, height: number, rgba: Uint8ClampedArray}} picture
 * @returns {Promise<Blob>} sRGB; without alpha if all pixels are opaque
 */
export async function png({ width, height, rgba }) {
  const opaque = rgba.every((value, k) => k % 4 !== 3 || value === 255);
  const channels = opaque ? 3 : 4;
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8);
  head.setUint8(9, opaque ? RGB : RGBA);
  const bands = filtered(width, height, channels, rgba);
  const source = new ReadableStream({
    pull: (controller) => {
      const { value, done } = bands.next();
      return done ? controller.close() : controller.enqueue(value);
    },
  });
  const data = await new Response(source.pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  const chunks = [chunk("IHDR", new Uint8Array(head.buffer)), chunk("sRGB", Uint8Array.of(PERCEPTUAL)), chunk("IDAT", new Uint8Array(data))];
  return new Blob([MAGIC, ...chunks, chunk("IEND", new Uint8Array(0))], { type: "image/png" });
}

function* filtered(width, height, channels, rgba) {
  const size = channels * width;
  const rows = Math.max(1, Math.floor(BAND / size));
  let [above, row] = [new Uint8Array(channels + size), new Uint8Array(channels + size)];
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    const band = new Uint8Array(count * (1 + size));
    let to = 0;
    for (let y = top; y < top + count; y++) {
      for (let x = 0, k = channels; x < width; x++) for (let c = 0; c < channels; c++, k++) row[k] = rgba[4 * (y * width + x) + c];
      band[to++] = PAETH;
      for (let k = channels; k < channels + size; k++) band[to++] = row[k] - nearest(row[k - channels], above[k], above[k - channels]);
      [above, row] = [row, above];
    }
    yield band;
  }
}

/** Paeth's predictor. */
function nearest(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let k = 0; k < 4; k++) bytes[4 + k] = type.charCodeAt(k);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
