/* Tiles of one scan: which are needed, and how they come over the network. */

const AT_ONCE = 6; // requests in flight; browsers send no more to one server by HTTP/1.1
const BASE_PX = 2048; // the level of this size at most is always there, whole
const TRIES = 3;
let sources = 0;

export class TileSource {
  /** @param onTile called with (source, key, Uint16Array of interleaved levels, level, column, row) */
  constructor(facts, onTile, onError) {
    Object.assign(this, { facts, onTile, onError, id: `${sources++}:` });
    this.queue = []; // [level, column, row] in the order of need
    this.flying = new Map(); // key → AbortController
    this.failed = new Map(); // key → how often
    this.base = facts.levels.findIndex(([w, h]) => Math.max(w, h) <= BASE_PX);
    this.kept = new Map(); // tiles of the base level, for local contrast and a lost context
  }

  static key(level, column, row) {
    return `${level}/${column}/${row}`;
  }

  count(level) {
    const [w, h] = this.facts.levels[level], tile = this.facts.tile;
    return [Math.ceil(w / tile), Math.ceil(h / tile)];
  }

  /** Layers of texture that a tile takes: below full size mean and least differ. */
  layers(level) {
    return level ? 2 : 1;
  }

  /** Level whose pixels are one to two to a screen pixel, coarser if the screen asks for too many. */
  levelFor(view, mostLayers, coarser = 1) {
    const steps = view.stretch.map((s) => coarser / (view.scale * s));
    const last = this.facts.levels.length - 1;
    let level = Math.floor(Math.log2(Math.min(...steps)) + 1e-6);
    level = Math.max(level, Math.ceil(Math.log2(Math.max(...steps)) - 2 - 1e-6), 0);
    level = Math.min(level, last);
    while (level < last && this.visible(view, level).length * this.layers(level) > mostLayers) level++;
    return level;
  }

  /** [column, row] of the tiles of a level that a view shows, from its middle outwards. */
  visible(view, level) {
    const size = this.facts.tile * 2 ** level, [columns, rows] = this.count(level);
    const [x0, y0, x1, y1] = view.shown();
    if (x0 >= x1 || y0 >= y1) return [];
    const found = [];
    for (let row = Math.floor(y0 / size); row <= Math.min(rows - 1, Math.floor((y1 - 1e-6) / size)); row++)
      for (let column = Math.floor(x0 / size); column <= Math.min(columns - 1, Math.floor((x1 - 1e-6) / size)); column++)
        found.push([column, row]);
    const far = ([column, row]) => Math.hypot((column + 0.5) * size - view.cx, (row + 0.5) * size - view.cy);
    return found.sort((p, q) => far(p) - far(q));
  }

  /** Say what is missing, most needed first; what is on its way and no longer needed is called off. */
  want(list) {
    const wanted = new Set(list.map((t) => TileSource.key(...t)));
    for (const [key, control] of this.flying) if (!wanted.has(key)) control.abort();
    this.queue = list.filter((t) => {
      const key = TileSource.key(...t);
      return !this.flying.has(key) && (this.failed.get(key) ?? 0) < TRIES;
    });
    this.send();
  }

  get busy() {
    return this.queue.length + this.flying.size > 0;
  }

  send() {
    while (this.queue.length && this.flying.size < AT_ONCE) {
      const [level, column, row] = this.queue.shift();
      const key = TileSource.key(level, column, row), control = new AbortController();
      this.flying.set(key, control);
      this.load(level, column, row, control.signal)
        .then((data) => {
          this.flying.delete(key);
          if (level === this.base) this.kept.set(key, data);
          this.onTile(this, key, data, level, column, row);
        })
        .catch((error) => {
          this.flying.delete(key);
          if (error.name === "AbortError") return;
          const times = (this.failed.get(key) ?? 0) + 1;
          this.failed.set(key, times);
          if (times === TRIES) this.onError(error);
          else setTimeout(() => this.onError(null), 300 * times);
        })
        .finally(() => this.send());
    }
  }

  async load(level, column, row, signal) {
    const answer = await fetch(`${this.facts.tiles}/${TileSource.key(level, column, row)}`, { signal });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.url}`);
    const levels = new Uint16Array(await answer.arrayBuffer());
    const [w, h] = this.size(level, column, row);
    if (levels.length !== w * h * this.facts.energies * this.layers(level)) throw new Error(`size ${answer.url}`);
    if (this.facts.energies > 1) return levels;
    const pairs = new Uint16Array(2 * levels.length); // one energy stands for both
    for (let i = 0; i < levels.length; i++) pairs[2 * i] = pairs[2 * i + 1] = levels[i];
    return pairs;
  }

  /** Width and height of a tile with its apron. */
  size(level, column, row) {
    const { tile, apron, levels } = this.facts, [w, h] = levels[level];
    return [Math.min(tile, w - column * tile) + 2 * apron, Math.min(tile, h - row * tile) + 2 * apron];
  }

  /** All tiles of the level that is always there. */
  baseTiles() {
    const [columns, rows] = this.count(this.base), list = [];
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) list.push([this.base, column, row]);
    return list;
  }

  /** The highest energy of the base level as one picture: {width, height, levels}; null until it is there. */
  basePicture() {
    const list = this.baseTiles();
    if (!list.every((t) => this.kept.has(TileSource.key(...t)))) return null;
    const [width, height] = this.facts.levels[this.base], { tile, apron } = this.facts;
    const levels = new Uint16Array(width * height);
    for (const [level, column, row] of list) {
      const data = this.kept.get(TileSource.key(level, column, row)), [w, h] = this.size(level, column, row);
      for (let y = apron; y < h - apron; y++)
        for (let x = apron; x < w - apron; x++)
          levels[(row * tile + y - apron) * width + column * tile + x - apron] = data[2 * (y * w + x)];
    }
    return { width, height, levels };
  }

  close() {
    this.queue = [];
    for (const control of this.flying.values()) control.abort();
  }
}
