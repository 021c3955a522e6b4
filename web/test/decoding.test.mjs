/** The decoder in Node: golden files, and files of the package (make_cases.py). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CrayError, decode, info, progressive } from "../cray.js";
import { assertGolden } from "./golden.mjs";

const GOLDEN = fileURLToPath(new URL("../../tests/format/golden/", import.meta.url));
const CASES = fileURLToPath(new URL("./cases/", import.meta.url));
const NAMES = readdirSync(GOLDEN).filter((name) => name.endsWith(".cray")).map((name) => name.slice(0, -".cray".length));
const cases = existsSync(`${CASES}cases.json`) ? JSON.parse(readFileSync(`${CASES}cases.json`)) : [];
const skip = cases.length ? false : "there are no cases: make web-test makes them with the package";
const golden = (name) => readFileSync(`${GOLDEN}${name}.cray`);
const file = (name) => readFileSync(`${CASES}${name}.cray`);

/** Pixels as the package has them: RGB, or RGBA of a picture with alpha. */
function pixels({ rgba, alpha }) {
  return alpha ? Buffer.from(rgba.buffer) : Buffer.from(rgba.filter((_, k) => k % 4 !== 3).buffer);
}

function sha256(picture) {
  return createHash("sha256").update(pixels(picture)).digest("hex");
}

async function refused(bytes, options) {
  await assert.rejects(decode(bytes, options), (error) => {
    assert.ok(error instanceof CrayError, `${error.stack}`);
    assert.match(error.message, /^[^\n]+$/);
    return true;
  });
}

for (const name of NAMES)
  test(`golden file ${name}`, async () => {
    const expected = JSON.parse(readFileSync(`${GOLDEN}${name}.json`));
    const picture = await decode(golden(name));
    assertGolden(picture, expected);
    const metadata = Object.entries(picture.metadata).map(([key, value]) => [key, Buffer.from(value).toString("hex")]);
    assert.deepEqual(Object.fromEntries(metadata), expected.metadata);
    assert.equal(picture.done, true);
    const { width, height, grids, size } = info(golden(name));
    assert.deepEqual([width, height, size], [picture.width, picture.height, golden(name).length]);
    assert.equal(grids.at(-1)?.spacing, picture.grid?.spacing);
  });

test("cases are there", { skip }, () => {
  for (const [key, least] of [["exact", 60], ["near", 50], ["refused", 130]])
    assert.ok(cases.filter((each) => key in each).length >= least, key);
});

for (const { name, exact } of cases.filter(({ exact }) => exact))
  test(`${name} is as the package shows it`, async () => {
    for (const { sha256: expected, ...options } of exact)
      if (expected === null) await refused(file(name), options);
      else assert.equal(sha256(await decode(file(name), options)), expected, JSON.stringify(options));
  });

for (const { name, near, scale } of cases.filter(({ near }) => near))
  test(`${name} is nearly as the package shows it`, async () => {
    const found = pixels(await decode(file(name), { scale, color: "guided" }));
    assert.equal(found.length, near.length);
    assert.ok(found.every((value, k) => Math.abs(value - near[k]) <= 1));
  });

test("what the package refuses is refused", { skip }, async (t) => {
  for (const { name } of cases.filter((each) => each.refused)) await t.test(name, () => refused(file(name)));
});

for (const name of ["alpha", "metadata", "nested-chunks"]) {
  test(`${name}, cut anywhere, is refused`, async () => {
    const bytes = golden(name);
    for (let size = 0; size < bytes.length; size++) await refused(bytes.subarray(0, size));
  });
  test(`${name}, any byte of it another, is refused`, async () => {
    for (let at = 0; at < golden(name).length; at++) {
      const bytes = golden(name);
      bytes[at] ^= 0x21;
      await refused(bytes);
    }
  });
}

test("a picture becomes better", async () => {
  const found = [];
  for await (const picture of progressive(golden("nested-chunks"), { color: "refined" })) found.push(picture);
  const spacings = info(golden("nested-chunks")).grids.map(({ spacing }) => spacing);
  assert.deepEqual(found.map(({ stage }) => stage), ["grey", ...spacings.map(() => "level"), "painted"].slice(0, found.length - 1).concat("painted"));
  assert.deepEqual(found.map(({ done }) => done), [...found.slice(1).map(() => false), true]);
  const kept = [];
  const last = await decode(golden("nested-chunks"), { onProgress: (picture) => kept.push(sha256(picture)) });
  assert.deepEqual(kept, found.slice(0, kept.length).map(sha256));
  assert.equal(sha256(last), sha256(await decode(golden("nested-chunks"))));
  const levels = found.filter(({ stage }) => stage === "level");
  for (const [k, picture] of levels.slice(0, -1).entries())
    assert.equal(sha256(picture), sha256(await decode(golden("nested-chunks"), { color: "guided", levels: k + 1 })));
});

test("many at once do not disturb each other", async () => {
  const [alone] = await Promise.all([decode(golden("nested"))]);
  const together = await Promise.all(Array.from({ length: 5 }, () => decode(golden("nested"))));
  for (const picture of together) assert.equal(sha256(picture), sha256(alone));
});

test("options are checked", async () => {
  for (const options of [{ color: "neural" }, { levels: 0 }, { scale: 3 }, { color: "refined", scale: 2 }])
    await assert.rejects(decode(golden("nested"), options), RangeError);
  await assert.rejects(decode("text"), TypeError);
  await assert.rejects(decode(golden("nested"), { limits: { pixels: 10 } }), /the limit is 10$/);
  await assert.rejects(decode(golden("nested"), { models: "file:///nowhere/" }), /predictor-4.safetensors cannot be read/);
});

test("bytes may be part of a larger buffer", async () => {
  const bytes = new Uint8Array(golden("default").length + 7);
  bytes.set(golden("default"), 7);
  assert.equal(sha256(await decode(bytes.subarray(7))), sha256(await decode(golden("default"))));
  assert.equal(sha256(await decode(bytes.slice(7).buffer)), sha256(await decode(golden("default"))));
});
