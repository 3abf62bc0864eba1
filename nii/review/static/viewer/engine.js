/* The graphics: textures of tiles, the plane of raw levels, and the two passes that draw them. */

import { greysOf, tonesOf } from "./look.js";
import { REFINE, RESAMPLE, RESAMPLE_VERTEX, SHOW_VERTEX, show } from "./shaders.js";
import { TileSource } from "./tiles.js";

const MOST_LAYERS = 256; // what every WebGL2 device offers
const FEWEST_LAYERS = 64;
const STRIPS = { none: 0, organic: 1, metal: 2 };
const GROUND = [0.043, 0.051, 0.059, 1];
const USUAL_NOISE = 0.01; // of the transmission of a pixel in air, as in nii/physics/colour_table.py
const UNITS = ["plane", "pairs", "greys", "tones", "local_table", "shades", "classes"];

export class Engine {
  /** @param apron, tile: as in viewer.json; onRestored: called when a lost context is back */
  constructor(canvas, { tile, apron, onLost, onRestored }) {
    Object.assign(this, { canvas, tile, apron });
    this.size = { width: canvas.width, height: canvas.height }; // device pixels that the canvas takes on the page
    this.side = tile + 2 * apron;
    this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
    if (!this.gl) throw new Error("WebGL2");
    this.tables = {}; // name → what to upload again after a loss
    this.onLost = (event) => { event.preventDefault(); this.lost = true; onLost(); };
    this.onRestored = () => { this.lost = false; this.start(); onRestored(); };
    canvas.addEventListener("webglcontextlost", this.onLost);
    canvas.addEventListener("webglcontextrestored", this.onRestored);
    this.lost = this.gl.isContextLost();
    if (!this.lost) this.start();
  }

  start() {
    const gl = this.gl;
    this.resample = program(gl, RESAMPLE_VERTEX, RESAMPLE);
    this.refining = program(gl, SHOW_VERTEX, REFINE);
    this.shows = new Map(); // features → program
    this.toned = null;
    this.vertices = gl.createVertexArray();
    this.array = null;
    this.planes = {}; // full and half: {w, h, texture, target}
    this.textures = {};
    this.resident = new Map(); // source and key → {layer, least, used, pinned}
    this.frame = 0;
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.disable(gl.DITHER);
    const blank = new Uint8Array([255, 255, 255, 0]);
    this.blank = this.texture(gl.RGBA8, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, blank, gl.NEAREST);
    for (const [name, put] of Object.entries(this.tables)) this.textures[name] = put();
  }

  /** Say how many device pixels the canvas takes on the page, and make room for the tiles it can show. */
  resize(w, h) {
    this.size = { width: w, height: h };
    this.shrink(false);
    this.reserve();
  }

  /** Give the canvas as many pixels as will be drawn: the browser puts a small one together with the page sooner. */
  shrink(half) {
    const { canvas } = this, { w, h } = this.extent(half);
    if (canvas.width !== w) canvas.width = w; // setting it empties the canvas
    if (canvas.height !== h) canvas.height = h;
    canvas.classList.toggle("nv-coarse", half);
  }

  extent(half) {
    const { width, height } = this.size, k = half ? 2 : 1;
    return { w: Math.ceil(width / k), h: Math.ceil(height / k) };
  }

