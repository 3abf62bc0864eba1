// Keys and magnifier of the page of one inspection. The page works without this file.
"use strict";

const svg = document.getElementById("scan");
const whole = svg.viewBox.baseVal;
const width = whole.width;
const height = whole.height;
const show = document.getElementById("show");
const officer = document.getElementById("officer");
const NEIGHBOURHOOD = 4; // the part of the picture shown is so many times as large as the region

function toggle() {
  document.getElementById("regions").style.display = show.checked ? "" : "none";
}

function choose(number) {
  for (const each of document.querySelectorAll("g.region, tr[data-number]")) {
    each.classList.toggle("chosen", each.dataset.number === String(number));
  }
}

function enlarge(number) {
  const region = document.querySelector(`g.region[data-number="${number}"] rect`);
  if (!region) return;
  const box = { x: +region.getAttribute("x"), y: +region.getAttribute("y"),
                w: +region.getAttribute("width"), h: +region.getAttribute("height") };
  const scale = Math.min(1, Math.max(box.w / width, box.h / height) * NEIGHBOURHOOD);
  const view = { w: width * scale, h: height * scale };
  const x = Math.min(Math.max(box.x + box.w / 2 - view.w / 2, 0), width - view.w);
  const y = Math.min(Math.max(box.y + box.h / 2 - view.h / 2, 0), height - view.h);
  setView(x, y, view.w, view.h);
  choose(number);
}

function setView(x, y, w, h) {
  svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
  for (const text of svg.querySelectorAll("text")) text.setAttribute("font-size", w / 80);
}

function reset() {
  setView(0, 0, width, height);
  choose(0);
}

function follow(id, address) {
  const link = document.getElementById(id);
  if (link || address) location.assign(link ? link.href : address);
}

const KEYS = {
  r() { show.checked = !show.checked; toggle(); },
  d() { document.querySelector("input[name=verdict]").focus(); },
  n() { follow("following", null); },
  q() { follow(null, "/"); },
  0: reset,
  Escape: reset,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape") document.activeElement.blur();
  else if (event.target.matches("textarea, input:not([type=radio], [type=checkbox])")) return;
  const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
  if (act) act();
  else if (/^[1-9]$/.test(event.key)) enlarge(event.key);
  else return;
  event.preventDefault();
});
show.addEventListener("change", toggle);
for (const button of document.querySelectorAll("button.zoom")) {
  button.addEventListener("click", () => enlarge(button.dataset.number));
}

// The name is kept for this browser tab only, so that it need not be typed again for every scan.
try {
  officer.value ||= sessionStorage.getItem("officer") || "";
  officer.form.addEventListener("submit", () => sessionStorage.setItem("officer", officer.value));
} catch { /* a browser that stores nothing asks each time */ }
