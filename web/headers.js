/** docs/format.md, section 4: what WebP and AVIF files say of their size, read before anything is decoded. */
import { CrayError, check } from "./failure.js";

const FILE = ["ftyp", "meta", "mdat"];
const META = ["hdlr", "pitm", "iloc", "iinf", "iprp"];
const ANIMATION = 2;
const MOST_OBUS = 100;
const [SEQUENCE, HEADER, FRAME] = [1, 3, 6];
/** Types of OBUs: also delimiter, tiles, metadata, padding. */
const KNOWN = [SEQUENCE, 2, HEADER, 4, 5, FRAME, 15];

const text = (bytes, at, size = 4) => String.fromCharCode(...bytes.subarray(at, at + size));
const little = (bytes, at, size) => bytes.subarray(at, at + size).reduceRight((value, byte) => value * 256 + byte, 0);
const big = (bytes, at, size) => bytes.subarray(at, at + size).reduce((value, byte) => value * 256 + byte, 0);

/**
 * @param {Uint8Array} data
 * @returns {{width: number, height: number, lossless: boolean}}
 * @throws {CrayError} for what is no WebP file of one picture
 */
export function webpSize(data) {
  check(text(data, 0) === "RIFF" && text(data, 8) === "WEBP" && data.length >= 25, "no WebP file");
  check(little(data, 4, 4) + 8 <= data.length, "file ends early");
  const kind = text(data, 12);
  if (kind === "VP8 " && big(data, 23, 3) === 0x9d012a && data.length >= 30)
    return { width: little(data, 26, 2) & 0x3fff, height: little(data, 28, 2) & 0x3fff, lossless: false };
  if (kind === "VP8L" && data[20] === 0x2f) {
    const sides = little(data, 21, 4);
    return { width: (sides & 0x3fff) + 1, height: ((sides >>> 14) & 0x3fff) + 1, lossless: true };
  }
  check(kind === "VP8X" && !(data[20] & ANIMATION) && data.length >= 30, "expected one picture, VP8, VP8L or VP8X");
  const canvas = { width: little(data, 24, 3) + 1, height: little(data, 27, 3) + 1 };
  const inner = pictureOf(data);
  const size = webpSize(inner);
  check(size.width === canvas.width && size.height === canvas.height, "picture of another size than its canvas");
  return size;
}

/** The picture's chunk of an extended file, as a file of its own. */
function pictureOf(data) {
  for (let at = 12; at + 8 <= data.length; at += 8 + little(data, at + 4, 4) + (data[at + 4] & 1)) {
    if (/^VP8[ L]$/.test(text(data, at))) {
      const simple = new Uint8Array(12 + data.length - at);
      simple.set(data.subarray(0, 12));
      simple.set(data.subarray(at), 12);
      new DataView(simple.buffer).setUint32(4, simple.length - 8, true);
      return simple;
    }
  }
  throw new CrayError("no picture, expected one");
}

/**
 * Of the only AV1 frame of a file that has one image item and nothing else.
 * @param {Uint8Array} data
 * @returns {{width: number, height: number}}
 * @throws {CrayError} for any other file
 */
export function avifSize(data) {
  const boxes = boxesOf(data, FILE);
  const meta = boxesOf(boxes.meta.subarray(4), META);
  const item = big(meta.pitm, 4, 2);
  const entry = boxesOf(meta.iinf.subarray(6), ["infe"]).infe;
  const one = big(meta.iinf, 4, 2) === 1 && entry[0] === 2 && big(entry, 4, 2) === item && text(entry, 8) === "av01";
  check(one, "expected one item, an AV1 image");
  checkMonochrome(meta.iprp);
  return sizeOfFrame(extent(data, meta.iloc, item));
}

/** The codec configuration says: monochrome of 8 bits. */
function checkMonochrome(properties) {
  const at = properties.findIndex((_, k) => text(properties, k) === "av1C");
  check(at >= 0 && (properties[at + 6] & 0x70) === 0x10, "not monochrome of 8 bits");
}

