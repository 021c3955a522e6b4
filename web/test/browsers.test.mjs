/** The decoder in browsers, headless: all golden files exact, whatever the browser does to canvases. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { decode } from "../cray.js";
import { BROWSERS, RESISTING, ROOT, launch, serve } from "./browsing.mjs";
import { assertGolden } from "./golden.mjs";

const GOLDEN = "tests/format/golden";
const NAMES = readdirSync(`${ROOT}${GOLDEN}`).filter((name) => name.endsWith(".cray")).map((name) => name.slice(0, -".cray".length));
const CASES = `${ROOT}web/test/cases/`;
let server;

before(async () => (server = await serve()));
after(() => server.close());

/** In the page: what decoding gives, as JSON has it. */
async function decodeInPage(path, options) {
  const { decode } = await import("/web/cray.js");
  const bytes = await (await fetch(path)).arrayBuffer();
  try {
    const { width, height, rgba, lightness, alpha, grid } = await decode(bytes, options);
    const list = (array) => array && Array.from(array);
    return { width, height, rgba: list(rgba), lightness: list(lightness), alpha: list(alpha), grid: grid && { ...grid, samples: list(grid.samples) } };
  } catch (error) {
    return { name: error.name, message: error.message };
  }
}

/** In the page: SHA-256 of the pixels, RGB. */
async function digestInPage(path, options) {
  const { decode } = await import("/web/cray.js");
  const { rgba } = await decode(await (await fetch(path)).arrayBuffer(), options);
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(rgba.filter((_, k) => k % 4 !== 3)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (const [name, options] of Object.entries({ ...BROWSERS, ...RESISTING }))
  describe(name, { skip: options.executablePath ? false : "it is not installed" }, () => {
    let browser, page;
    before(async () => {
      browser = await launch(options);
      page = await browser.newPage();
      await page.goto(server.address);
    });
    after(() => browser?.close());

    test("all golden files are exact, in a worker and on the page", async (t) => {
      for (const file of NAMES)
        await t.test(file, async () => {
          const expected = JSON.parse(readFileSync(`${ROOT}${GOLDEN}/${file}.json`));
          const here = await decode(readFileSync(`${ROOT}${GOLDEN}/${file}.cray`));
          for (const worker of [true, false]) {
            const picture = await page.evaluate(decodeInPage, `/${GOLDEN}/${file}.cray`, { worker });
            assert.equal(picture.message, undefined);
            assertGolden(picture, expected);
            assert.deepEqual(picture.rgba, Array.from(here.rgba));
          }
        });
    });

    test("codecs are those that are exact", async (t) => {
      const ways = await page.evaluate(async () => {
        const { wayTo } = await import("/web/codecs.js");
        return { avif: (await wayTo("avif")).name, webp: (await wayTo("webp")).name };
      });
      t.diagnostic(JSON.stringify(ways));
      assert.ok(Object.values(ways).every((way) => ["imageDecoder", "canvas", "webAssembly"].includes(way)));
    });

    test("without ImageDecoder another way is as exact", async (t) => {
      const found = await page.evaluate(async () => {
        globalThis.ImageDecoder = undefined;
        const { wayTo } = await import("/web/codecs.js?without");
        return [(await wayTo("avif")).name, (await wayTo("webp")).name];
      });
      t.diagnostic(found.join(", "));
      assert.ok(found.every((way) => ["canvas", "webAssembly"].includes(way)));
      await page.reload();
    });

    test("codecs in WebAssembly are exact, too", async () => {
      const found = await page.evaluate(async () => {
        for (const missing of ["ImageDecoder", "createImageBitmap"]) globalThis[missing] = undefined;
        const { wayTo } = await import("/web/codecs.js?again");
        return [(await wayTo("avif")).name, (await wayTo("webp")).name];
      });
      assert.deepEqual(found, ["webAssembly", "webAssembly"]);
      await page.reload();
    });

    test("larger pictures are those of the package", { skip: existsSync(CASES) ? false : "there are no cases" }, async () => {
      const { exact } = JSON.parse(readFileSync(`${CASES}cases.json`)).find(({ name }) => name === "nested-fine");
      for (const { sha256, ...given } of exact)
        assert.equal(await page.evaluate(digestInPage, "/web/test/cases/nested-fine.cray", given), sha256);
    });

    test("what the package refuses is refused", { skip: existsSync(CASES) ? false : "there are no cases" }, async () => {
      const names = JSON.parse(readFileSync(`${CASES}cases.json`)).filter((each) => each.refused).map(({ name }) => name);
      for (const name of names) {
        const found = await page.evaluate(decodeInPage, `/web/test/cases/${name}.cray`, { worker: false });
        assert.equal(found.name, "CrayError", `${name}: ${found.message}`);
      }
    });

    test("what is refused says why, from the worker, too", async () => {
      for (const worker of [true, false]) {
        const { name, message } = await page.evaluate(decodeInPage, `/${GOLDEN}/nested.json`, { worker });
        assert.equal(name, "CrayError");
        assert.match(message, /^not a .cray file/);
      }
    });

    test("a signal ends a decoding", async () => {
      const found = await page.evaluate(async (path) => {
        const { decode } = await import("/web/cray.js");
        const bytes = await (await fetch(path)).arrayBuffer();
        const names = [];
        for (const worker of [true, false]) {
          const ending = new AbortController();
          const ended = decode(bytes, { worker, signal: ending.signal, onProgress: () => ending.abort() });
          names.push(await ended.then(() => "decoded", (error) => error.name));
        }
        const waiting = new AbortController();
        const ended = decode(bytes, { signal: waiting.signal });
        waiting.abort();
        names.push(await ended.then(() => "decoded", (error) => error.name));
        return [...names, (await decode(bytes, { signal: new AbortController().signal })).stage];
      }, `/${GOLDEN}/nested.cray`);
      assert.deepEqual(found, ["AbortError", "AbortError", "AbortError", "painted"]);
    });

    test("the page goes on while a worker decodes", async () => {
      const stalls = await page.evaluate(async (path) => {
        const { progressive } = await import("/web/cray.js");
        const bytes = await (await fetch(path)).arrayBuffer();
        let [last, longest, count] = [performance.now(), 0, 0];
        const timer = setInterval(() => {
          longest = Math.max(longest, performance.now() - last);
          last = performance.now();
        }, 5);
        for await (const { done } of progressive(bytes)) count += done ? 100 : 1;
        clearInterval(timer);
        return { longest, count };
      }, `/${GOLDEN}/nested.cray`);
      assert.ok(stalls.count > 100, "levels, then the picture");
      assert.ok(stalls.longest < 1000, `${stalls.longest} ms`);
    });
  });
