/**
 * What `cray view` hands out in place of fzstd: its server unpacks Zstandard frames, so that the package needs nothing of
 * npm. Workers alone decode, and they may wait for an answer.
 */
const UNPACK = new URL("../../../api/zstd", import.meta.url);

/**
 * @param {Uint8Array} data a frame
 * @param {Uint8Array} content of the size that it says
 * @returns {Uint8Array} its content
 * @throws {Error} with the server's one line
 */
export function decompress(data, content) {
  const request = new XMLHttpRequest();
  request.open("POST", `${UNPACK}?size=${content.length}`, false);
  request.responseType = "arraybuffer";
  request.send(data);
  if (request.status !== 200) throw new Error(JSON.parse(new TextDecoder().decode(request.response)).error);
  return new Uint8Array(request.response);
}
