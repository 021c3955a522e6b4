/** The worker's side of cray.js: one decoding after the other, its pictures and its error as messages. */
import { pictures } from "./decoding.js";
import { CrayError } from "./failure.js";

self.onmessage = async ({ data: { bytes, options } }) => {
  try {
    for await (const picture of pictures(bytes, options)) self.postMessage({ picture }, [picture.rgba.buffer]);
  } catch (error) {
    self.postMessage({ failure: { known: error instanceof CrayError, message: error?.message ?? String(error) } });
  }
};
