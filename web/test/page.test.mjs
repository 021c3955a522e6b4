/** The page in browsers, headless: what it shows is what the decoder gives, whoever operates it, and how. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { decode } from "../cray.js";
import { orientationOf, upright } from "../orientation.js";
import { crc32 } from "../reader.js";
import { BROWSERS, ROOT, launch, serve } from "./browsing.mjs";
import { pixelsOf } from "./pngs.mjs";

const golden = (name) => `${ROOT}tests/format/golden/${name}.cray`;
const PORTRAIT = `${ROOT}web/test/cases/portrait.cray`;
const SCREENSHOTS = `${ROOT}web/test/screenshots/`;
const folder = mkdtempSync(join(tmpdir(), "page-"));
const [DESKTOP, PHONE] = [{ width: 1280, height: 800 }, { width: 360, height: 740, hasTouch: true }];
let server;

before(async () => {
  server = await serve();
  mkdirSync(SCREENSHOTS, { recursive: true });
});
after(() => server.close());

/** A file of chunks. @param {[string, Buffer][]} chunks */
function written(name, chunks) {
  const framed = chunks.map(([type, payload]) => {
    const chunk = Buffer.alloc(12 + payload.length);
    chunk.writeUInt32BE(payload.length);
    chunk.write(type, 4);
    payload.copy(chunk, 8);
    chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + payload.length)), 8 + payload.length);
    return chunk;
  });
  writeFileSync(join(folder, name), Buffer.concat([Buffer.from("894352590d0a1a0a", "hex"), ...framed]));
  return join(folder, name);
}

/** A grey picture, all of one value, in a few bytes a megapixel: blocks of zstd that repeat one zero. */
function plain(name, width, height) {
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 0]);
  head.writeUInt32BE(width, 2);
  head.writeUInt32BE(height, 6);
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0]);
  frame.writeUInt32LE(width * height, 5);
  const blocks = [];
  for (let left = width * height; left > 0; left -= 2 ** 17) {
    const block = Buffer.alloc(4);
    block.writeUInt32LE((Math.min(left, 2 ** 17) << 3) | 2 | (left <= 2 ** 17 ? 1 : 0));
    blocks.push(block);
  }
  const light = Buffer.concat([Buffer.from([0, 255]), frame, ...blocks]);
  return written(name, [["HEAD", head], ["LGHT", light], ["CEND", Buffer.alloc(0)]]);
}

/** The file, with one bit of its lightness another. */
function damaged(path) {
  const bytes = readFileSync(path);
  bytes[bytes.indexOf("LGHT") + 40] ^= 1;
  writeFileSync(join(folder, "damaged.cray"), bytes);
  return join(folder, "damaged.cray");
}

