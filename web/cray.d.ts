/** What cannot be decoded; the message is one line that says what was found and what was expected. */
export class CrayError extends Error {}

export interface Limits {
  /** Pixels of the picture: 178,956,970. */
  pixels: number;
  /** Pixels of the longer side: 262,144. */
  side: number;
  /** Bytes of all ancillary chunks: 64 MiB. */
  metadata: number;
  /** Ancillary chunks: 1,000. */
  ancillary: number;
}

export interface DecodeOptions {
  /**
   * How nested grids are painted. "auto": as the file says, or by the rule of docs/format.md, section 14; "guided"
   * without a network, "refined" with one, "none": lightness only. One grid and palettes have no network: "auto",
   * "guided" and "refined" are the same.
   */
  color?: "auto" | "guided" | "refined" | "none";
  /** Of nested grids decode only so many levels, from the coarsest on, 1 or more; all by default. */
  levels?: number;
  /** For a picture of ceil(width / scale) x ceil(height / scale) pixels, painted without a network. */
  scale?: 1 | 2 | 4 | 8 | 16;
  /** What a file may ask for, where it is not to be the default. */
  limits?: Partial<Limits>;
  /** The folder of predictor-4.safetensors and refiner-1.safetensors; by default `models` beside the code or above it. */
  models?: string | URL;
  /** Whether a worker decodes: in browsers by default; Node has none. */
  worker?: boolean;
  /** Ends a decoding that is not wanted any more: it rejects with the signal's reason, and its worker is gone at once. */
  signal?: AbortSignal;
  /** Of `decode`: is given pictures on the way, as `progressive` gives them. */
  onProgress?: (picture: Picture) => void;
}

export interface Grid {
  width: number;
  height: number;
  /** Pixels that a cell has each way. */
  spacing: number;
  /** a* of all cells in row order, then b*: of nested grids in 1/256 of a CIELAB unit, else in steps. */
  samples: Int16Array;
}

export interface Picture {
  width: number;
  height: number;
  /** Pixels in row order, as ImageData has them. Orientation is not applied: see metadata.exif. */
  rgba: Uint8ClampedArray;
  /** "grey": lightness only; "level": some levels of nested grids; "painted". */
  stage: "grey" | "level" | "painted";
  /** Whether this is the picture that was asked for. */
  done: boolean;
  /** The stored plane, 255 being L* = 100, of a reduced picture its means. */
  lightness: Uint8Array;
  alpha: Uint8Array | null;
  /** What colours are made from; null for a grey picture. */
  grid: Grid | null;
  /** As the file has it: EXIF (a TIFF structure), an ICC profile, an XMP packet. */
  metadata: { exif?: Uint8Array; icc_profile?: Uint8Array; xmp?: Uint8Array };
}

export interface Info {
  width: number;
  height: number;
  version: string;
  lightness: { coder: "zstd" | "webp" | "avif"; quality: number | null };
  alpha: { coder: "zstd" | "webp" } | null;
  /** Levels from the coarsest on; step in CIELAB units. */
  grids: {
    spacing: number;
    sampling: "mean" | "point";
    step: number;
    coder: "zstd" | "webp" | "nested" | "palette";
    rows: number;
    columns: number;
    /** Bytes of the chunk that ends with this level, with framing; null of levels before it in their chunk. */
    size: number | null;
  }[];
  /** Which way of painting the file asks for. */
  painting: "guided" | "refined" | null;
  metadata: string[];
  /** Chunks: their types, where they begin, and bytes with framing. */
  chunks: { type: string; offset: number; size: number }[];
  size: number;
}

/**
 * The picture, to the integers of the Python package's `decode` where the file has nested grids or none, and nearly so
 * (1 of 255 at most) where it has one grid.
 * Rejects with CrayError for a file that cannot be decoded, RangeError for an option that there is not, TypeError for
 * what is no array of bytes.
 */
export function decode(bytes: Uint8Array | ArrayBuffer, options?: DecodeOptions): Promise<Picture>;

/** The picture as it becomes better: grey at once, then level after level, then painted. Rejects as `decode`. */
export function progressive(bytes: Uint8Array | ArrayBuffer, options?: DecodeOptions): AsyncGenerator<Picture>;

/** What a file says of itself, at once; nothing is decoded, and CRC-32s are not looked at. Throws CrayError. */
export function info(bytes: Uint8Array | ArrayBuffer, limits?: Partial<Limits>): Info;
