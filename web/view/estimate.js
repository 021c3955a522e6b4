/** What a folder comes to at the chosen quality, by some of its pictures, and the command for all of them. */
import { digits, sizeOf } from "../structure.js";
import { address, lines, make } from "./server.js";

const element = (id) => document.getElementById(id);

export class Estimate {
  constructor() {
    this.running = new AbortController();
    element("copy").addEventListener("click", () => navigator.clipboard.writeText(element("command").querySelector("code").textContent));
  }

  /** What was found is of another quality, or of another folder. @param {string} place a picture's address */
  forget(place) {
    this.running.abort();
    for (const id of ["samples", "command"]) element(id).hidden = true;
    element("total").textContent = "";
    element("folder").hidden = !place || place.startsWith("upload/");
    element("estimate").disabled = false;
  }

  /** Encodes some pictures of the folder that a picture is of. */
  async make(place, quality, effort) {
    this.forget(place);
    this.running = new AbortController();
    const { signal } = this.running;
    const body = element("samples").tBodies[0];
    body.replaceChildren();
    element("estimate").disabled = true;
    element("samples").hidden = false;
    let all = null;
    try {
      for await (const line of lines(address(`estimate/${place.split("/")[0]}`, { quality, effort }), signal)) {
        if (line.line) this.begun((all = line));
        else if (line.name) body.append(row(line));
        else element("total").textContent = `${sizeOf(line.before)} become ${sizeOf(line.after)}; so all ${digits(all.files)} pictures, ${sizeOf(all.size)}, about ${sizeOf(line.estimate)}.`;
      }
      if (all.files === 0) element("total").textContent = "There are no pictures but .cray.";
    } catch (error) {
      if (!signal.aborted) element("total").textContent = error.message;
    }
    if (!signal.aborted) element("estimate").disabled = false;
  }

  begun({ line }) {
    element("command").querySelector("code").textContent = line;
    element("command").hidden = false;
  }
}

function row({ name, size, cray, error }) {
  const line = make("tr");
  const title = make("th", "", name.split("/").at(-1));
  title.scope = "row";
  const cells = error ? [Object.assign(make("td", "", error), { colSpan: 2 })] : [size, cray].map((bytes) => make("td", "number", sizeOf(bytes)));
  line.append(title, ...cells);
  return line;
}
