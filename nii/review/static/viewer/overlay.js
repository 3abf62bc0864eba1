/* What is drawn over the picture: outlines of regions, officers' boxes, measures. Never filled. */

import { svg } from "./dom.js";

const UNIT = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; // letters grow with the screen
const GAP = 4 * UNIT; // CSS pixels between a thing and its outline
const TAG_PX = 20 * UNIT;
const PAD_PX = 7 * UNIT;
const BASE_PX = 14.5 * UNIT;

export class Overlay {
  constructor(viewer) {
    this.viewer = viewer;
    this.root = svg("svg", { class: "nv-overlay", role: "group", "aria-label": viewer.text("regions") });
    this.layers = {};
    for (const name of ["containers", "boxes", "regions", "measures", "draft"])
      this.root.append((this.layers[name] = svg("g", { class: `nv-${name}` })));
  }

  update() {
    const v = this.viewer, { w, h } = v.view.pane, r = v.ratio, { width, height } = v.engine.size;
    this.root.setAttribute("viewBox", `0 0 ${width / r} ${height / r}`);
    const shown = v.settings.regions && !v.peeking, free = { w: w / r, h: h / r, taken: [] };
    const visible = shown && !v.blind;
    if (visible) for (const region of v.marks.regions) free.taken.push(this.place(region.box_xyxy));
    this.layers.containers.replaceChildren(...(visible ? v.marks.containers.flatMap((c) => this.container(c, free)) : []));
    this.layers.regions.replaceChildren(...(visible ? v.marks.regions.flatMap((region) => this.region(region, free)) : []));
    this.layers.boxes.replaceChildren(...(shown ? v.marks.boxes.flatMap((box) => this.box(box, free)) : []));
    this.layers.measures.replaceChildren(...v.measures.map((m) => this.measure(m)));
    this.layers.draft.replaceChildren(...(v.draft ? [this.draftOf(v.draft)] : []));
  }

  /** A box of the scan as a box of the screen in CSS pixels: x, y, width, height. */
  place([x0, y0, x1, y1], gap = GAP) {
    const r = this.viewer.ratio, p = this.viewer.view.toScreen(x0, y0), q = this.viewer.view.toScreen(x1, y1);
    const left = Math.min(p[0], q[0]) / r - gap, top = Math.min(p[1], q[1]) / r - gap;
    return [left, top, Math.abs(p[0] - q[0]) / r + 2 * gap, Math.abs(p[1] - q[1]) / r + 2 * gap];
  }

  points(list) {
    const r = this.viewer.ratio;
    return list.map(([x, y]) => this.viewer.view.toScreen(x, y).map((v) => (v / r).toFixed(1)).join(",")).join(" ");
  }

  region(region, free) {
    const v = this.viewer, chosen = v.selected === region.number, [x, y, w, h] = this.place(region.box_xyxy);
    const outline = { x, y, width: w, height: h, rx: 2 };
    const parts = [svg("rect", { class: "nv-rim", ...outline }), svg("rect", { class: "nv-edge", ...outline })];
    if (region.contour_xy?.length > 2 && Math.max(w, h) > 70)
      parts.push(svg("polygon", { class: "nv-contour", points: this.points(region.contour_xy) }));
    const words = `${region.number} · ${shortened(region.label, 26)} · ${region.score_text}`;
    const tag = this.tag(words, x, y, w, h, free, () => v.choose(region.number));
    const name = [region.label, region.level_text, region.score_text, region.position, region.reason].filter(Boolean).join(". ");
    return [svg("g", { class: `nv-region nv-${region.level}${chosen ? " nv-chosen" : ""}`, "aria-label": name, role: "img" }, ...parts, ...tag)];
  }

  container(part, free) {
    const [x, y, w, h] = this.place(part.box_xyxy, 1);
    return [svg("g", { class: "nv-container" }, svg("rect", { class: "nv-edge", x, y, width: w, height: h }),
      ...this.tag(part.label, x, y, w, h, free, null))];
  }

  box(box, free) {
    const [x, y, w, h] = this.place(box.box_xyxy), outline = { x, y, width: w, height: h, rx: 2 };
    const words = [box.remark, box.officer].filter(Boolean).join(" · ") || this.viewer.text("own_box");
    return [svg("g", { class: "nv-own" }, svg("rect", { class: "nv-rim", ...outline }), svg("rect", { class: "nv-edge", ...outline }),
      ...this.tag(words, x, y, w, h, free, box.id === undefined ? null : () => this.viewer.editBox(box)))];
  }

  /** A line of text beside a box, where it hides neither the box nor another text if there is room. */
  tag(words, x, y, w, h, free, press) {
    if (x + w < 0 || y + h < 0 || x > free.w || y > free.h) return [];
    const cut = shortened(words, 56), width = textWidth(cut) + 2 * PAD_PX;
    const left = Math.max(2, Math.min(x, free.w - width - 2));
    const places = [[left, y - TAG_PX - 1], [left, y + h + 1], [x + w + 2, y], [x - width - 2, y], [left, y - 2 * TAG_PX - 3], [left, y + h + TAG_PX + 3]];
    const fits = ([px, py]) => px >= 0 && py >= 0 && px + width <= free.w && py + TAG_PX <= free.h &&
      !free.taken.some((t) => px < t[0] + t[2] && t[0] < px + width && py < t[1] + t[3] && t[1] < py + TAG_PX);
    const [px, py] = places.find(fits) ?? [left, Math.max(2, Math.min(y - TAG_PX - 1, free.h - TAG_PX - 2))];
    free.taken.push([px, py, width, TAG_PX]);
    const group = svg("g", { class: press ? "nv-tag nv-press" : "nv-tag", onclick: press },
      svg("rect", { x: px, y: py, width, height: TAG_PX, rx: 3 }), svg("text", { x: px + PAD_PX, y: py + BASE_PX }, cut));
    return [group];
  }

  measure({ from, to, text }) {
    const r = this.viewer.ratio, view = this.viewer.view;
    const [x0, y0] = view.toScreen(...from).map((v) => v / r), [x1, y1] = view.toScreen(...to).map((v) => v / r);
    const line = { x1: x0, y1: y0, x2: x1, y2: y1 }, width = textWidth(text) + 2 * PAD_PX;
    const ends = [[x0, y0], [x1, y1]].map(([cx, cy]) => svg("circle", { cx, cy, r: 3.5 * UNIT }));
    const px = (x0 + x1) / 2 + 10, py = (y0 + y1) / 2 - TAG_PX - 6;
    return svg("g", { class: "nv-measure" }, svg("line", { class: "nv-rim", ...line }), svg("line", { class: "nv-edge", ...line }), ...ends,
      svg("g", { class: "nv-tag" }, svg("rect", { x: px, y: py, width, height: TAG_PX, rx: 3 }), svg("text", { x: px + PAD_PX, y: py + BASE_PX }, text)));
  }

  draftOf(draft) {
    const [x, y, width, height] = this.place(draft, 0);
    return svg("g", { class: "nv-own" }, svg("rect", { class: "nv-edge", x, y, width, height }));
  }
}

function shortened(words, most) {
  return words.length > most ? `${words.slice(0, most - 1).trimEnd()}…` : words;
}

const pen = document.createElement("canvas").getContext("2d");

function textWidth(text) {
  pen.font = `600 ${13 * UNIT}px system-ui, sans-serif`;
  return pen.measureText(text).width;
}