function boxesOf(data, kinds) {
  const found = {};
  for (let at = 0; at < data.length; at += big(data, at, 4)) {
    check(at + 8 <= data.length, "file ends within a box");
    const [size, kind] = [big(data, at, 4), text(data, at + 4)];
    const fits = kinds.includes(kind) && !(kind in found) && size >= 8 && at + size <= data.length;
    check(fits, `box of ${size} bytes at ${at}, expected ${kinds.join(", ")} once each`);
    found[kind] = data.subarray(at + 8, at + size);
  }
  check(Object.keys(found).length === kinds.length, `a box is missing, expected ${kinds.join(", ")}`);
  return found;
}

/** Where `iloc` says that the item is: in one piece of the file. */
function extent(data, box, item) {
  const sizes = [box[4] >> 4, box[4] & 15, box[5] >> 4];
  const plain = box[0] === 0 && (box[5] & 15) === 0 && sizes.every((size) => [0, 4, 8].includes(size));
  check(plain, "iloc of another kind, expected version 0");
  const [offsetSize, lengthSize, baseSize] = sizes;
  const at = 14 + baseSize;
  const whole = big(box, 6, 2) === 1 && big(box, 8, 2) === item && big(box, 10, 2) === 0 && big(box, at - 2, 2) === 1;
  const ends = box.length === at + offsetSize + lengthSize;
  check(whole && ends, "item in pieces or elsewhere, expected one extent in this file");
  const offset = big(box, 12, baseSize) + big(box, at, offsetSize);
  const length = big(box, at + offsetSize, lengthSize);
  check(length > 0 && offset + length <= data.length, "item reaches beyond the end of the file");
  return data.subarray(offset, offset + length);
}

function sizeOfFrame(sample) {
  let [position, sequence, frames, count] = [0, null, 0, 0];
  while (position < sample.length) {
    check(++count <= MOST_OBUS, `more than ${MOST_OBUS} AV1 OBUs`);
    const header = sample[position];
    const kind = (header >> 3) & 15;
    position += header & 4 ? 2 : 1;
    let size = sample.length - position;
    if (header & 2) [size, position] = leb128(sample, position);
    const known = KNOWN.includes(kind) && !(header & 0x80) && position + size <= sample.length;
    check(known, `AV1 OBU of type ${kind} and ${size} bytes, expected parts of one frame`);
    if (kind === SEQUENCE) {
      check(!sequence, "two AV1 sequence headers, expected one");
      sequence = sample.subarray(position, position + size);
    }
    frames += Number(kind === HEADER || kind === FRAME);
    position += size;
  }
  check(sequence && frames === 1, `${frames} AV1 frames, expected one with a sequence header`);
  return sizeOfSequence(bitsOf(sequence));
}

function leb128(data, position) {
  let value = 0;
  for (let k = 0; k < 8; k++) {
    check(position + k < data.length, "AV1 OBU ends early");
    const byte = data[position + k];
    value += (byte & 127) * 2 ** (7 * k);
    if (byte < 128) return [value, position + k + 1];
  }
  throw new CrayError("AV1 OBU without a size");
}

/** A function that takes so many bits, at most 32. */
function bitsOf(data) {
  let at = 0;
  return (count) => {
    check(at + count <= 8 * data.length, "AV1 sequence header ends early");
    let value = 0;
    for (const end = at + count; at < end; at++) value = value * 2 + ((data[at >> 3] >> (7 - (at & 7))) & 1);
    return value;
  };
}

/** AV1 specification, 5.5.1. */
function sizeOfSequence(take) {
  take(4); // profile, still picture
  const reduced = take(1);
  if (reduced) take(5);
  else {
    check(!take(1), "AV1 sequence header with timing, expected that of a still picture");
    const delays = take(1);
    for (let left = take(5) + 1; left > 0; left--) {
      take(12);
      if (take(5) > 7) take(1);
      if (delays && take(1)) take(4);
    }
  }
  const lengths = [take(4) + 1, take(4) + 1];
  const [width, height] = lengths.map((length) => take(length) + 1);
  const bits = (number) => 32 - Math.clz32(number);
  const open = !reduced && (lengths[0] > bits(width) || lengths[1] > bits(height));
  check(!open, "AV1 sequence header that leaves the frame's size open");
  return { width, height };
}
