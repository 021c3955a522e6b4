/** The decoder in browsers, headless: all golden files exact, whatever the browser does to canvases. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { decode } from "../cray.js";
import { assertGolden } from "./golden.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GOLDEN = "tests/format/golden";
const NAMES = readdirSync(`${ROOT}${GOLDEN}`).filter((name) => name.endsWith(".cray")).map((name) => name.slice(0, -".cray".length));
const CASES = `${ROOT}web/test/cases/`;
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const FIREFOX = ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find((path) => existsSync(path));
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
const BROWSERS = {
  Chromium: { executablePath: CHROMIUM, args: QUIET },
  Firefox: { browser: "firefox", executablePath: FIREFOX },
  "Firefox that resists fingerprinting": {
    browser: "firefox",
    executablePath: FIREFOX,
    extraPrefsFirefox: { "privacy.resistFingerprinting": true },
  },
};

/** The project's files, and a page to work in. */
const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
  if (path === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><title>cray</title>");
  if (!existsSync(join(ROOT, path))) return response.writeHead(404).end();
  response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream").end(readFileSync(join(ROOT, path)));
});
let address;

before(async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${server.address().port}/`;
});
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

for (const [name, options] of Object.entries(BROWSERS))
  describe(name, { skip: options.executablePath ? false : "it is not installed" }, () => {
    let browser, page;
    before(async () => {
      browser = await puppeteer.launch({ headless: true, userDataDir: mkdtempSync(join(tmpdir(), "browser-")), ...options });
      page = await browser.newPage();
      await page.goto(address);
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
