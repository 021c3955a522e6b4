/** Files beside the code: kernels, networks, codecs; in Node from the disk, in browsers from where the code came from. */
import { CrayError } from "./failure.js";

export const isNode = typeof process === "object" && Boolean(process.versions?.node);

/**
 * @param {URL} address
 * @returns {Promise<Uint8Array>}
 * @throws {CrayError} if it is not there
 */
export async function resource(address) {
  try {
    if (address.protocol === "file:" && isNode) {
      const { readFile } = await import("node:fs/promises");
      return new Uint8Array(await readFile(address));
    }
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    throw new CrayError(`${address.href} cannot be read (${error.message})`);
  }
}
