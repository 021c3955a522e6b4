/** Browsers without a window, and a server of the project's files for them. */
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TYPES = {
  ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html", ".css": "text/css",
};
const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const FIREFOX = ["/usr/bin/firefox-esr", "/usr/bin/firefox"].find((path) => existsSync(path));
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
export const BROWSERS = {
  Chromium: { executablePath: CHROMIUM, args: QUIET },
  Firefox: { browser: "firefox", executablePath: FIREFOX },
};
export const RESISTING = {
  "Firefox that resists fingerprinting": {
    browser: "firefox",
    executablePath: FIREFOX,
    extraPrefsFirefox: { "privacy.resistFingerprinting": true },
  },
};

/** @param {object} options one of the above @returns {Promise<import("puppeteer-core").Browser>} */
export function launch(options) {
  return puppeteer.launch({ headless: true, userDataDir: mkdtempSync(join(tmpdir(), "browser-")), ...options });
}

/**
 * The project's files, and an empty page to work in.
 * @returns {Promise<{address: string, asked: string[], close: () => void}>} asked are the paths of all requests
 */
export async function serve() {
  const asked = [];
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    asked.push(path);
    if (path === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><title>cray</title>");
    const file = join(ROOT, path, path.endsWith("/") ? "index.html" : "");
    if (!existsSync(file)) return response.writeHead(404).end();
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream").end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, asked, close: () => (server.close(), server.closeAllConnections()) };
}
