/** A canvas in a window that can be moved and zoomed: by wheel, pinch, drag, keys and double click. */

const STEP = 1.25;
const [PER_WHEEL, PER_PINCH] = [0.0015, 0.01];
const LINE = 16;
const MOVE = 60;
/** Device pixels for a pixel: up to which a picture is enlarged, and from which on its pixels have edges. */
const [MOST, SQUARES] = [32, 3];

export class Viewer {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLCanvasElement} canvas in it
   * @param {(zoom: number) => void} onZoom is told device pixels for a pixel
   */
  constructor(stage, canvas, onZoom) {
    Object.assign(this, { stage, canvas, onZoom, x: 0, y: 0, zoom: 1, fitted: true });
    /** Where fingers and the mouse are. @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    new ResizeObserver(() => (this.fitted ? this.fit() : this.place())).observe(stage);
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.isEmpty || this.turn(this.at(event)));
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => this.up(event));
  }

  get isEmpty() {
    return this.canvas.width === 0;
  }

  /** Shows pixels; where the picture has the shape of the one before, place and zoom stay. */
  show({ width, height, rgba }, transparent) {
    const { canvas } = this;
    const [before, after] = [canvas.width / canvas.height, width / height];
    const factor = canvas.width / width;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
    canvas.classList.toggle("through", transparent);
    if (this.fitted || !(Math.abs(before / after - 1) < 0.01)) this.fit();
    else {
      this.zoom *= factor;
      this.place();
    }
  }

  clear() {
    Object.assign(this.canvas, { width: 0, height: 0 });
    this.fitted = true;
    this.place();
  }

  /** The whole picture, enlarged only where it is tiny. */
  fit() {
    this.fitted = true;
    this.zoom = this.zoomThatFits();
    this.place();
  }

  zoomThatFits() {
    const { clientWidth, clientHeight } = this.stage;
    const most = Math.min(clientWidth / this.canvas.width, clientHeight / this.canvas.height) * devicePixelRatio;
    return most < 1 ? most : Math.max(1, Math.min(Math.floor(most), 8));
  }

  /** Pixel by pixel, or all of it. */
  turn(point) {
    if (this.fitted) this.to(1, point);
    else this.fit();
  }

  by(factor, point) {
    this.to(this.zoom * factor, point);
  }

  /**
   * @param {number} zoom
   * @param {{x: number, y: number}} [point] in the stage; its middle by default
   * @param {{x: number, y: number}} [goal] where what is at the point comes to; it stays by default
   */
  to(zoom, point = { x: this.stage.clientWidth / 2, y: this.stage.clientHeight / 2 }, goal = point) {
    if (this.isEmpty) return;
    const next = Math.max(Math.min(this.zoomThatFits(), 1) / 4, Math.min(MOST, zoom));
    const factor = next / this.zoom;
    this.x = goal.x + (this.x - point.x) * factor;
    this.y = goal.y + (this.y - point.y) * factor;
    this.zoom = next;
    this.fitted = false;
    this.place();
  }

  shift(x, y) {
    if (!this.stage.classList.contains("movable")) return;
    this.x += x;
    this.y += y;
    this.fitted = false;
    this.place();
  }

  /** In the middle where there is room, else without a gap at an edge. */
  place() {
    const { stage, canvas } = this;
    const scale = this.zoom / devicePixelRatio;
    const inside = (offset, room, size) => Math.round(size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, offset)));
    const [width, height] = [canvas.width * scale, canvas.height * scale];
    this.x = inside(this.x, stage.clientWidth, width);
    this.y = inside(this.y, stage.clientHeight, height);
    canvas.style.transform = `translate(${this.x}px, ${this.y}px) scale(${scale})`;
    canvas.style.backgroundSize = `${16 / scale}px ${16 / scale}px`;
    canvas.classList.toggle("large", this.zoom >= SQUARES);
    stage.classList.toggle("movable", !this.isEmpty && (width > stage.clientWidth || height > stage.clientHeight));
    if (!this.isEmpty) this.onZoom(this.zoom);
  }

  /** @returns {boolean} whether the key was one of ours */
  key(key) {
    const moves = { ArrowLeft: [MOVE, 0], ArrowRight: [-MOVE, 0], ArrowUp: [0, MOVE], ArrowDown: [0, -MOVE] };
    if (this.isEmpty) return false;
    if (key === "+" || key === "=") this.by(STEP);
    else if (key === "-") this.by(1 / STEP);
    else if (key === "0") this.fit();
    else if (key === "1") this.to(1);
    else if (key in moves) this.shift(...moves[key]);
    else return false;
    return true;
  }

  at({ clientX, clientY }) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  wheel(event) {
    if (this.isEmpty) return;
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
    this.by(Math.exp(-pixels * (event.ctrlKey ? PER_PINCH : PER_WHEEL)), this.at(event));
  }

  down(event) {
    if (this.isEmpty || event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    this.stage.classList.add("moving");
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const after = this.at(event);
    this.pointers.set(event.pointerId, after);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) {
      if (after.x !== before.x || after.y !== before.y) this.shift(after.x - before.x, after.y - before.y);
      return;
    }
    const [was, is] = [before, after].map((point) => Math.hypot(point.x - other.x, point.y - other.y));
    const [from, to] = [before, after].map((point) => ({ x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 }));
    if (was > 0) this.to((this.zoom * is) / was, from, to);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0) this.stage.classList.remove("moving");
  }
}

/** What the buttons around a picture do on every page: they zoom, and hide what is beside it. @param {Viewer} viewer */
export function controls(viewer) {
  const [details, panel] = ["details", "panel"].map((id) => document.getElementById(id));
  const actions = { in: () => viewer.key("+"), out: () => viewer.key("-"), fit: () => viewer.fit(), single: () => viewer.to(1) };
  for (const [id, action] of Object.entries(actions)) document.getElementById(id).addEventListener("click", action);
  details.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    details.setAttribute("aria-expanded", !panel.hidden);
  });
}
