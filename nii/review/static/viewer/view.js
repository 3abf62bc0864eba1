/* Where a scan lies on the screen: scale, middle, quarter turns and mirror of one pane.
   Scan pixels: x right, y down. Screen: device pixels, x right, y down. */

const LEAST_SCREEN_PX = 48; // a scan is never made smaller than this
const LARGEST_SCALE = 32; // device pixels a scan pixel

export class View {
  /** @param facts as in viewer.json: width, height, pixel_pitch_mm (vertical, horizontal) */
  constructor(facts) {
    this.width = facts.width;
    this.height = facts.height;
    const [down, across] = facts.pixel_pitch_mm ?? [1, 1];
    const finer = Math.min(down, across);
    this.stretch = [across / finer, down / finer]; // so that a square thing looks square
    this.pane = { x: 0, y: 0, w: 1, h: 1 };
    Object.assign(this, { scale: 1, cx: this.width / 2, cy: this.height / 2, turn: 0, mirror: false });
  }

  /** X = a x + c y + e, Y = b x + d y + f, with whole e and f, so that pixels meet pixels at 1:1. */
  matrix() {
    const sx = this.scale * this.stretch[0] * (this.mirror ? -1 : 1);
    const sy = this.scale * this.stretch[1];
    const [a, b, c, d] = [[sx, 0, 0, sy], [0, sx, -sy, 0], [-sx, 0, 0, -sy], [0, -sx, sy, 0]][this.turn];
    const { x, y, w, h } = this.pane;
    const e = Math.round(x + w / 2 - a * this.cx - c * this.cy);
    const f = Math.round(y + h / 2 - b * this.cx - d * this.cy);
    return { a, b, c, d, e, f };
  }

  toScreen(x, y) {
    const { a, b, c, d, e, f } = this.matrix();
    return [a * x + c * y + e, b * x + d * y + f];
  }

  toScan(X, Y) {
    const { a, b, c, d, e, f } = this.matrix();
    const det = a * d - b * c;
    return [(d * (X - e) - c * (Y - f)) / det, (a * (Y - f) - b * (X - e)) / det];
  }

  /** Whether a place of the screen is in the pane. */
  holds(X, Y) {
    const { x, y, w, h } = this.pane;
    return X >= x && Y >= y && X < x + w && Y < y + h;
  }

  /** The smallest upright box of scan pixels that a rectangle of the screen shows, cut to the scan. */
  shown(rect = this.pane) {
    const p = this.toScan(rect.x, rect.y), q = this.toScan(rect.x + rect.w, rect.y + rect.h);
    return [
      Math.max(0, Math.min(p[0], q[0])), Math.max(0, Math.min(p[1], q[1])),
      Math.min(this.width, Math.max(p[0], q[0])), Math.min(this.height, Math.max(p[1], q[1])),
    ];
  }

  fitScale(box = [0, 0, this.width, this.height]) {
    let w = (box[2] - box[0]) * this.stretch[0], h = (box[3] - box[1]) * this.stretch[1];
    if (this.turn % 2) [w, h] = [h, w];
    return Math.min(this.pane.w / w, this.pane.h / h);
  }

  /** Whether all of the scan is in the pane. */
  get whole() {
    return this.scale <= this.fitScale() * 1.001;
  }

  /** Whether it fills the pane, as after fit(). */
  get fitted() {
    return Math.abs(this.scale / this.fitScale() - 1) < 1e-3;
  }

  fit() {
    this.show([0, 0, this.width, this.height], 1);
  }

  /** Put a box into the middle, `share` of the pane large. */
  show(box, share = 0.5) {
    this.scale = this.limited(this.fitScale(box) * share);
    this.cx = (box[0] + box[2]) / 2;
    this.cy = (box[1] + box[3]) / 2;
  }

  limited(scale) {
    const least = LEAST_SCREEN_PX / Math.max(this.width * this.stretch[0], this.height * this.stretch[1]);
    return Math.min(LARGEST_SCALE, Math.max(least, scale));
  }

  /** Zoom so that the place under (X, Y) stays there. */
  zoomAt(X, Y, factor) {
    const before = this.toScan(X, Y);
    this.scale = this.limited(this.scale * factor);
    const after = this.toScan(X, Y);
    this.cx += before[0] - after[0];
    this.cy += before[1] - after[1];
    this.keepInside();
  }

  panBy(dX, dY) {
    const { a, b, c, d } = this.matrix(), det = a * d - b * c;
    this.cx -= (d * dX - c * dY) / det;
    this.cy -= (a * dY - b * dX) / det;
    this.keepInside();
  }

  /** The middle of the pane never leaves the scan, so that it cannot be lost. */
  keepInside() {
    this.cx = Math.min(this.width, Math.max(0, this.cx));
    this.cy = Math.min(this.height, Math.max(0, this.cy));
  }
}
