/* Local contrast: each cell of a coarse grid gets a curve of its own, from its own histogram.
   Reference: Zuiderveld, Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV (1994). */

import { tonesOf } from "./look.js";

const BINS = 256;
const CELL_PX = 64; // of the level that the histograms are taken from
const MOST_CELLS = 32; // along a side
const CLIP = 3; // a bin never counts more than so many times the average

/** Curves of several sources in one table: grids (source → columns, rows, first row, all rows), rows, curves.
    They follow the window. Null while the coarse picture of a source is on its way.
    @param white level of T = 1 as shown */
export function localTable(sources, look, white) {
  const pictures = sources.map((source) => source.basePicture());
  if (pictures.some((picture) => !picture)) return null;
  const tones = tonesOf(look), made = pictures.map((picture, i) => localCurves(picture, tones, white / sources[i].facts.white));
  const rows = made.reduce((sum, { columns, rows: down }) => sum + columns * down, 0), curves = new Float32Array(rows * BINS), grids = new Map();
  let row = 0;
  made.forEach((each, i) => {
    grids.set(sources[i].id, [each.columns, each.rows, row, rows]);
    curves.set(each.curves, row * BINS);
    row += each.columns * each.rows;
  });
  return { grids, rows, curves };
}

/** Columns, rows and curves (256 values a cell, row by row) for a picture of levels.
    @param tones grey of every level, 0 to 1; @param gain levels as shown over levels of this picture */
export function localCurves({ width, height, levels }, tones, gain) {
  const columns = Math.min(MOST_CELLS, Math.max(1, Math.round(width / CELL_PX)));
  const rows = Math.min(MOST_CELLS, Math.max(1, Math.round(height / CELL_PX)));
  const bins = Uint8Array.from({ length: 65536 }, (_, level) => Math.round(tones[Math.min(65535, Math.round(level * gain))] * (BINS - 1)));
  const counts = new Float32Array(columns * rows * BINS);
  for (let y = 0; y < height; y++) {
    const row = Math.min(rows - 1, Math.floor((y * rows) / height)) * columns;
    for (let x = 0; x < width; x++) {
      const cell = row + Math.min(columns - 1, Math.floor((x * columns) / width));
      counts[cell * BINS + bins[levels[y * width + x]]]++;
    }
  }
  const curves = new Float32Array(counts.length);
  for (let cell = 0; cell < columns * rows; cell++)
    equalise(counts.subarray(cell * BINS, (cell + 1) * BINS), curves.subarray(cell * BINS, (cell + 1) * BINS));
  return { columns, rows, curves };
}

function equalise(counts, curve) {
  const total = counts.reduce((sum, n) => sum + n, 0), most = (CLIP * total) / BINS;
  let beyond = 0;
  for (let i = 0; i < BINS; i++) if (counts[i] > most) { beyond += counts[i] - most; counts[i] = most; }
  let sum = 0;
  for (let i = 0; i < BINS; i++) {
    sum += counts[i] + beyond / BINS;
    curve[i] = (sum - (counts[i] + beyond / BINS) / 2) / total;
  }
}
