/** Copies of the packages that the decoder imports, beside it, so that browsers find them without a bundler; and, for a
 *  package that is being made, the networks. */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("..", import.meta.url));
const NETWORKS = ["predictor-4.safetensors", "refiner-1.safetensors"];
const FILES = {
  fzstd: [["fzstd", "esm/index.mjs", "index.mjs"], ["fzstd", "LICENSE"]],
  ...Object.fromEntries(
    ["avif", "webp"].map((kind) => [
      kind,
      ["decode.js", "utils.js", `codec/dec/${kind}_dec.js`, `codec/dec/${kind}_dec.wasm`, "LICENSE"].map((file) => [`@jsquash/${kind}`, file]),
    ]),
  ),
};

rmSync(`${here}vendor`, { recursive: true, force: true });
for (const [folder, files] of Object.entries(FILES))
  for (const [name, from, to = from] of files) cpSync(`${here}node_modules/${name}/${from}`, `${here}vendor/${folder}/${to}`);
if (process.argv.includes("--without-models")) rmSync(`${here}models`, { recursive: true, force: true });
if (process.argv.includes("--models")) {
  mkdirSync(`${here}models`, { recursive: true });
  for (const network of NETWORKS) cpSync(`${here}../models/${network}`, `${here}models/${network}`);
}
