/* What is under the pointer: place, raw levels, transmission, steel equivalent, probable material. */

import { steelMm } from "./look.js";

const SIDE = 7; // pixels of the screen, each way, that a material is told from
const NEAR = 0.04; // they belong together where transmission differs less, noise aside
const PROBABLE = 153; // of 255: a class is named from 60 % on
const AIR = 0.02; // attenuation, as in nii/physics/segments.py

export function readings(viewer) {
  const { view: main, other, pointerAt: at, look } = viewer, zoom = `${Math.round(100 * main.scale)} %`;
  const beside = at && other && other.view.holds(...at), view = beside ? other.view : main;
  const [x, y] = at ? view.toScan(...at) : [-1, -1];
  if (!at || viewer.engine.lost || x < 0 || y < 0 || x >= view.width || y >= view.height) return { zoom };
  const facts = beside ? other.facts : viewer.facts, display = facts.grey === "display";
  const around = viewer.engine.levelsAround(at[0], at[1], viewer.drawnHalf, SIDE), middle = 4 * (around.length >> 3);
  const [high, low] = around.subarray(middle, middle + 2), level = look.energy ? low : high;
  const mm = display || !high ? null : steelMm(facts.steel, -Math.log(high / facts.white));
  return {
    zoom,
    place: `${Math.floor(x)}, ${Math.floor(y)}`,
    level: facts.energies > 1 ? `${high} / ${low}` : `${high}`,
    transmission: display ? null : `${((100 * level) / facts.white).toPrecision(3)} %`,
    steel: mm === null ? null : `${mm === Infinity ? "> 500" : mm.toFixed(mm < 20 ? 1 : 0)} ${viewer.text("mm")}`,
    material: beside ? null : material(viewer, around, high),
  };
}

/** The most probable class of what lies around a pixel, where one is more probable than not. */
function material(viewer, around, middle) {
  const { classes, look, facts } = viewer;
  if (!classes || !look.table || !middle) return null;
  const near = middle * (NEAR + 3 * (facts.air_noise ?? 0.01) * Math.sqrt(facts.white / middle));
  let high = 0, low = 0, count = 0;
  for (let i = 0; i < around.length; i += 4)
    if (Math.abs(around[i] - middle) <= near) { high += around[i]; low += around[i + 1]; count++; }
  const [deepest, first, last] = look.table, depth = (sum) => -Math.log(Math.max(sum / count, 0.5) / facts.white);
  if (depth(high) < AIR) return null;
  const { rows, columns, probable } = classes, clip = (v) => Math.min(1, Math.max(0, v));
  const column = Math.round(Math.sqrt(clip(depth(high) / deepest)) * (columns - 1));
  const row = Math.round(clip((depth(low) / depth(high) - first) / (last - first)) * (rows - 1));
  const shares = [...probable.subarray(4 * (row * columns + column), 4 * (row * columns + column) + 4)], best = shares.indexOf(Math.max(...shares));
  return shares[best] >= PROBABLE ? `${viewer.text(`class.${best}`)} ${Math.round(shares[best] / 2.55)} %` : viewer.text("class.unclear");
}
