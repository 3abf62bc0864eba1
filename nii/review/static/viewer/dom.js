/* Small helpers for elements; everything is set by property, since the policy allows no inline style. */

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/* Drawings of the tools, 24 × 24, drawn with lines. */
const ICONS = {
  fit: "M4 9V5h6M20 15v4h-6M14 5h6v4M10 19H4v-4",
  actual: "M6 8l2-1v10M16 8l2-1v10M12 9.5v.1M12 14.5v.1",
  zoom_in: "M15.5 15.5L20 20M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13M10.500 7.800v5.400M7.800 10.500h5.400",
  zoom_out: "M15.5 15.5L20 20M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13M7.800 10.500h5.400",
  turn_left: "M5 5v5h5M5.500 10a7.500 7.500 0 111.300 7",
  turn_right: "M19 5v5h-5M18.500 10a7.500 7.500 0 10-1.300 7",
  mirror: "M12 4v16M9 7L4 17h5zM15 7l5 10h-5z",
  navigator: "M3 6h18v12H3zM12 12h6v4h-6z",
  magnifier: "M15.5 15.5L20 20M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13",
  smooth: "M4 20V4M4 20h16M7 16c3 0 3-8 6-8s3 5 6 5",
  window_fit: "M4 19h16M6 16V9M10 16V5M14 16v-5M18 16V8",
  inverse: "M12 4a8 8 0 100 16zM12 4a8 8 0 010 16",
  energy: "M13 3L6 13h5l-1 8 7-10h-5z",
  dense: "M4 4h16v16H4zM11 11h3v3h-3z",
  edges: "M4 18l6-12 4 8 2-4 4 8z",
  local: "M12 4v16M12 4a8 8 0 010 16 8 8 0 010-16M12 8h5M12 12h7M12 16h5",
  colour: "M12 4c4 5 6 7 6 10a6 6 0 01-12 0c0-3 2-5 6-10z",
  strip_organic: "M5 19C5 10 10 5 19 5c0 9-5 14-14 14zM4 4l16 16",
  strip_metal: "M5 8h14v8H5zM9 8v8M15 8v8M4 4l16 16",
  mark: "M4 20h16M6 16l8-10 4 3-8 9H6z",
  measure: "M3 15L15 3l6 6L9 21zM7 11l2 2M10 8l3 3M13 5l2 2",
  box: "M4 6h12v12H4zM19 9v9M14.500 13.500h9",
  regions: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 9h6v6H9z",
  compare: "M3 5h18v6H3zM3 13h18v6H3z",
  reset: "M5 12a7 7 0 107-7H7M10 2L7 5l3 3",
  help: "M9 9a3 3 0 115 2c-1.500 1-2 1.500-2 3M12 18v.1",
  tune: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "nv-icon" }, svg("path", { d: ICONS[name] ?? "" }));
}
