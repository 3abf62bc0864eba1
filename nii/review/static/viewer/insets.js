/* Navigator and magnifier: small panes over the picture, drawn by the same two passes. */

import { View } from "./view.js";

const NAVIGATOR = 0.26; // share of the canvas that the navigator takes at most, each way
const GAP_PX = 10;
const LENS_PX = 240; // CSS pixels
const MAGNIFIED = 4; // enlargement over the picture, at least 2 screen pixels a scan pixel

function put(node, { x, y, w, h }, ratio) {
  Object.assign(node.style, { left: `${x / ratio}px`, top: `${y / ratio}px`, width: `${w / ratio}px`, height: `${h / ratio}px` });
}

/** Put the whole scan into the lower right corner with a frame around what is seen; tells if it is shown. */
export function placeNavigator(viewer) {
  const { view, overview: o, ratio } = viewer, { width, height } = viewer.engine.size, shown = viewer.settings.navigator && !view.whole;
  viewer.frame.hidden = !shown;
  if (!shown) return false;
  Object.assign(o, { turn: view.turn, mirror: view.mirror });
  const sides = [o.width * o.stretch[0], o.height * o.stretch[1]];
  if (o.turn % 2) sides.reverse();
  const scale = NAVIGATOR * Math.min(width / sides[0], height / sides[1]);
  const [w, h] = sides.map((side) => Math.round(side * scale)), gap = Math.round(GAP_PX * ratio);
  o.pane = { x: view.pane.w - w - gap, y: view.pane.h - h - gap, w, h };
  o.fit();
  put(viewer.frame, o.pane, ratio);
  const [x0, y0, x1, y1] = view.shown(), p = o.toScreen(x0, y0), q = o.toScreen(x1, y1);
  const seen = { x: Math.min(p[0], q[0]) - o.pane.x, y: Math.min(p[1], q[1]) - o.pane.y, w: Math.abs(p[0] - q[0]), h: Math.abs(p[1] - q[1]) };
  put(viewer.frameBox, seen, ratio);
  return true;
}

/** Put a lens around the pointer that enlarges the scan under it; tells if it is shown. */
export function placeLens(viewer) {
  const at = viewer.settings.magnifier && viewer.pointerAt, { other, ratio } = viewer, side = Math.round(LENS_PX * ratio);
  viewer.ring.hidden = !at;
  if (!at) return false;
  const below = other && other.view.holds(...at), from = below ? other.view : viewer.view;
  viewer.lensSource = below ? other.source : viewer.source;
  viewer.lens = Object.assign(new View(below ? other.facts : viewer.facts), { turn: from.turn, mirror: from.mirror });
  viewer.lens.scale = viewer.lens.limited(Math.max(from.scale * MAGNIFIED, 2));
  [viewer.lens.cx, viewer.lens.cy] = from.toScan(...at);
  viewer.lens.pane = { x: Math.round(at[0] - side / 2), y: Math.round(at[1] - side / 2), w: side, h: side };
  put(viewer.ring, viewer.lens.pane, ratio);
  return true;
}