  reserve() {
    const { width: w, height: h } = this.size;
    const across = Math.ceil((2 * w) / this.tile) + 1, down = Math.ceil((2 * h) / this.tile) + 1;
    const wanted = Math.min(MOST_LAYERS, Math.max(FEWEST_LAYERS, 32 * Math.ceil((across * down * 1.6 + 16) / 32)));
    if (this.array && this.count >= wanted) return;
    const gl = this.gl;
    if (this.array) gl.deleteTexture(this.array);
    this.array = gl.createTexture();
    this.count = wanted;
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.array);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RG16UI, this.side, this.side, wanted);
    plainSampling(gl, gl.TEXTURE_2D_ARRAY, gl.NEAREST);
    this.free = Array.from({ length: wanted }, (_, i) => wanted - 1 - i);
    this.resident.clear();
  }

  has(source, key) {
    return this.resident.has(source.id + key);
  }

  /** Layers that one view may fill; what is always there and what other panes show needs room too. */
  get room() {
    return Math.floor(this.count * 0.62);
  }

  upload(source, key, data, level, column, row) {
    if (this.lost || !this.array || this.has(source, key)) return;
    const gl = this.gl, [w, h] = source.size(level, column, row), count = source.layers(level);
    const layers = [];
    for (let i = 0; i < count; i++) {
      const layer = this.free.pop() ?? this.evict();
      if (layer === undefined) { this.free.push(...layers); return; }
      layers.push(layer);
    }
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.array);
    layers.forEach((layer, i) => {
      const part = data.subarray(i * 2 * w * h, (i + 1) * 2 * w * h);
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, layer, w, h, 1, gl.RG_INTEGER, gl.UNSIGNED_SHORT, part);
    });
    this.resident.set(source.id + key, { layer: layers[0], least: layers.at(-1), used: this.frame, pinned: level === source.base });
  }

  /** Free the tile that was not drawn for longest, and return one of its layers. */
  evict() {
    let oldest = null;
    for (const [key, entry] of this.resident)
      if (!entry.pinned && entry.used < this.frame && (!oldest || entry.used < oldest[1].used)) oldest = [key, entry];
    if (!oldest) return undefined;
    this.resident.delete(oldest[0]);
    if (oldest[1].least !== oldest[1].layer) this.free.push(oldest[1].least);
    return oldest[1].layer;
  }

  forget(source) {
    for (const [key, entry] of this.resident)
      if (key.startsWith(source.id)) {
        this.resident.delete(key);
        this.free.push(entry.layer);
        if (entry.least !== entry.layer) this.free.push(entry.least);
      }
  }

  /** Set a table that pass 2 looks things up in; it survives a lost context. */
  table(name, rows, columns, data) {
    const gl = this.gl;
    this.tables[name] = () =>
      data instanceof Float32Array
        ? this.texture(gl.R16F, columns, rows, gl.RED, gl.FLOAT, data, gl.LINEAR)
        : this.texture(gl.RGBA8, columns, rows, gl.RGBA, gl.UNSIGNED_BYTE, data, gl.LINEAR);
    if (this.lost) return;
    if (this.textures[name]) gl.deleteTexture(this.textures[name]);
    this.textures[name] = this.tables[name]();
  }

  texture(form, w, h, format, type, data, filter) {
    const gl = this.gl, made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    gl.texImage2D(gl.TEXTURE_2D, 0, form, w, h, 0, format, type, data);
    plainSampling(gl, gl.TEXTURE_2D, filter);
    return made;
  }

  /** The plane of raw levels at full or half resolution, made anew where the canvas has changed. */
  plane(half) {
    const gl = this.gl, name = half ? "half" : "full";
    const { w, h } = this.extent(half);
    let plane = this.planes[name];
    if (plane?.w === w && plane.h === h) return plane;
    if (plane) for (const t of ["texture", "pairs"]) gl.deleteTexture(plane[t]);
    plane = { w, h, refined: false, grouped: plane?.grouped ?? gl.createFramebuffer(), target: plane?.target ?? gl.createFramebuffer() };
    plane.texture = this.texture(gl.RGBA16UI, w, h, gl.RGBA_INTEGER, gl.UNSIGNED_SHORT, null, gl.NEAREST);
    attach(gl, plane.target, plane.texture);
    plane.pairs = this.texture(gl.RGBA32UI, w, h, gl.RGBA_INTEGER, gl.UNSIGNED_INT, null, gl.NEAREST);
    attach(gl, plane.grouped, plane.pairs);
    return (this.planes[name] = plane);
  }

  /**
   * Pass 1: fill the plane with the raw levels of all panes.
   * @param panes [{source, view, level}] in the order in which they lie upon each other
   */
  fill(panes, half, smooth) {
    const gl = this.gl, plane = this.plane(half), f = half ? 0.5 : 1, use = this.resample;
    this.frame++;
    plane.refined = false;
    gl.bindFramebuffer(gl.FRAMEBUFFER, plane.target);
    gl.viewport(0, 0, plane.w, plane.h);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearBufferuiv(gl.COLOR, 0, [0, 0, 0, 0]);
    gl.enable(gl.SCISSOR_TEST);
    gl.useProgram(use.id);
    gl.bindVertexArray(this.vertices);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.array);
    gl.uniform1i(use.at.tiles, 0);
    gl.uniform1i(use.at.smooth_up, smooth ? 1 : 0);
    gl.uniform2f(use.at.plane_px, plane.w, plane.h);
    for (const pane of panes) {
      const { x, y, w, h } = pane.view.pane;
      gl.scissor(Math.floor(x * f), Math.floor(y * f), Math.ceil((x + w) * f) - Math.floor(x * f), Math.ceil((y + h) * f) - Math.floor(y * f));
      this.fillPane(pane, f);
    }
    gl.disable(gl.SCISSOR_TEST);
  }

  fillPane({ source, view, level }, f) {
    const drawn = new Map();
    for (const [column, row] of source.visible(view, level)) {
      const found = this.nearest(source, level, column, row);
      if (!found) continue;
      found.entry.used = this.frame;
      // A coarser tile that stands in for a finer one is drawn once, whole.
      drawn.set(found.key, found);
    }
    for (const found of [...drawn.values()].sort((p, q) => q.level - p.level)) this.drawTile(source, view, found, f);
  }

  /** The tile itself, or the finest coarser one that covers it. */
  nearest(source, level, column, row) {
    for (let l = level, c = column, r = row; l < source.facts.levels.length; l++, c >>= 1, r >>= 1) {
      const key = TileSource.key(l, c, r), entry = this.resident.get(source.id + key);
      if (entry) return { key, entry, level: l, column: c, row: r };
    }
    return null;
  }

  drawTile(source, view, { entry, level, column, row }, f) {
    const gl = this.gl, use = this.resample, m = view.matrix(), k = 2 ** level, side = this.tile;
    const x0 = column * side * k, y0 = row * side * k;
    const x1 = Math.min(view.width, x0 + side * k), y1 = Math.min(view.height, y0 + side * k);
    const X = [m.a * x0 + m.c * y0 + m.e, m.a * x1 + m.c * y1 + m.e].map((v) => v * f).sort((p, q) => p - q);
    const Y = [m.b * x0 + m.d * y0 + m.f, m.b * x1 + m.d * y1 + m.f].map((v) => v * f).sort((p, q) => p - q);
    const det = (m.a * m.d - m.b * m.c) * k * f; // plane → pixels of the level, from the tile's corner
    const t = [m.d / det, -m.c / det, -m.b / det, m.a / det];
    const E = m.e * f, F = m.f * f;
    gl.uniform4f(use.at.rect, X[0], Y[0], X[1], Y[1]);
    gl.uniformMatrix2fv(use.at.turn, false, [t[0], t[2], t[1], t[3]]);
    gl.uniform2f(use.at.shift, -t[0] * E - t[1] * F - x0 / k + this.apron, -t[2] * E - t[3] * F - y0 / k + this.apron);
    gl.uniform2f(use.at.step_px, Math.abs(t[0]) + Math.abs(t[1]), Math.abs(t[2]) + Math.abs(t[3]));
    gl.uniform2i(use.at.layer, entry.layer, entry.least);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  /** Pass 2: from the plane to the canvas. */
  draw(panes, look, half) {
    const gl = this.gl, plane = this.plane(half);
    this.shrink(half);
    this.updateTones(look);
    if (!plane.refined && look.table && (look.colour || look.strip !== "none")) this.refine(panes, plane, half ? 0.5 : 1);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, plane.w, plane.h);
    gl.bindVertexArray(this.vertices);
    gl.clearColor(...GROUND);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.SCISSOR_TEST);
    for (const pane of panes) this.drawPane(pane, look, plane, half ? 0.5 : 1);
    gl.disable(gl.SCISSOR_TEST);
  }

  /** Pass 1b: what the surroundings of each pixel say about its material. */
  refine(panes, plane, f) {
    const gl = this.gl, use = this.refining, at = use.at;
    gl.bindFramebuffer(gl.FRAMEBUFFER, plane.grouped);
    gl.viewport(0, 0, plane.w, plane.h);
    gl.bindVertexArray(this.vertices);
    gl.useProgram(use.id);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, plane.texture);
    gl.uniform1i(at.plane, 0);
    gl.enable(gl.SCISSOR_TEST);
    for (const { view, source, materials } of panes) {
      const { inside: [x0, y0, x1, y1] } = rects(view, f);
      if (!materials || x0 >= x1 || y0 >= y1) continue;
      gl.scissor(x0, y0, x1 - x0, y1 - y0);
      gl.uniform4i(at.rect, x0, y0, x1 - 1, y1 - 1);
      gl.uniform1i(at.stride, Math.max(1, Math.round(view.scale * f)));
      gl.uniform1f(at.white, source.facts.white);
      gl.uniform1f(at.noise, source.facts.air_noise ?? USUAL_NOISE);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
    gl.disable(gl.SCISSOR_TEST);
    plane.refined = true;
  }

  drawPane(pane, look, plane, f) {
    const gl = this.gl, { view, source } = pane, m = view.matrix();
    const { pane: rect, inside: [x0, y0, x1, y1] } = rects(view, f);
    gl.scissor(rect[0], plane.h - rect[3], rect[2] - rect[0], rect[3] - rect[1]);
    if (pane.covers) gl.clear(gl.COLOR_BUFFER_BIT); // it lies upon another one
    if (x0 >= x1 || y0 >= y1) return;
    const features = this.features(pane, look), use = this.use(features), at = use.at;
    if (features.includes("FINE")) this.updateFractions();
    gl.scissor(x0, plane.h - y1, x1 - x0, y1 - y0);
    gl.useProgram(use.id);
    UNITS.forEach((name, unit) => {
      if (!at[name]) return;
      gl.activeTexture(gl.TEXTURE0 + unit);
      const own = { plane: plane.texture, pairs: plane.pairs }[name];
      gl.bindTexture(gl.TEXTURE_2D, own ?? this.textures[name] ?? this.blank);
      gl.uniform1i(at[name], unit);
    });
    const det = (m.a * m.d - m.b * m.c) * f, [W, H] = [view.width, view.height];
    const t = [m.d / det / W, -m.c / det / W, -m.b / det / H, m.a / det / H], [E, F] = [m.e * f, m.f * f];
    gl.uniform1i(at.plane_height, plane.h);
    gl.uniform4i(at.rect, x0, y0, x1 - 1, y1 - 1);
    gl.uniform1i(at.energy, look.energy);
    gl.uniform1f(at.dense, look.denseShare);
    gl.uniform1f(at.gain, pane.white / source.facts.white);
    gl.uniform1f(at.white, source.facts.white);
    gl.uniform1f(at.gamma, look.gamma);
    gl.uniform1i(at.inverse, look.inverse ? 1 : 0);
    gl.uniform1f(at.edges, look.edges);
    gl.uniform1f(at.local_share, look.local);
    gl.uniformMatrix2fv(at.turn, false, [t[0], t[2], t[1], t[3]]);
    gl.uniform2f(at.shift, -t[0] * E - t[1] * F, -t[2] * E - t[3] * F);
    gl.uniform4f(at.grid, ...(pane.grid ?? [1, 1, 0, 1]));
    gl.uniform1i(at.strip, STRIPS[look.strip]);
    gl.uniform3f(at.table, ...(look.table ?? [1, 0, 1]));
    gl.uniform2f(at.mark, look.markLow, look.markHigh);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  features(pane, look) {
    const edges = look.edges > 0, local = look.local > 0 && pane.grid, known = pane.materials && look.table, strip = known && look.strip !== "none";
    const on = {
      DENSE: look.dense && pane.level > 0, GAIN: pane.white !== pane.source.facts.white, FINE: edges || local || strip,
      EDGES: edges, LOCAL: local, STRIP: strip, COLOUR: known && look.colour, MARK: look.mark,
    };
    return Object.keys(on).filter((name) => on[name]);
  }

  use(features) {
    const key = features.join();
    if (!this.shows.has(key)) this.shows.set(key, program(this.gl, SHOW_VERTEX, show(features)));
    return this.shows.get(key);
  }

  /** The table from level to grey, made again when the window, its curve, gamma or inversion change. */
  updateTones(look) {
    const { low, high, curve, gamma, inverse } = look, key = [Math.round(low), Math.round(high), curve, gamma, inverse].join();
    if (key === this.toned) return;
    this.curve = tonesOf(look);
    this.squared("greys", greysOf(this.curve, look));
    this.fractioned = false;
    this.toned = key;
  }

  /** The same as fractions, which only edges, local contrast and stripping ask for. */
  updateFractions() {
    if (!this.fractioned) this.squared("tones", Float32Array.from(this.curve));
    this.fractioned = true;
  }

  /** A value for each of the 65,536 levels, as a square texture. */
  squared(name, values) {
    const gl = this.gl, [inside, type] = values instanceof Float32Array ? [gl.R32F, gl.FLOAT] : [gl.R8, gl.UNSIGNED_BYTE];
    if (!this.textures[name]) { this.textures[name] = this.texture(inside, 256, 256, gl.RED, type, values, gl.NEAREST); return; }
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, 256, gl.RED, type, values);
  }

  /** Raw levels under a place of the canvas: [mean high, mean low, least high, least low]. */
  levelsAt(X, Y, half) {
    return this.levelsAround(X, Y, half, 1);
  }

  /** The same for a square of `side` pixels around it, row by row. */
  levelsAround(X, Y, half, side) {
    const gl = this.gl, plane = this.plane(half), f = half ? 0.5 : 1, levels = new Uint32Array(4 * side * side), out = side >> 1;
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, plane.target);
    gl.readPixels(Math.floor(X * f) - out, Math.floor(Y * f) - out, side, side, gl.RGBA_INTEGER, gl.UNSIGNED_INT, levels);
    return levels;
  }

  /** Wait until all that was asked for is drawn; only right after drawing. */
  finish() {
    const gl = this.gl;
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, null);
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  /** What is seen, rows from the top; only right after drawing. */
  pixels() {
    const gl = this.gl, { width, height } = this.canvas, rows = new Uint8Array(4 * width * height);
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, null);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, rows);
    const turned = new Uint8Array(rows.length);
    for (let y = 0; y < height; y++) turned.set(rows.subarray(4 * width * (height - 1 - y), 4 * width * (height - y)), 4 * width * y);
    return turned;
  }

  close() {
    this.canvas.removeEventListener("webglcontextlost", this.onLost);
    this.canvas.removeEventListener("webglcontextrestored", this.onRestored);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** On the plane, x0, y0, x1, y1: the pane, and the part of it that the scan covers. */
function rects(view, f) {
  const edge = (v) => Math.ceil(v * f - 0.5), { x, y, w, h } = view.pane, m = view.matrix();
  const pane = [edge(x), edge(y), edge(x + w), edge(y + h)];
  const X = [m.e, m.a * view.width + m.c * view.height + m.e].sort((p, q) => p - q), Y = [m.f, m.b * view.width + m.d * view.height + m.f].sort((p, q) => p - q);
  const inside = [Math.max(pane[0], edge(X[0])), Math.max(pane[1], edge(Y[0])), Math.min(pane[2], edge(X[1])), Math.min(pane[3], edge(Y[1]))];
  return { pane, inside };
}

function program(gl, vertex, fragment) {
  const id = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(id, shader);
  }
  gl.linkProgram(id);
  if (!gl.getProgramParameter(id, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(id));
  const at = {}, count = gl.getProgramParameter(id, gl.ACTIVE_UNIFORMS) ?? 0;
  for (let i = 0; i < count; i++) {
    const name = gl.getActiveUniform(id, i).name.replace("[0]", "");
    at[name] = gl.getUniformLocation(id, name);
  }
  return { id, at };
}

function plainSampling(gl, target, filter) {
  for (const name of ["TEXTURE_MIN_FILTER", "TEXTURE_MAG_FILTER"]) gl.texParameteri(target, gl[name], filter);
  for (const name of ["TEXTURE_WRAP_S", "TEXTURE_WRAP_T"]) gl.texParameteri(target, gl[name], gl.CLAMP_TO_EDGE);
}

function attach(gl, target, texture) {
  gl.bindFramebuffer(gl.FRAMEBUFFER, target);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
}
