/* Every tool of the viewer in one table: its key, its place in the bar, what it does. */

const STEP_PX = 80; // CSS pixels that an arrow key moves
const ZOOM = 1.25;
const EDGES = [0, 1.2, 2.5];

/* id and label · key as in KeyboardEvent.key · group in the bar (null: no button) · what it does
   · on: whether it is switched on · when: whether this scan can be looked at so */
export const COMMANDS = [
  { id: "fit", key: "0", group: "view", run: (v) => v.fit() },
  { id: "actual", key: "x", group: "view", run: (v) => v.actualSize() },
  { id: "zoom_in", key: "+", also: ["="], group: "view", run: (v) => v.zoom(ZOOM) },
  { id: "zoom_out", key: "-", group: "view", run: (v) => v.zoom(1 / ZOOM) },
  { id: "turn_left", key: "[", group: "view", run: (v) => v.turn(-1) },
  { id: "turn_right", key: "]", group: "view", run: (v) => v.turn(1) },
  { id: "mirror", key: "k", group: "view", run: (v) => v.mirror(), on: (v) => v.view.mirror },
  { id: "navigator", key: "v", group: "view", flag: "navigator" },
  { id: "magnifier", key: "m", group: "view", flag: "magnifier" },
  { id: "window_fit", key: "w", group: "grey", run: (v) => v.fitWindow() },
  { id: "preset", key: "t", group: null, run: (v) => v.nextPreset() },
  { id: "curve", key: "l", group: null, run: (v) => v.nextCurve() },
  { id: "inverse", key: "i", group: "grey", look: "inverse" },
  { id: "energy", key: "g", group: "grey", run: (v) => v.set("energy", 1 - v.look.energy), on: (v) => v.look.energy === 1, when: (v) => v.facts.energies > 1 },
  { id: "edges", key: "e", group: "detail", run: (v) => v.set("edges", EDGES[(EDGES.indexOf(v.look.edges) + 1) % EDGES.length]), on: (v) => v.look.edges > 0 },
  { id: "local", key: "c", group: "detail", run: (v) => v.set("local", v.look.local ? 0 : 0.8), on: (v) => v.look.local > 0 },
  { id: "dense", key: "s", group: "detail", look: "dense" },
  { id: "smooth", key: "z", group: "detail", look: "smooth" },
  { id: "colour", key: "u", group: "material", look: "colour", when: (v) => v.hasMaterials },
  { id: "strip_organic", key: "o", group: "material", run: (v) => v.strip("organic"), on: (v) => v.look.strip === "organic", when: (v) => v.hasMaterials },
  { id: "strip_metal", key: "j", group: "material", run: (v) => v.strip("metal"), on: (v) => v.look.strip === "metal", when: (v) => v.hasMaterials },
  { id: "mark", key: "h", group: "material", look: "mark" },
  { id: "measure", key: "y", group: "tools", tool: "measure" },
  { id: "box", key: "b", group: "tools", tool: "box" },
  { id: "regions", key: "r", group: "tools", flag: "regions" },
  { id: "compare", key: "a", group: "tools", run: (v) => v.toggleCompare(), on: (v) => Boolean(v.other), when: (v) => v.others.length > 0 },
  { id: "reset", key: "Backspace", group: "last", run: (v) => v.reset() },
  { id: "help", key: "?", group: "last", run: (v) => v.help() },
  { id: "cancel", key: "Escape", group: null, run: (v) => v.cancel() },
];

for (const command of COMMANDS) {
  const { flag, look, tool } = command;
  if (flag) Object.assign(command, { run: (v) => v.flag(flag, !v.settings[flag]), on: (v) => v.settings[flag] });
  if (look) Object.assign(command, { run: (v) => v.set(look, !v.look[look]), on: (v) => v.look[look] });
  if (tool) Object.assign(command, { run: (v) => v.use(v.tool === tool ? "pan" : tool), on: (v) => v.tool === tool });
}

/* Keys that are explained but are no button: label, key as it is shown. */
export const OTHER_KEYS = [
  ["pan", "← ↑ → ↓"], ["choose_region", "1 … 9"], ["peek", "␣"], ["drag_pan", "drag"],
  ["drag_window", "right_drag"], ["wheel", "wheel"], ["drag_other", "alt_drag"],
];

const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const WIDGETS = "input, select, textarea, [contenteditable], dialog, [role=dialog]";

/** Do what a key stands for; returns whether it was one of ours. */
export function pressed(viewer, event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return false;
  const target = event.target;
  if (event.key === "Escape" && viewer.element.contains(target)) return viewer.cancel();
  if (target.closest?.(WIDGETS)) return false;
  if (target !== document.body && !viewer.element.contains(target) && target.closest?.("a, button, summary, [tabindex]")) return false;
  if (event.key === " ") {
    if (target.closest?.("button")) return false; // a button is pressed by it
    viewer.peek(true);
    return true;
  }
  if (ARROWS[event.key]) {
    const [x, y] = ARROWS[event.key], step = STEP_PX * viewer.ratio * (event.shiftKey ? 4 : 1);
    viewer.pan(x * step, y * step);
    return true;
  }
  if (/^[1-9]$/.test(event.key)) return viewer.choose(Number(event.key), true);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = COMMANDS.find((c) => c.key === key || c.also?.includes(key));
  if (!command || (command.when && !command.when(viewer))) return false;
  return command.run(viewer) ?? true;
}
