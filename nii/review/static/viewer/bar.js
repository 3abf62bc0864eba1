/* The bar of tools, the sliders, the line of readings, and what opens over the picture. */

import { COMMANDS, OTHER_KEYS } from "./commands.js";
import { element, icon } from "./dom.js";
import { GAMMAS, presets } from "./look.js";

const STEPS = 1000; // of a slider of levels
const GROUPS = ["view", "grey", "detail", "material", "tools", "last"];
const SHOWN_KEYS = { Backspace: "⌫", Escape: "Esc" };

export class Bar {
  constructor(viewer) {
    this.viewer = viewer;
    this.buttons = new Map();
    const t = (key) => viewer.text(key);
    const groups = GROUPS.map((group) => {
      const list = COMMANDS.filter((c) => c.group === group && (!c.when || c.when(viewer)));
      return list.length ? element("div", { class: "nv-group", role: "group", "aria-label": t(`group.${group}`) }, ...list.map((c) => this.button(c))) : null;
    });
    this.root = element("div", { class: "nv-bar", role: "toolbar", "aria-label": t("toolbar"), onkeydown: (e) => this.walk(e) }, ...groups);
    this.sliders = this.makeSliders();
    this.readings = {};
    this.foot = element("div", { class: "nv-foot" }, ...["place", "level", "transmission", "steel", "material", "zoom"].map((name) => {
      this.readings[name] = element("output", {}, "–");
      return element("span", { class: `nv-reading nv-${name}` }, element("span", { class: "nv-dim" }, t(`reading.${name}`)), this.readings[name]);
    }), (this.note = element("span", { class: "nv-note", role: "status" })));
    this.update();
  }

  button(command) {
    const { id, key } = command, name = this.viewer.text(`tool.${id}`), shown = SHOWN_KEYS[key] ?? key.toUpperCase();
    const made = element("button", {
      type: "button", class: "nv-button", title: `${name}  (${shown})`, "aria-label": name, tabindex: "-1",
      "aria-pressed": command.on ? "false" : null, "aria-keyshortcuts": key, "data-tool": id,
      onclick: () => command.run(this.viewer),
    }, icon(id));
    this.buttons.set(id, { made, command });
    return made;
  }

  /** One stop of the Tab key for the whole bar; arrows walk inside it. */
  walk(event) {
    const all = [...this.root.querySelectorAll("button")], at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.stop((to + all.length) % all.length).focus();
  }

  stop(index) {
    const all = [...this.root.querySelectorAll("button")];
    all.forEach((each, i) => (each.tabIndex = i === index ? 0 : -1));
    return all[index];
  }

  makeSliders() {
    const v = this.viewer, t = (key) => v.text(key), facts = v.facts;
    this.depth = Math.log(facts.white);
    const choice = (name, values, run) => {
      const select = element("select", { "aria-label": t(name), onchange: () => { this[`${name}_shown`] = null; run(select.value); v.stage.focus(); } },
        ...values.map((value) => element("option", { value }, t(`${name}.${value}`))));
      return (this[name] = select);
    };
    const slider = (name, min, max, step, set) => {
      const input = element("input", { type: "range", min, max, step, "aria-label": t(name), oninput: () => { this[`${name}_shown`] = null; v.moving(); set(Number(input.value)); },
        onchange: () => { v.rested(name); v.rest(); }, ondblclick: () => v.resetOne(name) });
      return (this[name] = input);
    };
    const labelled = (name, input, more = "") => element("label", { class: `nv-slider ${more}` }, element("span", {}, t(name)), input);
    return element("div", { class: "nv-sliders" },
      labelled("preset", choice("preset", ["custom", ...Object.keys(presets(facts))], (name) => v.preset(name))),
      labelled("curve", choice("curve", ["balanced", "log", "linear"], (name) => v.set("curve", name))),
      labelled("low", slider("low", 0, STEPS * 1.01, 1, (p) => v.window("low", this.levelOf(p)))),
      labelled("high", slider("high", 0, STEPS * 1.01, 1, (p) => v.window("high", this.levelOf(p)))),
      labelled("gamma", slider("gamma", ...GAMMAS.map(Math.log10), 0.01, (p) => v.set("gamma", 10 ** p, true))),
      (this.marks = element("div", { class: "nv-marks", hidden: true },
        labelled("mark_low", slider("mark_low", 0, STEPS, 1, (p) => v.set("markLow", this.levelOf(p), true))),
        labelled("mark_high", slider("mark_high", 0, STEPS, 1, (p) => v.set("markHigh", this.levelOf(p), true))))));
  }

