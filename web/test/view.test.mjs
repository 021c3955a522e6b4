/** `cray view` in browsers, headless: gallery, viewer and comparison, as its server hands them out. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { BROWSERS, ROOT, launch } from "./browsing.mjs";

const PYTHON = [`${ROOT}.venv/bin/python`, "python3"].find((path) => path === "python3" || existsSync(path));
const SCREENSHOTS = `${ROOT}web/test/screenshots/`;
const [DESKTOP, PHONE] = [{ width: 1280, height: 800 }, { width: 360, height: 740 }];
const folder = join(mkdtempSync(join(tmpdir(), "view-")), "pictures");
let server, address;

before(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  execFileSync(PYTHON, [`${ROOT}web/test/make_pictures.py`, folder]);
  server = spawn(PYTHON, ["-m", "crayoncodec", "view", "--no-browser", "shown", "many"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  address = await new Promise((resolve) => server.stdout.once("data", (line) => resolve(String(line).trim())));
});
after(() => server.kill("SIGTERM"));

for (const [name, options] of Object.entries(BROWSERS))
  describe(`cray view in ${name}`, { skip: options.executablePath ? false : "it is not installed" }, () => {
    let browser, page;
    const [failures, requests] = [[], []];
    before(async () => (browser = await launch(options)));
    after(() => browser?.close());
    beforeEach(async () => {
      await page?.close();
      page = await browser.newPage();
      page.on("pageerror", (error) => failures.push(error.message));
      page.on("request", (request) => requests.push(request.url()));
      failures.length = requests.length = 0;
      await page.setViewport(DESKTOP);
      await page.goto(address);
      await page.waitForSelector(".card");
      await page.evaluate(() => localStorage.clear());
    });

    const shot = (what) => page.screenshot({ path: `${SCREENSHOTS}${name.toLowerCase()}-view-${what}.png` });
    const until = (condition, ...given) => page.waitForFunction(condition, { timeout: 60_000, polling: 50 }, ...given);
    const says = (text) => until((part) => document.getElementById("status").textContent.includes(part), text);
    const filter = async (text) => {
      await page.$eval("#filter", (input, value) => {
        input.value = value;
        input.dispatchEvent(new Event("input"));
      }, text);
    };
    const loaded = () => until(() => document.images.length > 0 && [...document.images].every(({ complete, naturalWidth }) => complete && naturalWidth));
    const open = async (file) => {
      await filter(file);
      await page.click(".card a");
      await page.waitForSelector("#stage");
    };
    const compare = async (file) => {
      await page.goto(`${address}web/view/comparing.html?picture=0/${file}`);
      await says("Encoded and measured");
    };
    const cells = (codec) => page.$$eval(`[data-codec="${codec}"] td`, (all) => all.map(({ textContent }) => textContent.replaceAll(",", "")));
    const fits = () => page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]).then(([all, room]) => assert.ok(all <= room, `${all} of ${room}`));

    test("the gallery has thumbnails, and of broken files the line", async () => {
      await says("3,017 pictures");
      await until(() => document.querySelectorAll(".fault").length === 2);
      await loaded();
      const text = await page.$eval("#cards", (cards) => cards.innerText);
      assert.match(text, /CRC-32 is/);
      assert.match(text, /file is empty/);
      await shot("gallery");
      await page.setViewport(PHONE);
      await page.click("#theme");
      await loaded();
      await fits();
      await shot("gallery-phone");
      assert.deepEqual(failures, []);
      assert.deepEqual(requests.filter((url) => !url.startsWith(address) && !url.startsWith("data:")), []);
    });

    test("of many pictures as many cards are there as are seen, and keys reach them all", async () => {
      const there = () => page.$$eval(".card", (all) => all.length);
      assert.ok((await there()) < 80);
      await page.focus(".card a");
      await page.keyboard.press("End");
      const last = () => page.evaluate(() => document.activeElement.closest(".card")?.getAttribute("aria-posinset"));
      assert.equal(await last(), "3017");
      await page.keyboard.press("ArrowLeft");
      assert.equal(await last(), "3016");
      await page.keyboard.press("Home");
      assert.equal(await last(), "1");
      assert.ok((await there()) < 80);
      await filter("0123");
      await says("1 picture of 3,017");
      assert.equal(await there(), 1);
    });

    test("a .cray opens in the page that all have, small, large or damaged", async () => {
      assert.ok(statSync(join(folder, "shown/small.cray")).size <= 1000);
      for (const [file, text] of [["small", "small.cray: 96 × 64 pixels"], ["exact", "exact.cray: 96 × 64 pixels"], ["large", "large.cray: 4,288 × 2,848 pixels"], ["damaged", "CRC-32 is"]]) {
        await page.goto(address);
        await page.waitForSelector(".card");
        await open(`${file}.cray`);
        await says(text);
        await shot(file);
      }
    });

    test("codecs have the same bytes at most, whatever the slider says", async () => {
      await compare("astronaut.jpg");
      const all = async () => Object.fromEntries(await Promise.all(["cray", "AVIF", "WebP", "JPEG"].map(async (codec) => [codec, (await cells(codec)).map(Number)])));
      const first = await all();
      for (const [quality, bytes, error, score] of Object.values(first)) assert.ok(quality > 0 && bytes <= first.cray[1] && bytes > 0.8 * first.cray[1] && error > 0 && error < 5 && score > 50 && score < 100, `${[quality, bytes, error, score]}`);
      await shot("comparison");
      await page.focus("#quality");
      for (let k = 0; k < 3; k++) await page.keyboard.press("PageDown");
      await until(() => document.getElementById("status").textContent.startsWith("Encoding"));
      await says("Encoded and measured");
      const second = await all();
      assert.ok(second.cray[0] < 80 && second.cray[1] < first.cray[1]);
      assert.ok(Object.values(second).every(([, bytes]) => bytes <= second.cray[1]));
      assert.deepEqual(failures, []);
      assert.deepEqual(requests.filter((url) => !url.startsWith(address) && !url.startsWith("data:")), []);
    });

    test("a line parts two pictures; differences are shown; on a phone, too", async () => {
      await compare("coffee.jpg");
      const clip = () => page.$eval("#beside", ({ style }) => Number(/([\d.]+)px\)$/.exec(style.clipPath)[1]));
      const start = await clip();
      await page.focus("#wipe");
      await page.keyboard.press("Home");
      assert.ok((await clip()) < start);
      await page.keyboard.press("End");
      assert.ok((await clip()) > start);
      await page.$eval("#wipe", (range) => {
        range.value = 500;
        range.dispatchEvent(new Event("input"));
      });
      await page.select("#left", "JPEG");
      await until(() => document.getElementById("picture").getAttribute("aria-label") === "JPEG");
      await page.click("#theme");
      await page.click("#difference");
      await until(() => document.getElementById("beside").getAttribute("aria-label").startsWith("Difference of cray: black is none, white CIEDE2000 10"));
      const mean = await page.$eval("#beside", (canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.reduce((sum, value, k) => sum + (k % 4 === 0 ? value : 0), 0) / (data.length / 4);
      });
      assert.ok(Math.abs((mean * 10) / 255 - Number((await cells("cray"))[2])) < 0.1, "grey is CIEDE2000");
      await shot("difference");
      await page.setViewport(PHONE);
      await fits();
      await page.click("#difference");
      await shot("comparison-phone");
      const names = await page.$$eval("button, input, select, [tabindex]", (found) => found.map((each) => each.getAttribute("aria-label") ?? (each.labels?.[0] ?? each).textContent.trim()));
      assert.ok(names.every(Boolean), `${names}`);
    });

    test("of a large picture a part is compared, which is said", async () => {
      await page.goto(`${address}web/view/comparing.html?picture=0/large.cray`);
      await says("Encoded and measured");
      assert.match(await page.$eval("#facts", (facts) => facts.innerText), /4,288 × 2,848 pixels, of which 628 × 417 in the middle are compared/);
      assert.deepEqual(await page.$$eval("#area option", (all) => all.map(({ value }) => value)), ["small", "centre", "reduced", "whole"]);
    });

    test("what is dropped goes to the server and is compared", async () => {
      await page.goto(`${address}web/view/comparing.html`);
      await page.waitForSelector("#left option");
      await page.evaluate((bytes) => {
        const found = new DataTransfer();
        found.items.add(new File([new Uint8Array(bytes)], "dropped.jpg"));
        const event = new Event("drop", { bubbles: true, cancelable: true });
        Object.defineProperty(event, "dataTransfer", { value: found });
        document.getElementById("stage").dispatchEvent(event);
      }, Array.from(readFileSync(join(folder, "shown/cat.jpg"))));
      await says("Encoded and measured");
      assert.match(await page.$eval("#facts", (facts) => facts.innerText), /dropped.jpg\s+451 × 300 pixels/);
      await page.goto(`${address}web/view/comparing.html?picture=0/damaged.cray`);
      await says("damaged.cray: chunk");
    });

    test("some pictures of the folder say what all may come to", async () => {
      await compare("cat.jpg");
      await page.click("#estimate");
      await until(() => document.getElementById("total").textContent.includes("so all"));
      assert.match(await page.$eval("#total", (total) => total.textContent), /^[\d.]+ kB become [\d.]+ kB; so all 7 pictures, [\d.]+ MB, about [\d.]+ (kB|MB)\.$/);
      assert.equal(await page.$eval("#command code", (code) => code.textContent), "cray batch encode -q 80 -e 4 -- shown shown-cray");
    });
  });