for (const [name, options] of Object.entries(BROWSERS))
  describe(`the page in ${name}`, { skip: options.executablePath ? false : "it is not installed" }, () => {
    let browser, page;
    const failures = [];
    before(async () => (browser = await launch(options)));
    after(() => browser?.close());
    beforeEach(async () => {
      await page?.close();
      page = await browser.newPage();
      page.on("pageerror", (error) => failures.push(error.message));
      page.on("console", (message) => message.type() === "error" && failures.push(message.text()));
      failures.length = server.asked.length = 0;
      await page.setViewport(DESKTOP);
      await page.goto(`${server.address}web/index.html`);
    });

    const status = () => page.$eval("#status", (found) => found.textContent);
    const says = (text) =>
      page.waitForFunction((part) => document.getElementById("status").textContent.includes(part), { timeout: 30_000 }, text).catch(async () => assert.fail(`it says: ${await status()}, expected ${text}; ${failures}`));
    const choose = async (path) => (await page.$("#file")).uploadFile(path);
    const zoom = () => page.$eval("#zoom", (found) => Number.parseInt(found.textContent));
    const view = (value) => page.click(`[name=view][value=${value}] + span`);
    const shot = (what) => page.screenshot({ path: `${SCREENSHOTS}${name.toLowerCase()}-${what}.png` });
    const seen = () =>
      page.$eval("#picture", async (canvas) => {
        const { width, height } = canvas;
        const digest = await crypto.subtle.digest("SHA-256", canvas.getContext("2d").getImageData(0, 0, width, height).data);
        return { width, height, sha256: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("") };
      });
    async function shows(path, given) {
      const picture = await decode(readFileSync(path), given);
      const { width, height, rgba } = upright(picture, orientationOf(picture.metadata));
      assert.deepEqual(await seen(), { width, height, sha256: createHash("sha256").update(rgba).digest("hex") });
    }

    test("shows a file, and what is in it", async () => {
      assert.match(await page.$eval("body", (body) => body.innerText), /no byte leaves the machine/);
      await choose(golden("nested"));
      await says("decoded in");
      assert.match(await status(), /^nested.cray: 100 × 75 pixels, 1.94 kB, decoded in [\d.]+ s\.$/);
      await shows(golden("nested"));
      const text = await page.$eval("#panel", (panel) => panel.innerText);
      for (const part of ["100 × 75 pixels", "1,942 bytes, 2.07 bits per pixel", "HEAD", "LGHT", "CEND", "None."]) assert.ok(text.includes(part), `${part} in ${text}`);
      assert.deepEqual(failures, []);
    });

    test("all golden files are shown, and none asks anything of another place", async () => {
      const requests = [];
      page.on("request", (request) => requests.push(request.url()));
      for (const file of readdirSync(`${ROOT}tests/format/golden`).filter((each) => each.endsWith(".cray"))) {
        await choose(`${ROOT}tests/format/golden/${file}`);
        await says(`${file}: `);
        await says("decoded in");
        if (file !== "alpha.cray") await shows(`${ROOT}tests/format/golden/${file}`); // canvases multiply by alpha
      }
      const away = requests.filter((url) => !url.startsWith(server.address) && !/^(data|blob):/.test(url));
      assert.deepEqual(away, []);
      assert.ok(server.asked.every((path) => path.startsWith("/web/") || path.startsWith("/models/") || path === "/favicon.ico"), `${server.asked}`);
      assert.deepEqual(failures, []);
      const refused = await page.evaluate(() => fetch("https://example.com/").then(() => "sent", (error) => error.name));
      assert.equal(refused, "TypeError");
    });

    test("opens and decodes where its host is away", async () => {
      const host = await serve();
      await page.goto(`${host.address}web/`);
      await page.evaluate(() => new Promise((taken) => (navigator.serviceWorker.controller ? taken() : (navigator.serviceWorker.oncontrollerchange = taken))));
      const fetched = () => page.evaluate(() => fetch("test/cases/portrait.cray").then(() => "there", (error) => error.name));
      assert.equal(await fetched(), "there");
      host.close();
      await page.goto(`${host.address}web/index.html?from=afar`);
      await page.goto(`${host.address}web/`);
      for (const file of ["nested-told", "lossless-zstd"]) {
        await choose(golden(file));
        await says(`${file}.cray: `);
        await says("decoded in");
        await shows(golden(file));
      }
      assert.equal(await fetched(), "TypeError"); // pictures are not kept
    });

    test("views are those that the decoder gives", async () => {
      await choose(golden("nested"));
      await says("decoded in");
      await view("grey");
      await shows(golden("nested"), { color: "none" });
      await view("guided");
      await shows(golden("nested"), { color: "guided" });
      await view("levels");
      await page.focus("#level");
      await page.keyboard.press("Home");
      await shows(golden("nested"), { color: "guided", levels: 1 });
      assert.match(await page.$eval("#levelName", (found) => found.textContent), /^1 of 7: 128 × 128 pixels a cell$/);
      await page.keyboard.press("ArrowRight");
      await shows(golden("nested"), { color: "guided", levels: 2 });
      await view("painted");
      await shows(golden("nested"));
      await choose(golden("grey"));
      await says("grey.cray: 17");
      assert.deepEqual(await page.$$eval("[name=view]", (all) => all.map(({ disabled }) => disabled)), [false, true, true, false]);
    });

    test("a picture that was turned is upright", { skip: existsSync(PORTRAIT) ? false : "there are no cases" }, async () => {
      await choose(PORTRAIT);
      await says("decoded in");
      await shows(PORTRAIT);
      const text = await page.$eval("#panel", (panel) => panel.innerText);
      for (const part of ["Nikon D3X", "1/250 s", "f/5.6", "6, shown upright"]) assert.ok(text.includes(part), `${part} in ${text}`);
      await shot("light");
      await page.click("#theme");
      await view("levels");
      await page.focus("#level");
      await page.keyboard.press("Home");
      await page.keyboard.press("ArrowRight");
      await shot("dark");
    });

    test("a PNG that is saved has the pixels", async () => {
      await page.evaluate(() => {
        const create = URL.createObjectURL;
        Object.assign(globalThis, { saved: [], revoked: [] });
        URL.createObjectURL = (blob) => (saved.push(blob), create.call(URL, blob));
        URL.revokeObjectURL = (address) => revoked.push(address);
        HTMLAnchorElement.prototype.click = function () {
          saved.push(this.download);
        };
      });
      for (const file of ["nested", "alpha"]) {
        await choose(golden(file));
        await says("decoded in");
        await page.click("#save");
        await says(`${file}.png: `);
        const [bytes, download] = await page.evaluate(async () => [Array.from(new Uint8Array(await saved.at(-2).arrayBuffer())), saved.at(-1)]);
        const { width, height, rgba } = await decode(readFileSync(golden(file)));
        assert.equal(download, `${file}.png`);
        assert.deepEqual(pixelsOf(Buffer.from(bytes)), { width, height, rgba: Array.from(rgba) });
      }
      assert.equal(await page.evaluate(() => revoked.length), 1, "the first one's address, when the other file was opened");
    });

    test("what cannot be decoded says why, and the next file opens", async () => {
      await choose(golden("nested").replace(".cray", ".json"));
      await says("nested.json: not a .cray file");
      assert.ok(await page.$eval("#welcome", (welcome) => !welcome.hidden));
      await choose(damaged(existsSync(PORTRAIT) ? PORTRAIT : golden("nested")));
      await says("CRC-32 is");
      assert.match(await page.$eval("#panel", (panel) => panel.innerText), /LGHT/);
      await shot("damaged");
      assert.ok(await page.$eval("#welcome", (welcome) => !welcome.hidden));
      assert.equal(await page.$eval("#save", ({ disabled }) => disabled), true);
      await choose(golden("nested"));
      await says("nested.cray: 100");
      await shows(golden("nested"));
      assert.deepEqual(failures, []);
    });

    test("another file takes the place of one that is decoded", async () => {
      const large = plain("large.cray", 4600, 3600);
      await choose(large);
      await says("Decoding large.cray");
      await choose(golden("nested"));
      await says("nested.cray: 100");
      await shows(golden("nested"));
      await new Promise((resolve) => setTimeout(resolve, 500));
      assert.match(await status(), /^nested.cray: 100/);
      await shows(golden("nested"));
    });

    test("a large picture is shown reduced, which is said, and whole where that is asked for", async () => {
      await choose(plain("large.cray", 4600, 3600));
      await says("shown reduced to 1/2 of each side");
      assert.deepEqual(await page.$eval("#picture", ({ width, height }) => [width, height]), [2300, 1800]);
      await page.click("#whole");
      await page.waitForFunction(() => document.getElementById("picture").width === 4600);
      assert.equal(await page.$eval("#whole", ({ hidden }) => hidden), true);
      const before = await zoom();
      assert.ok(before > 5 && before < 100, `${before} %`);
    });

    test("keys open and zoom; the focus is seen", async () => {
      await page.evaluate(() => (document.getElementById("file").click = () => (globalThis.asked = true)));
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "open");
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
      await page.keyboard.press("Enter");
      assert.equal(await page.evaluate(() => asked), true);
      await choose(golden("nested"));
      await says("decoded in");
      await page.focus("#stage");
      await page.keyboard.press("1");
      assert.equal(await zoom(), 100);
      await page.keyboard.press("+");
      assert.equal(await zoom(), 125);
      for (let k = 0; k < 14; k++) await page.keyboard.press("+");
      const place = () => page.$eval("#picture", (canvas) => canvas.style.transform);
      const start = await place();
      await page.keyboard.press("ArrowRight");
      assert.notEqual(await place(), start);
      await page.keyboard.press("ArrowLeft");
      assert.equal(await place(), start);
      await page.keyboard.press("0");
      assert.equal(await zoom(), 800);
      const names = await page.$$eval("button, input, [tabindex]", (all) => all.map((each) => each.ariaLabel ?? (each.labels?.[0] ?? each).textContent.trim()));
      assert.ok(names.every(Boolean), `${names}`);
    });

    test("mouse and wheel move and zoom", async () => {
      await choose(golden("nested"));
      await says("decoded in");
      const { x, y, width, height } = await (await page.$("#stage")).boundingBox();
      const middle = [x + width / 2, y + height / 2];
      await page.mouse.move(...middle);
      await page.mouse.wheel({ deltaY: -400 });
      await page.waitForFunction(() => Number.parseInt(document.getElementById("zoom").textContent) > 1000);
      const place = () => page.$eval("#picture", (canvas) => new DOMMatrix(canvas.style.transform).e);
      const start = await place();
      await page.mouse.down();
      await page.mouse.move(middle[0] + 40, middle[1], { steps: 4 });
      await page.mouse.up();
      assert.equal(await place(), start + 40);
      await page.mouse.click(...middle, { count: 2 });
      assert.equal(await zoom(), 800);
    });

    test("two fingers zoom where they are", async () => {
      await choose(golden("nested"));
      await says("decoded in");
      const { x, y, width, height } = await (await page.$("#stage")).boundingBox();
      const [across, down] = [x + width / 2, y + height / 2];
      const [left, right] = [await page.touchscreen.touchStart(across - 50, down), await page.touchscreen.touchStart(across + 50, down)];
      await left.move(across - 100, down);
      await right.move(across + 100, down);
      await left.end();
      await right.end();
      assert.equal(await zoom(), 1600);
      const { e, a } = await page.$eval("#picture", (canvas) => {
        const { e, a } = new DOMMatrix(canvas.style.transform);
        return { e, a };
      });
      assert.ok(Math.abs(e + 50 * a - width / 2) <= 2, "its middle is where it was");
    });

    test("what is dropped or pasted is opened", async () => {
      const bytes = Array.from(readFileSync(golden("nested")));
      for (const [kind, field] of [["drop", "dataTransfer"], ["paste", "clipboardData"]]) {
        await page.evaluate(
          (bytes, kind, field) => {
            const found = new DataTransfer();
            found.items.add(new File([new Uint8Array(bytes)], `${kind}.cray`));
            const event = new Event(kind, { bubbles: true, cancelable: true });
            Object.defineProperty(event, field, { value: found });
            document.getElementById("stage").dispatchEvent(event);
          },
          bytes, kind, field,
        );
        await says(`${kind}.cray: 100`);
      }
    });

    test("a phone's width is enough", async () => {
      await page.setViewport(PHONE);
      for (const file of [null, existsSync(PORTRAIT) ? PORTRAIT : golden("nested")]) {
        if (file) {
          await choose(file);
          await says("decoded in");
          await shot("phone");
          await view("levels");
        }
        const [all, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(all <= room, `${all} of ${room}`);
        const over = await page.$$eval("button, label, aside", (found) => found.filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.outerHTML));
        assert.deepEqual(over, []);
        if (!file) await shot("phone-empty");
      }
    });
  });
