/** Pixels of the range's thumb, which is on the line. */
const THUMB = 30;

/** A second canvas over the viewer's, seen to the right of a line that is moved. */
export class Wipe {
  /** @param {HTMLElement} stage @param {HTMLCanvasElement} canvas @param {HTMLElement} line @param {HTMLInputElement} range */
  constructor(stage, canvas, line, range) {
    Object.assign(this, { stage, canvas, line, range, viewer: null });
    range.addEventListener("input", () => this.viewer && this.follow(this.viewer));
    // What is dragged there is the line, not the picture behind it.
    for (const kind of ["pointerdown", "pointermove", "dblclick"]) range.addEventListener(kind, (event) => event.stopPropagation());
  }

  show(width, height, rgba, label) {
    const { canvas } = this;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
    canvas.setAttribute("aria-label", label);
    this.line.hidden = this.range.hidden = false;
  }

  clear() {
    Object.assign(this.canvas, { width: 0, height: 0 });
    this.line.hidden = this.range.hidden = true;
  }

  /** Lies where the viewer's canvas lies; begins where the line is, which has its place in the window. */
  follow(viewer) {
    this.viewer = viewer;
    const { canvas, stage, line, range } = this;
    const share = range.value / range.max;
    const place = THUMB / 2 + share * (stage.clientWidth - THUMB);
    const scale = viewer.zoom / devicePixelRatio;
    canvas.style.transform = viewer.canvas.style.transform;
    canvas.style.clipPath = `inset(0 0 0 ${Math.max(0, (place - viewer.x) / scale)}px)`;
    canvas.classList.toggle("large", viewer.canvas.classList.contains("large"));
    line.style.left = `${place}px`;
  }
}
