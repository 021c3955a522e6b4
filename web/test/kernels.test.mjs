/** The kernels that are checked in are those that clang and lld 14 make of the sources. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const isThere = ["clang", "wasm-ld"].every((tool) => / 14\./.test(spawnSync(tool, ["--version"], { encoding: "utf8" }).stdout));

test("kernels.wasm is up to date", { skip: isThere ? false : "there is no clang 14 with wasm-ld 14" }, () => {
  const out = join(mkdtempSync(join(tmpdir(), "kernels-")), "kernels.wasm");
  const built = spawnSync(`${here}build.sh`, [out], { encoding: "utf8" });
  assert.equal(built.status, 0, built.stderr);
  assert.ok(readFileSync(out).equals(readFileSync(`${here}kernels.wasm`)), "make web builds it");
});

test("kernels need nothing from outside", () => {
  assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(`${here}kernels.wasm`))), []);
});
