/* Mouse, pen and fingers: pan, zoom, window, measure and draw, by what is pressed and where. */

const WHEEL = 1.0018; // zoom for one CSS pixel of a wheel
const DRAG_PX = 3; // a shorter movement is a click

export class Pointer {
  constructor(viewer) {
    this.viewer = viewer;
    this.down = new Map(); // pointer → place
    this.action = null;
    const stage = viewer.stage;
    const on = (name, act, options) => stage.addEventListener(name, act, options);
    on("pointerdown", (e) => this.start(e));
    on("pointermove", (e) => this.move(e));
    on("pointerup", (e) => this.end(e));
    on("pointercancel", (e) => this.end(e));
    on("pointerleave", () => this.viewer.hover(null));
    on("wheel", (e) => this.wheel(e), { passive: false });
    on("contextmenu", (e) => e.preventDefault());
    on("dblclick", (e) => { if (viewer.tool === "pan" && e.target === viewer.canvas) viewer.zoom(2, ...this.place(e)); });
  }

  /** Place of an event in device pixels of the canvas. */
  place(event) {
    const at = this.viewer.canvas.getBoundingClientRect(), r = this.viewer.ratio;
    return [(event.clientX - at.left) * r, (event.clientY - at.top) * r];
  }

  start(event) {
    const v = this.viewer, at = this.place(event);
    if (event.target.closest(".nv-press, .nv-card, .nv-remark")) return;
    v.stage.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, at);
    v.held = true;
    v.element.querySelector(".nv-stage").focus({ preventScroll: true });
    if (this.down.size === 2) {
      this.action = "pinch";
      this.span = this.pinched();
      return;
    }
    this.first = at;
    this.last = at;
    this.moved = false;
    this.action = this.chosen(event, at);
    if (this.action === "navigate") v.navigateTo(...at);
    if (this.action === "measure") this.from = v.view.toScan(...at);
    if (this.action === "box") this.from = v.view.toScan(...at);
  }

  chosen(event, at) {
    const v = this.viewer;
    if (v.inNavigator(...at)) return "navigate";
    if (event.button === 2 || event.shiftKey) return "window";
    if (event.button === 1) return "pan";
    if (event.altKey && v.other) return "other";
    return v.tool;
  }

  move(event) {
    const v = this.viewer, at = this.place(event);
    if (!this.down.has(event.pointerId)) {
      v.hover(at);
      return;
    }
    this.down.set(event.pointerId, at);
    if (this.action === "pinch") {
      const span = this.pinched();
      v.pan(span.x - this.span.x, span.y - this.span.y);
      v.zoom(span.length / this.span.length, span.x, span.y);
      this.span = span;
      return;
    }
    if (!this.moved && Math.hypot(at[0] - this.first[0], at[1] - this.first[1]) < DRAG_PX * v.ratio) return;
    this.moved = true;
    const dx = at[0] - this.last[0], dy = at[1] - this.last[1];
    this.last = at;
    if (this.action === "pan") v.pan(dx, dy);
    else if (this.action === "other") v.shiftOther(dx, dy);
    else if (this.action === "window") v.dragWindow(dx / v.engine.size.width, dy / v.engine.size.height);
    else if (this.action === "navigate") v.navigateTo(...at);
    else if (this.action === "measure") v.measure(this.from, v.view.toScan(...at), false);
    else if (this.action === "box") v.draw(this.from, v.view.toScan(...at), false);
    v.hover(at);
  }

  end(event) {
    const v = this.viewer, at = this.down.get(event.pointerId);
    if (!this.down.delete(event.pointerId)) return;
    v.held = this.down.size > 0;
    if (this.action === "pinch") {
      if (this.down.size === 1) { this.action = "pan"; [this.last] = this.down.values(); this.first = this.last; }
    } else {
      if (this.action === "measure" && this.moved) v.measure(this.from, v.view.toScan(...at), true);
      if (this.action === "box" && this.moved) v.draw(this.from, v.view.toScan(...at), true);
      if (this.action === "window" && this.moved) v.rested("window");
      if (this.action === "pan" && !this.moved) v.chooseAt(...at);
      this.action = null;
    }
    v.rest();
  }

  pinched() {
    const [p, q] = this.down.values();
    return { x: (p[0] + q[0]) / 2, y: (p[1] + q[1]) / 2, length: Math.max(1, Math.hypot(p[0] - q[0], p[1] - q[1])) };
  }

  wheel(event) {
    event.preventDefault();
    const lines = [1, 16, 400][event.deltaMode];
    this.viewer.zoom(WHEEL ** (-event.deltaY * lines), ...this.place(event));
    this.viewer.hover(this.place(event));
  }
}
