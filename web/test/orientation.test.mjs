/** Which way up pictures are, and what damaged EXIF gives. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode } from "../cray.js";
import { exif, orientationOf, upright } from "../orientation.js";

/** Of 01/23/45, as EXIF 2.32 has the orientations. */
const TURNED = ["01/23/45", "10/32/54", "54/32/10", "45/23/01", "024/135", "420/531", "531/420", "135/024"];
const TIFF = Uint8Array.of(0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 2, 0x01, 0x0f, 0, 2, 0, 0, 0, 3, 65, 66, 0, 0, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0);

test("all orientations", () => {
  const rgba = new Uint8ClampedArray(Uint32Array.of(0, 1, 2, 3, 4, 5).buffer);
  TURNED.forEach((expected, k) => {
    const found = upright({ width: 2, height: 3, rgba }, k + 1);
    const values = Array.from(new Uint32Array(found.rgba.buffer));
    const rows = Array.from({ length: found.height }, (_, y) => values.slice(y * found.width, (y + 1) * found.width).join(""));
    assert.equal(rows.join("/"), expected, `${k + 1}`);
  });
});

test("EXIF, XMP, or neither says it", () => {
  assert.deepEqual(exif(TIFF), { Maker: "AB", Orientation: 6 });
  const xmp = new TextEncoder().encode('<rdf:Description tiff:Orientation="8"/>');
  for (const [metadata, expected] of [[{ exif: TIFF, xmp }, 6], [{ xmp }, 8], [{}, 1], [{ exif: TIFF.with(31, 9) }, 1]])
    assert.equal(orientationOf(metadata), expected);
});

test("damaged EXIF has what can be read, and is no error", () => {
  for (let size = 0; size < TIFF.length; size++) assert.equal(typeof exif(TIFF.slice(0, size)), "object");
  for (let k = 0; k < TIFF.length; k++) for (const value of [0, 1, 127, 255]) assert.equal(typeof exif(TIFF.with(k, value)), "object");
});

test("the golden file with metadata is read", async () => {
  const { metadata } = await decode(readFileSync(new URL("../../tests/format/golden/metadata.cray", import.meta.url)));
  assert.ok(metadata.exif.length > 0);
  assert.ok(orientationOf(metadata) >= 1);
});
