/** A file that is open: its pictures as they come, and those that are asked for later. */
import { decode, info, progressive } from "./cray.js";

/** Pixels that are painted at most, unless the whole is asked for; that can be asked for; that a file may have. */
export const [PAINTED, WHOLE, ALLOWED] = [3 * 2 ** 22, 2 ** 26, 2 ** 28];
/** Pixels of all pictures that are kept. */
const KEPT = 2 ** 24;
const SCALES = [1, 2, 4, 8, 16];
const LIMITS = { pixels: ALLOWED };

/** The least reduction that leaves few enough pixels. */
export function reduction(width, height) {
  return SCALES.find((scale) => Math.ceil(width / scale) * Math.ceil(height / scale) <= PAINTED) ?? SCALES.at(-1);
}

/** @typedef {{view: "grey" | "levels" | "guided" | "painted", level?: number}} View level is 1 for the coarsest */

export class Opened {
  /**
   * @param {string} name
   * @param {Uint8Array} bytes
   * @throws {import("./failure.js").CrayError} if its chunks are not those of a .cray file
   */
  constructor(name, bytes) {
    this.info = info(bytes, LIMITS);
    Object.assign(this, { name, bytes, ending: new AbortController() });
    this.restart(reduction(this.info.width, this.info.height));
  }

  get canBeWhole() {
    return this.scale > 1 && this.info.width * this.info.height <= WHOLE;
  }

  /** How many levels can be shown. */
  get levels() {
    const { grids } = this.info;
    if (grids[0]?.coder !== "nested") return 0;
    return Math.max(1, grids.filter(({ spacing }) => spacing >= this.scale).length);
  }

  restart(scale) {
    this.ending.abort();
    this.ending = new AbortController();
    this.scale = scale;
    /** @type {Map<string, import("./cray.js").Picture>} */
    this.pictures = new Map();
    this.metadata = null;
  }

  /** Ends what is being decoded; nothing is kept. */
  close() {
    this.ending.abort();
    this.pictures.clear();
    this.bytes = null;
  }

  /**
   * Pictures on the way to the painted one, which is the last.
   * @returns {AsyncGenerator<import("./cray.js").Picture>}
   */
  async *arriving() {
    const { signal } = this.ending;
    let guided = null;
    for await (const picture of progressive(this.bytes, { scale: this.scale, limits: LIMITS, signal })) {
      this.metadata = picture.metadata;
      if (picture.stage === "grey") this.keep("grey", picture);
      if (picture.stage === "level") {
        this.keep(`level ${this.levelOf(picture)}`, picture);
        if (this.levelOf(picture) === this.levels) guided = picture;
      }
      if (picture.done) {
        this.keep("painted", picture);
        this.keep("guided", guided ?? picture);
      }
      yield picture;
    }
  }

  levelOf({ grid }) {
    return this.info.grids.findIndex(({ spacing }) => spacing === grid.spacing) + 1;
  }

  /** What was decoded before. @param {View} view */
  known(view) {
    return this.pictures.get(keyOf(view, this.levels));
  }

  /**
   * What was decoded before, or is now.
   * @param {View} view
   * @param {AbortSignal} signal
   * @returns {Promise<import("./cray.js").Picture>}
   */
  async picture(view, signal) {
    const known = this.known(view);
    if (known) return known;
    const color = { grey: "none", painted: "auto" }[view.view] ?? "guided";
    const levels = view.view === "levels" ? view.level : undefined;
    const picture = await decode(this.bytes, { color, levels, scale: this.scale, limits: LIMITS, signal });
    this.keep(keyOf(view, this.levels), picture);
    return picture;
  }

  keep(key, picture) {
    const size = ({ width, height }) => width * height;
    this.pictures.set(key, { ...picture, lightness: null, grid: picture.grid && { ...picture.grid, samples: null } });
    let total = [...new Set([...this.pictures.values()].map(({ rgba }) => rgba))].reduce((sum, rgba) => sum + rgba.length / 4, 0);
    for (const [first, old] of this.pictures) {
      if (total <= KEPT || first === key || first === "painted") continue;
      this.pictures.delete(first);
      total -= size(old);
    }
  }
}

/** The finest level is what is shown without a network. */
function keyOf({ view, level }, levels) {
  if (view === "levels") return level === levels ? "guided" : `level ${level}`;
  return view;
}
