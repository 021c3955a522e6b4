/**
 * A service worker: the page opens, and decodes, where its host cannot be reached. What the host has is always asked for
 * first, and only what belongs to the page is kept: pictures never are.
 */
const CACHE = "cray";
const PAGE = ["./", "index.html", "page.css", "dark.css", "kernels.wasm", "vendor/fzstd/index.mjs"];
const CODE = [
  "codecs", "cray", "decoding", "engine", "failure", "frames", "headers", "lightness", "nesting", "opened", "orientation", "page", "painting",
  "png", "reader", "reducing", "resources", "srgb", "structure", "theme", "upsampling", "viewing", "weights", "worker",
];
const NETWORKS = ["predictor-4.safetensors", "refiner-1.safetensors"];
const address = (path) => new URL(path, self.registration.scope).href;
const files = [...PAGE, ...CODE.map((name) => `${name}.js`)].map(address);
/** They are in one of these folders (weights.js). */
const folders = ["models/", "../models/"].map(address);
/** Decoders of lightness, where a browser needs them: kept once they were asked for. */
const spare = address("vendor/");

async function kept() {
  const cache = await caches.open(CACHE);
  await cache.addAll(files);
  const either = (name) => Promise.any(folders.map((folder) => cache.add(folder + name)));
  await Promise.all(NETWORKS.map(either));
}

async function answered(request, file) {
  try {
    const answer = await fetch(request);
    if (answer.ok) await (await caches.open(CACHE)).put(file, answer.clone());
    return answer;
  } catch (error) {
    const found = await caches.match(file);
    if (found) return found;
    throw error;
  }
}

self.addEventListener("install", (event) => event.waitUntil(kept().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const file = event.request.url.replace(/[?#].*/, "");
  const own = files.includes(file) || file.startsWith(spare) || folders.some((folder) => file.startsWith(folder));
  if (event.request.method === "GET" && own) event.respondWith(answered(event.request, file));
});
