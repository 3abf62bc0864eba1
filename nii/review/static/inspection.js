// One inspection: who holds it, the time it takes, marks, drafts, keys, and what was switched on.
import { send, typing } from "./page.js";

const page = JSON.parse(document.getElementById("page").textContent);
const api = `/api/v1/inspections/${page.id}`;
const form = document.getElementById("decide");
const holder = document.getElementById("holder");
const DRAFT = `draft-${page.user}-${page.id}`;

// ── the viewer: opens while the officer can already read, decide and hold the scan ─────────────

let viewer = null;
import("/static/viewer/viewer.js")
  .then(({ openViewer }) => openViewer(document.getElementById("viewer")))
  .then((opened) => { viewer = opened; })
  .catch((error) => {
    document.getElementById("viewer").textContent = `${page.texts.no_viewer} (${error.message})`;
  });

function choose(number) {
  for (const row of document.querySelectorAll("#regions > li")) {
    row.classList.toggle("chosen", row.dataset.number === String(number));
  }
}

document.addEventListener("nii:select", (event) => choose(event.detail.region));

for (const pick of document.querySelectorAll(".pick")) {
  pick.addEventListener("click", () => {
    choose(pick.dataset.number);
    viewer?.select(Number(pick.dataset.number));
  });
}

// ── claim ─────────────────────────────────────────────────────────────────────────────────────

function tell(text) {
  holder.hidden = !text;
  holder.textContent = text;
}

async function claim() {
  try {
    await send(`${api}/claim`, {});
    if (!page.held) tell("");
  } catch (error) {
    tell(error.message);
  }
}

if (page.claims) {
  claim();
  setInterval(() => { if (!document.hidden) claim(); }, page.claim_seconds * 400);
}

// ── time on this scan: counted from the first opening, also over a reload ──────────────────────

