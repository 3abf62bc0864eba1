/* The officer's viewer. docs/viewer.md says what the page around it must give and may expect.

   openViewer(element) reads data-scan (facts about the pixels) and data-inspection (labels, regions,
   boxes, other scans), draws, and returns a Viewer. */

import { Bar, helpDialog, regionCard, remarkForm } from "./bar.js";
import { pressed } from "./commands.js";
import { localTable } from "./contrast.js";
import { element } from "./dom.js";
import { Engine } from "./engine.js";
import { dragged, firstLook, fitted, presets } from "./look.js";
import { Overlay } from "./overlay.js";
import { Pace } from "./pace.js";
import { layout, listPanes } from "./panes.js";
import { Pointer } from "./pointer.js";
import { readings } from "./readings.js";
import { TileSource } from "./tiles.js";
import { View } from "./view.js";

const REST_MS = 140; // after the last movement the picture is drawn at full resolution
const HELD_MS = 700; // the same while a button is held: a slow machine draws late, and must not rest in between
const BAR_MS = 400; // sliders follow so often while the mouse drags
const EMPTY = { labels: {}, regions: [], containers: [], boxes: [], compare: [], blind: false };

export async function openViewer(host) {
  const began = performance.now();
  const [facts, marks] = await Promise.all([getJson(host.dataset.scan), host.dataset.inspection ? getJson(host.dataset.inspection) : EMPTY]);
  const viewer = new Viewer(host, facts, { ...EMPTY, ...marks }, began);
  await viewer.ready;
  return viewer;
}

