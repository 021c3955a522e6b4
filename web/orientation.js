/** What EXIF and XMP say of a picture: which way up it is, and what photographers look for. */

/** Tags of the directories, and what they are called. */
const PICTURE = { 0x010e: "Title", 0x010f: "Maker", 0x0110: "Camera", 0x0112: "Orientation", 0x0131: "Software", 0x0132: "Changed", 0x013b: "Artist", 0x8298: "Copyright" };
const PHOTO = { 0x829a: "Exposure", 0x829d: "Aperture", 0x8827: "ISO", 0x9003: "Taken", 0x920a: "Focal length", 0xa434: "Lens" };
const [PHOTO_DIRECTORY, GPS_DIRECTORY] = [0x8769, 0x8825];
/** Bytes of a value of each type: bytes, text, shorts, longs, fractions. */
const SIZES = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8 };
const [TEXT, SHORT, LONG, FRACTION, SIGNED_FRACTION] = [2, 3, 4, 5, 10];
const MOST_RECORDS = 1000;
const MOST_TEXT = 200;
const XMP_ORIENTATION = /tiff:Orientation(?:\s*=\s*["']|\s*>\s*)([1-8])/;
/** Of the orientations: whether sides are exchanged, then whether columns and rows are counted from the other end. */
const TURNS = [, [0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]];

/**
 * @param {Uint8Array | undefined} bytes a TIFF structure; what is damaged in it is not there
 * @returns {{[name: string]: string | number}} by the names above, and "Position" if there is a GPS directory
 */
export function exif(bytes) {
  const found = {};
  try {
    if (bytes) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const little = view.getUint16(0) === 0x4949;
      directory({ view, bytes, little }, view.getUint32(4, little), PICTURE, found);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return found;
}

function directory(file, start, names, found) {
  const { view, little } = file;
  const count = Math.min(view.getUint16(start, little), MOST_RECORDS);
  let photo = 0;
  for (let record = start + 2; record < start + 2 + 12 * count; record += 12) {
    const tag = view.getUint16(record, little);
    if (names === PICTURE && tag === PHOTO_DIRECTORY) photo = view.getUint32(record + 8, little);
    if (names === PICTURE && tag === GPS_DIRECTORY) found.Position = "yes, by GPS";
    const value = tag in names ? valueOf(file, record) : null;
    if (value !== null && value !== "") found[names[tag]] = readable(names[tag], value);
  }
  if (photo) directory(file, photo, PHOTO, found);
}

function valueOf({ view, bytes, little }, record) {
  const [type, count] = [view.getUint16(record + 2, little), view.getUint32(record + 4, little)];
  const size = SIZES[type] * count;
  if (!(size > 0)) return null;
  const place = size > 4 ? view.getUint32(record + 8, little) : record + 8;
  if (type === TEXT) return new TextDecoder().decode(bytes.subarray(place, place + Math.min(count, MOST_TEXT))).replace(/\0.*$/s, "").trim();
  if (type === SHORT) return view.getUint16(place, little);
  if (type === LONG) return view.getUint32(place, little);
  if (type === FRACTION) return view.getUint32(place, little) / view.getUint32(place + 4, little);
  if (type === SIGNED_FRACTION) return view.getInt32(place, little) / view.getInt32(place + 4, little);
  return view.getUint8(place);
}

function readable(name, value) {
  if (typeof value !== "number") return value;
  const rounded = Number(value.toPrecision(3));
  if (name === "Exposure") return value > 0 && value < 0.3 ? `1/${Math.round(1 / value)} s` : `${rounded} s`;
  if (name === "Aperture") return `f/${rounded}`;
  if (name === "Focal length") return `${rounded} mm`;
  return value;
}

/** Which way up, 1 to 8. @param {import("./cray.js").Picture["metadata"]} metadata */
export function orientationOf(metadata) {
  const said = exif(metadata.exif).Orientation;
  if (said !== undefined) return TURNS[said] ? said : 1;
  const found = metadata.xmp && XMP_ORIENTATION.exec(new TextDecoder().decode(metadata.xmp));
  return found ? Number(found[1]) : 1;
}

/**
 * @param {{width: number, height: number, rgba: Uint8ClampedArray}} picture
 * @param {number} orientation 1 to 8
 * @returns {{width: number, height: number, rgba: Uint8ClampedArray}} as it is to be seen; the same pixels if that is as it is
 */
export function upright({ width, height, rgba }, orientation) {
  if (orientation === 1) return { width, height, rgba };
  const [exchanged, lastColumn, lastRow] = TURNS[orientation];
  const [across, down] = exchanged ? [height, width] : [width, height];
  const [from, to] = [new Uint32Array(rgba.buffer, rgba.byteOffset, width * height), new Uint32Array(width * height)];
  for (let y = 0, k = 0; y < height; y++)
    for (let x = 0; x < width; x++, k++) {
      const [column, row] = exchanged ? [y, x] : [x, y];
      to[(lastRow ? down - 1 - row : row) * across + (lastColumn ? across - 1 - column : column)] = from[k];
    }
  return { width: across, height: down, rgba: new Uint8ClampedArray(to.buffer) };
}
