"use strict";
const outlines = document.getElementById("outlines");
const scans = [...document.querySelectorAll("details.scan")];
for (const button of document.querySelectorAll(".bar button")) {
  button.addEventListener("click", () => {
    const hidden = document.body.classList.toggle("no-" + button.dataset.level);
    button.setAttribute("aria-pressed", String(!hidden));
  });
}
for (const picture of document.querySelectorAll(".picture")) {
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    const share = (event.clientX - box.left + picture.scrollLeft) / picture.scrollWidth;
    picture.classList.toggle("large");
    picture.scrollLeft = share * picture.scrollWidth - box.width / 2;
  });
}
function step(way) {
  const shown = scans.filter((scan) => scan.offsetParent !== null);
  const open = shown.findIndex((scan) => scan.open);
  const next = shown[Math.max(0, Math.min(shown.length - 1, open + way))];
  if (!next) return;
  for (const scan of scans) scan.open = scan === next;
  next.scrollIntoView();
  next.querySelector("summary").focus({ preventScroll: true });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "h") outlines.checked = !outlines.checked;
  else if (key === "n") step(1);
  else if (key === "p") step(-1);
  else return;
  event.preventDefault();
});
addEventListener("beforeprint", () => {
  for (const scan of scans) {
    if (!scan.classList.contains("clear")) scan.open = true;
  }
});
