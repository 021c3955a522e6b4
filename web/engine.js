/** The package's kernels in WebAssembly (flat.c), and their memory: every decoding has its own. */
import { CrayError } from "./failure.js";
import { resource } from "./resources.js";

/** @type {Promise<WebAssembly.Module> | undefined} */
let compiled;

/** Kinds of arrays that layers give: whole numbers, bytes pixel by pixel, four pixels at a time. */
export const KINDS = { whole: 0, interleaved: 2, unfolded: 3 };

export class Engine {
  /** @returns {Promise<Engine>} */
  static async create() {
    compiled ??= resource(new URL("./kernels.wasm", import.meta.url)).then((bytes) => WebAssembly.compile(bytes));
    compiled.catch(() => (compiled = undefined));
    return new Engine(new WebAssembly.Instance(await compiled).exports);
  }

  /** @param {WebAssembly.Exports} kernels */
  constructor(kernels) {
    this.kernels = /** @type {any} */ (kernels);
  }

  /** Addresses of arrays of so many bytes. @param {number} bytes @returns {number} @throws {CrayError} */
  take(bytes) {
    const address = bytes < 2 ** 32 ? this.kernels.take(bytes) >>> 0 : 0;
    if (!address) throw new CrayError("not enough memory for this picture");
    return address;
  }

  /** The same of zeros. @param {number} bytes */
  zeros(bytes) {
    const address = this.take(bytes);
    new Uint8Array(this.kernels.memory.buffer, address, bytes).fill(0);
    return address;
  }

  /** The address of a copy. @param {ArrayBufferView} array */
  put(array) {
    const address = this.take(array.byteLength);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    new Uint8Array(this.kernels.memory.buffer, address, array.byteLength).set(bytes);
    return address;
  }

  /**
   * An array as it lies in memory, until more memory is taken.
   * @template T
   * @param {{new (buffer: ArrayBuffer, address: number, length: number): T}} Type
   * @param {number} address
   * @param {number} length
   * @returns {T}
   */
  view(Type, address, length) {
    return new Type(this.kernels.memory.buffer, address, length);
  }

  /** What work gives; memory that it took is free again. @template T @param {() => T} work @returns {T} */
  within(work) {
    const before = this.kernels.mark();
    try {
      return work();
    } finally {
      this.kernels.release(before);
    }
  }

  /** Kernels that say whether there was memory. @param {number} done */
  static done(done) {
    if (!done) throw new CrayError("not enough memory for this picture");
  }
}
