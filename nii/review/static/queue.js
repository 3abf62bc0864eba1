// The queue: keys, and lists that follow what happens.
import { typing } from "./page.js";

const PAUSE_MS = 1500; // between two refreshes, however much happens

function cards() {
  return [...document.querySelectorAll("#list .card")];
}

function move(step) {
  const all = cards();
  const place = all.indexOf(document.activeElement);
  const next = all[Math.min(all.length - 1, Math.max(0, place < 0 ? 0 : place + step))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  n: () => document.getElementById("next")?.form.requestSubmit(),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  j: () => move(1),
  k: () => move(-1),
  "/": () => document.getElementById("number")?.focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || typing(event.target)) return;
  const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : KEYS[event.key.toLowerCase()];
  if (!act) return;
  act();
  event.preventDefault();
});

let waiting = false;

async function refresh() {
  waiting = false;
  if (document.hidden) return;
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.getAttribute?.("href");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other) part.replaceChildren(...other.childNodes);
  }
  if (focused) document.querySelector(`#list .card[href="${CSS.escape(focused)}"], #list .card[href="${focused}"]`)?.focus();
}

function soon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => refresh().catch(() => {}), PAUSE_MS);
}

const source = new EventSource("/events");
source.addEventListener("change", soon);
document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
addEventListener("pagehide", () => source.close());