  /** Sliders run evenly in attenuation, or in grey for a display picture. */
  levelOf(step) {
    const share = step / STEPS, { white, grey } = this.viewer.facts;
    return Math.min(65535, grey === "display" ? white * share : white * Math.exp((share - 1) * this.depth));
  }

  stepOf(level) {
    const { white, grey } = this.viewer.facts;
    return STEPS * (grey === "display" ? level / white : 1 + Math.log(Math.max(level, 1) / white) / this.depth);
  }

  update() {
    const { look } = this.viewer;
    for (const { made, command } of this.buttons.values())
      if (command.on) changed(made.ariaPressed, String(Boolean(command.on(this.viewer))), (on) => (made.ariaPressed = on));
    const { curve, low, high, gamma, markLow, markHigh } = look, preset = this.viewer.presetName();
    const values = { curve, preset, low: this.stepOf(low), high: this.stepOf(high), gamma: Math.log10(gamma), mark_low: this.stepOf(markLow), mark_high: this.stepOf(markHigh) };
    for (const [name, value] of Object.entries(values)) changed(this[`${name}_shown`], value, () => (this[name].value = this[`${name}_shown`] = value));
    changed(this.marks.hidden, !look.mark, (hidden) => (this.marks.hidden = hidden));
    if (![...this.root.querySelectorAll("button")].some((b) => b.tabIndex === 0)) this.stop(0);
  }

  read(values) {
    for (const [name, output] of Object.entries(this.readings)) changed(output.textContent, values[name] ?? "–", (text) => (output.textContent = text));
  }

  say(text) {
    this.note.textContent = text;
  }
}

/** Touch the page only where something differs: each touch is painted again. */
function changed(before, after, set) {
  if (before !== after) set(after);
}

/** The keys, in a dialog of the browser's own: Esc closes it and the focus returns. */
export function helpDialog(viewer) {
  const t = (key) => viewer.text(key);
  const rows = [
    ...COMMANDS.filter((c) => !c.when || c.when(viewer)).map((c) => [SHOWN_KEYS[c.key] ?? c.key.toUpperCase(), t(`tool.${c.id}`)]),
    ...OTHER_KEYS.map(([name, key]) => [/^[a-z_]+$/.test(key) ? t(`gesture.${key}`) : key, t(`tool.${name}`)]),
  ];
  const close = element("button", { type: "button", class: "nv-close", onclick: () => dialog.close() }, t("close"));
  const dialog = element("dialog", { class: "nv-help", "aria-label": t("tool.help") },
    element("h2", {}, t("tool.help")),
    element("dl", {}, ...rows.map(([key, name]) => element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, name)))),
    close);
  dialog.addEventListener("keydown", (event) => { if (event.key === "?") { event.preventDefault(); dialog.close(); } event.stopPropagation(); });
  dialog.addEventListener("close", () => { dialog.remove(); viewer.stage.focus(); });
  return dialog;
}

/** What is known of a chosen region, at the lower left of the picture. */
export function regionCard(viewer, region) {
  const t = (key) => viewer.text(key);
  const facts = [["reason", region.reason], ["position", region.position], ["size", region.size_text]].filter(([, value]) => value);
  return element("div", { class: `nv-card nv-${region.level}`, role: "status" },
    element("div", { class: "nv-card-head" }, element("b", {}, `${region.number}  ${region.label}`), element("span", { class: "nv-level" }, region.level_text),
      element("span", {}, region.score_text)),
    element("dl", {}, ...facts.flatMap(([name, value]) => [element("dt", {}, t(name)), element("dd", {}, value)])));
}

/** Ask for a remark on a box that was drawn: Enter keeps it, Esc drops it. */
export function remarkForm(viewer, box, done) {
  const t = (key) => viewer.text(key), old = box.id !== undefined;
  const input = element("input", { type: "text", maxlength: "500", "aria-label": t("remark"), placeholder: t("remark"), value: box.remark ?? "" });
  input.readOnly = old;
  const finish = (what) => { form.remove(); viewer.stage.focus(); done(what); };
  const form = element("form", { class: "nv-remark", onsubmit: (e) => { e.preventDefault(); finish({ remark: input.value.trim() }); } },
    input, old ? null : element("button", { type: "submit" }, t("keep")),
    old ? element("button", { type: "button", onclick: () => finish({ withdraw: true }) }, t("withdraw")) : null,
    element("button", { type: "button", onclick: () => finish(null) }, t("close")));
  form.addEventListener("keydown", (e) => { if (e.key === "Escape") finish(null); e.stopPropagation(); });
  queueMicrotask(() => input.focus());
  return form;
}