async function getJson(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${answer.status} ${address}`);
  return answer.json();
}

export class Viewer {
  constructor(host, facts, marks, began) {
    Object.assign(this, { element: host, facts, marks, began, blind: Boolean(marks.blind), others: marks.compare });
    this.look = firstLook(facts);
    this.settings = { navigator: true, magnifier: false, regions: true };
    Object.assign(this, { tool: "pan", selected: null, peeking: false, measures: [], draft: null, pointerAt: null, held: false, other: null, ratio: 1 });
    this.view = new View(facts);
    this.overview = new View(facts); // the navigator's
    this.lens = new View(facts);
    this.hasMaterials = Boolean(facts.materials);
    this.stale = { full: true, half: true };
    this.pace = new Pace();
    this.barAt = -Infinity;
    this.ready = new Promise((done) => (this.whenReady = done));
    this.build();
    this.source = this.makeSource(facts);
    this.resize();
    this.fit();
    if (this.hasMaterials) this.ready.then(() => this.loadMaterials()); // the picture comes first
  }

  text(key) {
    return this.marks.labels[key] ?? key;
  }

  // ── what the page may ask for ─────────────────────────────────────────────────────────────────

  showRegions(shown) { this.flag("regions", Boolean(shown)); }

  select(number) { return number === null ? this.choose(null) : this.choose(number, true); }

  setBlind(blind) {
    this.blind = Boolean(blind);
    if (blind) this.choose(null);
    this.redraw();
  }

  setRegions(list) { this.marks.regions = list; this.redraw(); }

  setBoxes(list) { this.marks.boxes = list; this.redraw(); }

  /** Show another scan beside this one, by the address of its viewer.json; null puts it away. */
  async compare(address) {
    if (this.other) { this.engine.forget(this.other.source); this.other.source.close(); this.other = null; }
    if (address) {
      const facts = await getJson(address), view = new View(facts);
      const same = JSON.stringify(facts.endpoint_mev) === JSON.stringify(this.facts.endpoint_mev);
      const title = this.others.find((o) => o.scan === address)?.title ?? "";
      this.other = { facts, view, source: this.makeSource(facts), shift: [0, 0], materials: same && Boolean(facts.materials), title };
    }
    this.caption.hidden = !this.other;
    this.caption.textContent = this.other?.title ?? "";
    this.localKey = null;
    layout(this);
    this.fit();
    this.report("compare", address);
  }

  state() {
    const { scale, cx, cy, turn, mirror } = this.view, { table, ...look } = this.look;
    return { look, settings: { ...this.settings }, tool: this.tool, view: { scale, cx, cy, turn, mirror }, selected: this.selected, compare: this.other?.facts.sha256 ?? null };
  }

  close() {
    this.closed = true;
    cancelAnimationFrame(this.asked);
    this.watcher.disconnect();
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("keyup", this.onKeyUp);
    window.removeEventListener("blur", this.onBlur);
    this.source.close();
    this.other?.source.close();
    this.engine.close();
    this.element.replaceChildren();
  }

  // ── building ──────────────────────────────────────────────────────────────────────────────────

  build() {
    this.element.classList.add("nv");
    this.canvas = element("canvas", { class: "nv-canvas" });
    this.overlay = new Overlay(this);
    this.frame = element("div", { class: "nv-navigator", hidden: true }, (this.frameBox = element("div", { class: "nv-frame" })));
    this.ring = element("div", { class: "nv-lens", hidden: true });
    this.caption = element("div", { class: "nv-caption", hidden: true });
    this.stage = element("div", { class: "nv-stage", tabindex: "0", role: "application", "aria-label": this.text("scan") },
      this.canvas, this.overlay.root, this.frame, this.ring, this.caption, (this.cards = element("div", { class: "nv-cards" })));
    this.bar = new Bar(this);
    this.element.replaceChildren(this.bar.root, this.bar.sliders, this.stage, this.bar.foot);
    this.engine = new Engine(this.canvas, {
      tile: this.facts.tile, apron: this.facts.apron,
      onLost: () => this.say(this.text("graphics_lost")),
      onRestored: () => { this.say(""); this.engine.reserve(); this.localKey = null; this.restoreTiles(); this.refill(); },
    });
    new Pointer(this);
    this.onKey = (event) => { if (pressed(this, event)) event.preventDefault(); };
    this.onKeyUp = (event) => { if (event.key === " ") this.peek(false); };
    this.onBlur = () => this.peek(false); // a key may be let go elsewhere
    window.addEventListener("blur", this.onBlur);
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("keyup", this.onKeyUp);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.stage);
  }

  makeSource(facts) {
    return new TileSource(facts, (source, key, data, ...where) => { this.engine.upload(source, key, data, ...where); this.refill(); },
      (error) => { if (error) this.fail(error); else this.refill(); });
  }

  restoreTiles() {
    for (const source of [this.source, this.other?.source])
      if (source) for (const [key, data] of source.kept) this.engine.upload(source, key, data, ...key.split("/").map(Number));
  }

  async loadMaterials() {
    try {
      const answer = await fetch(this.facts.materials);
      if (!answer.ok) throw new Error(`${answer.status} ${this.facts.materials}`);
      const bytes = await answer.arrayBuffer(), head = new Float32Array(bytes, 0, 5);
      const [rows, columns, deepest, first, last] = head, size = rows * columns * 4;
      this.classes = { rows, columns, probable: new Uint8Array(bytes, 20 + size, size) };
      this.engine.table("shades", rows, columns, new Uint8Array(bytes, 20, size));
      this.engine.table("classes", rows, columns, this.classes.probable);
      this.look.table = [deepest, first, last];
      this.redraw();
    } catch (error) { this.fail(error); }
  }

  fail(error) {
    this.say(this.text("failed"));
    this.send("error", { message: String(error.message ?? error) });
  }

  send(name, detail) { this.element.dispatchEvent(new CustomEvent(`nii:${name}`, { bubbles: true, detail })); }

  report(tool, value) { this.send("toggle", { tool, value }); }

  say(text) { this.bar.say(text); }

  // ── drawing ───────────────────────────────────────────────────────────────────────────────────

  resize() {
    if (this.closed) return;
    const { clientWidth: w, clientHeight: h } = this.stage, ratio = window.devicePixelRatio || 1;
    if (!w || !h) return;
    const fitted = this.view.fitted, known = this.view.pane.w > 1;
    this.ratio = ratio;
    this.engine.resize(Math.round(w * ratio), Math.round(h * ratio));
    if (!this.engine.resident.size) this.restoreTiles();
    layout(this);
    if (fitted || !known) this.fit(); else this.refill();
  }

  /** Draw again with other settings: pass 2 alone, and what lies over the picture if that changed. */
  redraw(marked = true) {
    this.marked ||= marked;
    if (this.busy) this.updateBar = true; // painted again less often than the picture
    else this.bar.update(); // at once: a slider must not be moved from where it no longer is
    if (this.asked !== undefined || this.closed) return;
    this.askedAt = performance.now();
    this.asked = requestAnimationFrame(() => this.paint());
  }

  /** Draw again from the tiles: both passes. */
  refill() {
    this.stale = { full: true, half: true };
    this.redraw();
  }

  paint() {
    this.asked = undefined;
    if (this.closed || this.engine.lost || !this.engine.size.width) return;
    const now = performance.now(), kind = this.stale.full ? "fill" : "draw", slow = this.busy && this.pace.slow[kind];
    const panes = this.stale.full || this.stale[slow ? "half" : "full"] ? listPanes(this, slow) : this.list;
    // Coarse from fine tiles costs as much as whole: it pays for pass 2 alone, and once coarse tiles are there.
    const half = slow && (kind === "draw" || panes.every(({ coarse }) => coarse === undefined));
    const size = half ? "half" : "full", fill = this.stale[size];
    if (fill) {
      this.list = panes;
      this.ask(this.list);
      this.engine.fill(this.list, half, this.look.smooth);
      this.stale[size] = false;
    }
    if (this.look.local) this.updateLocal();
    for (const pane of this.list) pane.grid = this.look.local ? this.grids?.get(pane.source.id) : null;
    this.engine.draw(this.list, this.look, half);
    this.drawnHalf = half;
    if (this.busy) this.pace.note(fill ? "fill" : "draw", half, this.askedAt, now);
    if (fill || this.marked) { this.overlay.update(); this.marked = false; }
    if (this.updateBar && (!this.busy || now > this.barAt + BAR_MS)) { this.bar.update(); this.updateBar = false; this.barAt = now; }
    if (!this.busy) this.read(); // reading back waits for the graphics
    if (this.whenReady && this.complete()) this.announce();
  }

  announce() {
    this.engine.finish(); // the time that is told includes the graphics'
    this.send("ready", { milliseconds: Math.round(performance.now() - this.began) });
    this.whenReady(this);
    this.whenReady = null;
  }

  complete() {
    return this.list.every(({ source, view, level }) => this.holds(source, view, level));
  }

  /** Whether all tiles of a level that a view shows are in the graphics' memory. */
  holds(source, view, level) {
    return source.visible(view, level).every(([c, r]) => this.engine.has(source, TileSource.key(level, c, r)));
  }

  /** Ask each source for what its panes miss: the base first, then what is seen, then what moving is drawn from. */
  ask(list) {
    for (const source of new Set(list.map((pane) => pane.source))) {
      const own = list.filter((pane) => pane.source === source), seen = (view, level) => (level === undefined ? [] : source.visible(view, level).map(([c, r]) => [level, c, r]));
      const missing = [...source.baseTiles(), ...own.flatMap(({ view, level }) => seen(view, level)), ...own.flatMap(({ view, coarse }) => seen(view, coarse))];
      const known = new Set();
      source.want(missing.filter((t) => {
        const key = TileSource.key(...t);
        return !this.engine.has(source, key) && !known.has(key) && known.add(key);
      }));
    }
  }

  /** Curves of local contrast follow the window, so they are made again when it changes. */
  updateLocal() {
    const { low, high, curve } = this.look, key = [Math.round(low), Math.round(high), curve, this.other?.source.id].join();
    if (key === this.localKey) return;
    const made = localTable([this.source, this.other?.source].filter(Boolean), this.look, this.facts.white);
    if (!made) return;
    this.grids = made.grids;
    this.engine.table("local_table", made.rows, 256, made.curves);
    this.localKey = key;
  }

  moving() { this.busy = true; this.rest(); }

  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => { this.busy = false; this.pace.rest(); if (this.drawnHalf || this.updateBar) this.redraw(false); else this.read(); }, this.held ? HELD_MS : REST_MS);
  }

  // ── view ──────────────────────────────────────────────────────────────────────────────────────

  fit() { this.view.fit(); this.refill(); }

  actualSize() { this.zoom(1 / this.view.scale); }

  pan(dX, dY) { this.moving(); this.view.panBy(dX, dY); this.refill(); }

  zoom(factor, X, Y) {
    const { x, y, w, h } = this.view.pane;
    this.moving();
    if (X !== undefined && this.other && this.other.view.holds(X, Y)) { X -= this.other.view.pane.x; Y -= this.other.view.pane.y; }
    this.view.zoomAt(X ?? x + w / 2, Y ?? y + h / 2, factor);
    this.refill();
  }

  turn(quarters) {
    const fits = this.view.fitted;
    this.view.turn = (this.view.turn + quarters + 4) % 4;
    if (fits) this.view.fit();
    this.refill();
    this.report("turn", this.view.turn);
  }

  mirror() { this.view.mirror = !this.view.mirror; this.refill(); this.report("mirror", this.view.mirror); }

  inNavigator(X, Y) { return !this.frame.hidden && this.overview.holds(X, Y); }

  navigateTo(X, Y) {
    this.moving();
    [this.view.cx, this.view.cy] = this.overview.toScan(X, Y);
    this.view.keepInside();
    this.refill();
  }

  shiftOther(dX, dY) {
    const o = this.other.view, at = o.toScan(0, 0), to = o.toScan(dX, dY);
    this.other.shift = [this.other.shift[0] + at[0] - to[0], this.other.shift[1] + at[1] - to[1]];
    this.refill();
  }

  // ── look ──────────────────────────────────────────────────────────────────────────────────────

  set(name, value, sliding = false) {
    this.look[name] = value;
    if (name === "smooth") this.refill(); else this.redraw(false);
    if (!sliding) this.report(name, value);
  }

  flag(name, value) { this.settings[name] = value; this.refill(); this.report(name, value); }

  use(tool) { this.tool = tool; this.stage.dataset.tool = tool; this.redraw(); this.report("tool", tool); }

  strip(kind) { this.set("strip", this.look.strip === kind ? "none" : kind); }

  window(side, level) {
    const { low, high } = this.look;
    if (side === "low") this.look.low = Math.min(level, high - 2); else this.look.high = Math.max(level, low + 2);
    this.redraw(false);
  }

  dragWindow(across, down) { this.moving(); Object.assign(this.look, dragged(this.look, across, down, this.facts.white)); this.redraw(false); }

  preset(name) {
    if (name !== "custom") Object.assign(this.look, presets(this.facts)[name]);
    this.redraw();
    this.report("preset", name);
  }

  presetName() {
    const { low, high, curve } = this.look;
    const near = ([, p]) => p.curve === curve && Math.abs(p.low - low) < 1 && Math.abs(p.high - high) < 1;
    return Object.entries(presets(this.facts)).find(near)?.[0] ?? "custom";
  }

  nextPreset() { const names = Object.keys(presets(this.facts)); this.preset(names[(names.indexOf(this.presetName()) + 1) % names.length]); }

  nextCurve() { const all = ["balanced", "log", "linear"]; this.set("curve", all[(all.indexOf(this.look.curve) + 1) % all.length]); }

  /** Fit the window to what is seen now. */
  fitWindow() {
    const picture = this.source.basePicture();
    if (!picture) return;
    const k = picture.width / this.view.width, [x0, y0, x1, y1] = this.view.shown().map((v) => v * k), levels = [];
    for (let y = Math.floor(y0); y < Math.min(picture.height, y1); y++)
      for (let x = Math.floor(x0); x < Math.min(picture.width, x1); x++) levels.push(picture.levels[y * picture.width + x]);
    Object.assign(this.look, fitted(levels, this.look));
    this.redraw();
    this.rested("window");
  }

  rested(name) {
    const { low, high, gamma, markLow, markHigh } = this.look;
    if (name === "gamma") this.report("gamma", gamma);
    else if (name.startsWith("mark")) this.report("mark", [Math.round(markLow), Math.round(markHigh)]);
    else this.report("window", [Math.round(low), Math.round(high)]);
  }

  resetOne(name) {
    const key = { mark_low: "markLow", mark_high: "markHigh" }[name] ?? name;
    this.set(key, firstLook(this.facts)[key]);
  }

  reset() {
    this.look = { ...firstLook(this.facts), table: this.look.table };
    this.measures = [];
    Object.assign(this.view, { turn: 0, mirror: false });
    this.use("pan");
    this.fit();
    this.report("reset", true);
  }

  // ── marks ─────────────────────────────────────────────────────────────────────────────────────

  peek(on) { if (this.peeking !== on) { this.peeking = on; this.redraw(); this.report("peek", on); } }

  choose(number, show = false) {
    const region = this.blind ? null : this.marks.regions.find((r) => r.number === number) ?? null;
    if (number !== null && !region) return false;
    this.selected = region ? number : null;
    if (region && show) { this.view.show(region.box_xyxy, 0.4); this.refill(); }
    this.cards.replaceChildren(...(region ? [regionCard(this, region)] : []));
    this.redraw();
    this.send("select", { region: this.selected });
    return true;
  }

  /** A click on the picture chooses the smallest region there, or none. */
  chooseAt(X, Y) {
    const [x, y] = this.view.toScan(X, Y), area = ([x0, y0, x1, y1]) => (x1 - x0) * (y1 - y0);
    const under = this.settings.regions && !this.blind ? this.marks.regions.filter(({ box_xyxy: b }) => x >= b[0] && x < b[2] && y >= b[1] && y < b[3]) : [];
    under.sort((p, q) => area(p.box_xyxy) - area(q.box_xyxy));
    if (under.length || this.selected !== null) this.choose(under[0]?.number ?? null);
  }

  draw(from, to, done) {
    const cut = (v, most) => Math.min(most, Math.max(0, v)), [w, h] = [this.view.width, this.view.height];
    const xs = [from[0], to[0]].map((v) => cut(v, w)).sort((p, q) => p - q), ys = [from[1], to[1]].map((v) => cut(v, h)).sort((p, q) => p - q);
    this.draft = [Math.floor(xs[0]), Math.floor(ys[0]), Math.ceil(xs[1]), Math.ceil(ys[1])];
    this.redraw();
    if (!done) return;
    const box_xyxy = this.draft;
    if (box_xyxy[2] - box_xyxy[0] < 2 || box_xyxy[3] - box_xyxy[1] < 2) { this.draft = null; return; }
    this.cards.replaceChildren(remarkForm(this, { box_xyxy }, (what) => {
      this.draft = null;
      if (what) { this.marks.boxes = [...this.marks.boxes, { box_xyxy, remark: what.remark }]; this.send("box", { box_xyxy, remark: what.remark }); this.use("pan"); }
      this.redraw();
    }));
  }

  editBox(box) {
    this.cards.replaceChildren(remarkForm(this, box, (what) => { if (what?.withdraw) this.send("unbox", { id: box.id }); }));
  }

  measure(from, to, done) {
    const dx = to[0] - from[0], dy = to[1] - from[1], pitch = this.facts.pixel_pitch_mm;
    const length = pitch ? Math.hypot(dx * pitch[1], dy * pitch[0]) / 10 : Math.hypot(dx, dy);
    const text = pitch ? `${length.toFixed(1)} ${this.text("cm")}` : `${Math.round(length)} ${this.text("px")}`;
    if (this.measuring) this.measures.pop();
    this.measures.push({ from, to, text, length });
    this.measuring = !done;
    this.redraw();
    if (done) { this.say(text); this.report("measure", text); }
  }

  /** Esc: what is open closes, then the tool is put down, then measures go, then the choice. */
  cancel() {
    if (this.cards.querySelector("form")) { this.cards.replaceChildren(); this.draft = null; }
    else if (this.tool !== "pan") this.use("pan");
    else if (this.measures.length) this.measures = [];
    else if (this.selected !== null) this.choose(null);
    else return false;
    this.redraw();
    return true;
  }

  toggleCompare() {
    const at = this.others.findIndex((o) => o.scan === this.comparedWith), next = this.others[at + 1]?.scan ?? null;
    this.comparedWith = next;
    this.compare(next).catch((error) => this.fail(error));
  }

  help() {
    const dialog = helpDialog(this);
    this.element.append(dialog);
    dialog.showModal();
    this.report("help", true);
  }

  // ── readings ──────────────────────────────────────────────────────────────────────────────────

  hover(at) {
    this.pointerAt = at;
    if (this.settings.magnifier) this.refill(); else if (this.asked === undefined && !this.busy) this.read();
  }

  read() { if (!this.closed && this.list) this.bar.read(readings(this)); }

  // ── for tests ─────────────────────────────────────────────────────────────────────────────────

  /** Draw now, at full resolution, and return what is seen: {width, height, rgba}, rows from the top. */
  snapshot() {
    this.busy = false;
    this.refill();
    cancelAnimationFrame(this.asked);
    this.paint();
    return { width: this.canvas.width, height: this.canvas.height, rgba: this.engine.pixels() };
  }

  /** Wait until nothing is on its way and all is drawn at full resolution. */
  async settled() {
    for (;;) {
      await new Promise((done) => setTimeout(done, 30));
      if (this.asked === undefined && !this.busy && (!this.hasMaterials || this.classes) && !this.source.busy && !this.other?.source.busy && this.complete()) return;
    }
  }
}
