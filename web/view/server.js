/** What the server of `cray view` answers. */

const API = new URL("../../api/", import.meta.url);

/** @param {string} path @param {Record<string, string | number>} [query] @returns {string} */
export function address(path, query = {}) {
  const found = new URL(path, API);
  for (const [name, value] of Object.entries(query)) found.searchParams.set(name, value);
  return found.href;
}

/** @param {string} url @param {RequestInit} [options] @throws {Error} with the server's one line */
export async function ask(url, options) {
  const answer = await fetch(url, options);
  if (answer.ok) return answer;
  throw new Error(await reasonOf(answer));
}

async function reasonOf(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error;
  } catch {
    return `${text || "nothing was answered"} (status ${answer.status})`;
  }
}

/** JSON Lines, as they come. @param {string} url @param {AbortSignal} signal */
export async function* lines(url, signal) {
  const answer = await ask(url, { signal });
  let rest = "";
  for await (const text of chunks(answer.body.pipeThrough(new TextDecoderStream()))) {
    const found = (rest + text).split("\n");
    rest = found.pop();
    for (const line of found) {
      const value = JSON.parse(line);
      if (value.error && !value.name) throw new Error(value.error);
      yield value;
    }
  }
}

/** As `for await (… of stream)`, which not all browsers have. */
async function* chunks(stream) {
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

/** An element with text, which is text whatever a file is called. */
export function make(tag, className = "", text = "") {
  const found = document.createElement(tag);
  if (className) found.className = className;
  if (text) found.textContent = text;
  return found;
}
