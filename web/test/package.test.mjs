/** What npm makes of this folder decodes wherever it is put. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertGolden } from "./golden.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));
const golden = fileURLToPath(new URL("../../tests/format/golden/", import.meta.url));

test("the package has all that it needs", async () => {
  const folder = mkdtempSync(join(tmpdir(), "package-"));
  const [{ filename }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--silent", "--pack-destination", folder], { cwd: here }));
  execFileSync("tar", ["-xf", filename], { cwd: folder });
  const { decode } = await import(join(folder, "package/cray.js"));
  for (const name of ["nested", "nested-told", "lossy-webp", "palette"])
    assertGolden(await decode(readFileSync(`${golden}${name}.cray`)), JSON.parse(readFileSync(`${golden}${name}.json`)));
});
