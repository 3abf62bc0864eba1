/* How a scan is looked at: the settings that pass 2 draws by, their first values and presets. */

const LEAST_SPAN = 1.5; // attenuation that is black at least, so that noise of an empty scan stays white
export const GAMMAS = [0.3, 3];

/** Percentile of the levels of a scan, as in viewer.json. */
const centile = (facts, share) => facts.centiles[String(share)];

export function firstLook(facts) {
  return {
    energy: 0, inverse: false, gamma: 1, edges: 0, local: 0, colour: false, strip: "none",
    dense: true, denseShare: 0.75, mark: false, markLow: 0.005 * facts.white, markHigh: 0.03 * facts.white,
    smooth: true, table: null, ...presets(facts).whole,
  };
}

/** Windows by name: black level, white level, curve. */
export function presets(facts) {
  const white = facts.white;
  if (facts.grey === "display") {
    return {
      whole: { low: 0, high: white, curve: "linear" },
      light: { low: 0.55 * white, high: white, curve: "linear" },
      middle: { low: 0.2 * white, high: 0.7 * white, curve: "linear" },
      deep: { low: 0, high: 0.3 * white, curve: "linear" },
    };
  }
  const span = Math.max(Math.log(white / Math.max(1, centile(facts, 0.1))), LEAST_SPAN);
  const at = (depth) => Math.max(1, white * Math.exp(-depth));
  return {
    whole: { low: at(span), high: white, curve: "balanced" },
    light: { low: at(0.22 * span), high: white, curve: "log" },
    middle: { low: at(0.6 * span), high: at(0.12 * span), curve: "log" },
    deep: { low: at(1.15 * span), high: at(0.5 * span), curve: "log" },
  };
}

/** A window that fits the levels that are seen, from their lightest to their densest. */
export function fitted(levels, look) {
  if (levels.length < 16) return {};
  const sorted = Uint16Array.from(levels).sort();
  const low = sorted[Math.floor(0.003 * sorted.length)], high = sorted[Math.floor(0.997 * (sorted.length - 1))];
  return high - low < 4 ? {} : { low: Math.max(low, look.curve === "linear" ? 0 : 1), high };
}

/** Change a window by a drag: across its width, down its middle; on a logarithmic scale where the curve is. */
export function dragged({ low, high, curve }, across, down, white) {
  const into = curve === "linear" ? (v) => v / white : (v) => Math.log(Math.max(v, 0.5) / white);
  const back = curve === "linear" ? (v) => v * white : (v) => Math.exp(v) * white;
  let [l, h] = [into(low), into(high)];
  const least = 4 / white, middle = (l + h) / 2 + down * (curve === "linear" ? 1 : 4);
  const half = Math.max(least, ((h - l) / 2) * Math.exp(across * 2));
  return { low: Math.max(0, Math.min(65530, back(middle - half))), high: Math.max(1, Math.min(65535, back(middle + half))) };
}

/** Interpolate thickness of steel in mm; null where the beam is not known. */
export function steelMm(steel, attenuation) {
  if (!steel || !(attenuation > 0)) return steel ? 0 : null;
  const { attenuation: a, mm } = steel;
  let i = a.findIndex((value) => value >= attenuation);
  if (i < 0) return Infinity;
  i = Math.max(1, i);
  return mm[i - 1] + ((mm[i] - mm[i - 1]) * (attenuation - a[i - 1])) / (a[i] - a[i - 1]);
}

let logarithms = null; // of every level, made once: a drag asks for them with each picture

/** Grey of every level as a fraction, before gamma and inversion: linear in transmission, linear in
    attenuation, or balanced: half attenuation, half its square root. */
export function tonesOf({ low, high, curve }) {
  const dark = Math.round(low), bright = Math.max(Math.round(high), dark + 1), tones = new Float64Array(65536);
  tones.fill(1, Math.min(65536, bright));
  const last = Math.min(65536, bright), span = bright - dark;
  if (curve === "linear") for (let v = dark; v < last; v++) tones[v] = (v - dark) / span;
  else {
    logarithms ??= Float64Array.from({ length: 65536 }, (_, v) => Math.log(v));
    const top = Math.log(bright), depth = top - Math.log(Math.max(dark, 0.5)), balanced = curve === "balanced";
    for (let v = Math.max(dark, 1); v < last; v++) {
      const share = Math.min(1, (top - logarithms[v]) / depth);
      tones[v] = balanced ? 1 - 0.5 * (share + Math.sqrt(share)) : 1 - share;
    }
  }
  return tones;
}

/** Grey of every level as it is shown, 0 to 255; halves are rounded up. A linear window is exact. */
export function greysOf(tones, { low, high, curve, gamma, inverse }) {
  const greys = new Uint8Array(65536), power = 1 / gamma;
  const dark = Math.round(low), span = Math.max(Math.round(high), dark + 1) - dark;
  for (let v = 0; v < 65536; v++) {
    const part = v - dark < 0 ? 0 : v - dark > span ? span : v - dark;
    const grey = curve === "linear" && gamma === 1
      ? Math.floor((510 * part + span) / (2 * span))
      : Math.floor((gamma === 1 ? tones[v] : tones[v] ** power) * 255 + 0.5);
    greys[v] = inverse ? 255 - grey : grey;
  }
  return greys;
}
