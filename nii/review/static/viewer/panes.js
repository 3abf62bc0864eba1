/* Panes: where on the canvas the scan, another one beside it, the navigator and the magnifier lie. */

import { placeLens, placeNavigator } from "./insets.js";

const GAP_PX = 3; // CSS pixels between two scans

/** Divide the canvas; with another scan, the one above the other if scans are wide. */
export function layout(viewer) {
  const { view, other, ratio } = viewer, { width: w, height: h } = viewer.engine.size, gap = other ? Math.round(GAP_PX * ratio) : 0;
  const below = view.width * view.stretch[0] > 1.2 * view.height * view.stretch[1];
  const half = Math.floor(((below ? h : w) - gap) / 2);
  view.pane = !other ? { x: 0, y: 0, w, h } : below ? { x: 0, y: 0, w, h: half } : { x: 0, y: 0, w: half, h };
  if (other) other.view.pane = below ? { x: 0, y: half + gap, w, h: half } : { x: half + gap, y: 0, w: half, h };
  viewer.caption.classList.toggle("nv-below", below);
}

/** All panes in the order in which they lie upon each other: {source, view, level, …} as Engine.fill takes them. */
export function listPanes(viewer, half) {
  const { source, view, other, overview, facts: { white }, hasMaterials } = viewer, room = viewer.engine.room;
  const pane = (of, at, more) => ({ source: of, view: at, white, ...levels(viewer, of, at, other ? room >> 1 : room, half), ...more });
  const list = [pane(source, view, { materials: hasMaterials })];
  if (other) { lock(viewer); list.push(pane(other.source, other.view, { materials: other.materials })); }
  if (placeNavigator(viewer)) list.push({ source, view: overview, white, covers: true, materials: hasMaterials, level: Math.max(source.base, source.levelFor(overview, room)) });
  if (placeLens(viewer)) list.push(pane(viewer.lensSource, viewer.lens, { covers: true, materials: viewer.lensSource === source ? hasMaterials : other.materials }));
  return list;
}

/** The level to draw from. At half resolution a coarser one does, once it is there: a movement never makes
    the picture worse than what is at hand. */
function levels(viewer, source, view, room, half) {
  const level = source.levelFor(view, room);
  if (!half) return { level };
  const coarse = source.levelFor(view, room, 2);
  return viewer.holds(source, view, coarse) ? { level: coarse } : { level, coarse };
}

/** The other scan shows the same place at the same size, as far as pitches tell. */
function lock({ view: v, facts: mine, other: { view: o, facts, shift } }) {
  const pitch = (f) => (f.pixel_pitch_mm ? Math.min(...f.pixel_pitch_mm) : null);
  const k = pitch(facts) && pitch(mine) ? pitch(facts) / pitch(mine) : v.height / o.height;
  Object.assign(o, { turn: v.turn, mirror: v.mirror, scale: v.scale * k });
  o.cx = o.width / 2 + ((v.cx - v.width / 2) * v.stretch[0]) / k / o.stretch[0] + shift[0];
  o.cy = o.height / 2 + ((v.cy - v.height / 2) * v.stretch[1]) / k / o.stretch[1] + shift[1];
}