const opened = Number(sessionStorage.getItem(`${DRAFT}-opened`)) || Date.now();
sessionStorage.setItem(`${DRAFT}-opened`, String(opened));
const timer = document.getElementById("timer");
function tick() {
  const seconds = Math.floor((Date.now() - opened) / 1000);
  timer.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
tick();
setInterval(tick, 1000);

// ── what is switched on and looked at goes into the log, in batches ────────────────────────────

let shown = [];
function flush() {
  if (!shown.length) return;
  const batch = shown.splice(0, 100);
  send(`${api}/views`, { items: batch }).catch(() => { shown = batch.concat(shown).slice(-1000); });
}
document.addEventListener("nii:toggle", (event) => {
  const { tool, value } = event.detail;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const item = { at: new Date().toISOString(), tool: String(tool).slice(0, 64), value: text.slice(0, 100) };
  shown.push(item);
});
if (page.logs) {
  setInterval(flush, 5000);
  addEventListener("pagehide", flush);
}

// ── marks ─────────────────────────────────────────────────────────────────────────────────────

for (const button of document.querySelectorAll("button[data-mark]")) {
  button.addEventListener("click", async () => {
    const region = Number(button.dataset.region);
    const siblings = document.querySelectorAll(`button[data-mark][data-region="${region}"]`);
    try {
      await send(`${api}/marks`, { mark: button.dataset.mark, region_number: region });
      for (const each of siblings) each.setAttribute("aria-pressed", String(each === button));
    } catch (error) {
      tell(error.message);
    }
  });
}

/** Show the officers' boxes as the server now has them. */
async function refreshBoxes() {
  const answer = await fetch(document.getElementById("viewer").dataset.inspection);
  if (answer.ok) viewer?.setBoxes((await answer.json()).boxes);
}

async function remark(body, text) {
  try {
    await send(`${api}/marks`, body);
    const line = document.createElement("p");
    line.className = "small";
    line.textContent = text;
    document.getElementById("drawn").append(line);
  } catch (error) {
    tell(error.message);
  }
  await refreshBoxes();
}

document.addEventListener("nii:box", ({ detail }) => remark(
  { mark: "drawn", box_xyxy: detail.box_xyxy, remark: detail.remark || "" },
  `▢ ${page.texts.drawn}${detail.remark ? `: ${detail.remark}` : ""}`,
));
document.addEventListener("nii:unbox", ({ detail }) => remark(
  { mark: "withdrawn", withdraws: detail.id }, `▢ ${page.texts.withdrawn}`,
));

// ── the decision ──────────────────────────────────────────────────────────────────────────────

const reasons = document.getElementById("reasons");
const groups = document.getElementById("groups");

function verdict() {
  return form?.querySelector("[name=verdict]:checked")?.value;
}

function fits() {
  const chosen = verdict();
  let number = 0;
  for (const label of reasons.querySelectorAll("label")) {
    const there = chosen === label.dataset.verdict;
    label.hidden = !there;
    label.style.display = there ? "" : "none";
    const input = label.querySelector("input");
    if (!there) input.checked = false;
    label.querySelector("kbd")?.remove();
    if (there && ++number <= 9) {
      const key = document.createElement("kbd");
      key.textContent = String(number);
      label.append(key);
    }
  }
  reasons.hidden = number === 0;
  groups.hidden = chosen !== "refer";
}

function keep() {
  const fields = Object.fromEntries(new FormData(form));
  delete fields.opened;
  sessionStorage.setItem(DRAFT, JSON.stringify(fields));
}

function restore() {
  const text = sessionStorage.getItem(DRAFT);
  if (!text) return;
  const fields = JSON.parse(text);
  for (const name of ["verdict", "reason_code"]) {
    const input = form.querySelector(`[name=${name}][value="${CSS.escape(fields[name] || "-")}"]`);
    if (input && !form.querySelector(`[name=${name}]:checked`)) input.checked = true;
  }
  form.reason.value ||= fields.reason || "";
  form.group.value ||= fields.group || "";
}

function focusDecision() {
  document.getElementById("again").open = true;
  (form.querySelector("[name=verdict]:checked") || form.querySelector("[name=verdict]")).focus();
}

/** A digit in the decision chooses a decision, then a reason of it. */
function digit(key) {
  const inReasons = document.activeElement?.name === "reason_code";
  const labels = inReasons
    ? [...reasons.querySelectorAll("label")].filter((label) => !label.hidden)
    : [...form.querySelectorAll("label:has([name=verdict])")];
  const input = labels[Number(key) - 1]?.querySelector("input");
  if (!input) return;
  input.checked = true;
  input.focus();
  fits();
  if (!inReasons) [...reasons.querySelectorAll("label")].find((label) => !label.hidden)?.querySelector("input").focus();
  keep();
}

if (form) {
  if (!page.decided) restore();
  fits();
  form.addEventListener("input", () => { fits(); keep(); });
  form.addEventListener("submit", () => {
    form.opened.value = new Date(opened).toISOString();
    flush();
  });
  if (page.decided && !page.problem) {
    sessionStorage.removeItem(DRAFT);
    sessionStorage.removeItem(`${DRAFT}-opened`);
  }
}

const KEYS = {
  d: () => form && focusDecision(),
  n: () => page.decided && document.querySelector("form[action='/next']")?.requestSubmit(),
  q: () => location.assign("/"),
};

// Keys of this page come before those of the viewer, and only these.
document.addEventListener("keydown", (event) => {
  if (event.key === "F1") {
    document.getElementById("keys").showModal();
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const deciding = form?.contains(event.target);
  if (deciding && event.key === "Escape") {
    document.activeElement.blur();
    (document.querySelector("#viewer canvas, #viewer [tabindex]") || document.body).focus();
  } else if (deciding && event.key === "Enter" && event.target.type === "radio") {
    form.requestSubmit(form.querySelector("[name=then][value=next]"));
  } else if (typing(event.target)) {
    return;
  } else if (deciding && /^[1-9]$/.test(event.key)) {
    digit(event.key);
  } else if (Object.hasOwn(KEYS, event.key.toLowerCase())) {
    KEYS[event.key.toLowerCase()]();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}, true);

document.getElementById("help").addEventListener("click", () => document.getElementById("keys").showModal());
