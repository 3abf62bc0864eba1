// On every page: language, reminder of a break, and a shared way to ask the server.

/** Ask the server for a change; an answer that refuses becomes an error with its words. */
export async function send(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
    keepalive: true,
  });
  if (answer.status === 401) location.reload();
  const found = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(found?.detail || String(answer.status));
  return found;
}

/** Tell whether the keyboard is being typed into. */
export function typing(target) {
  return target.matches?.("textarea, select, input:not([type=radio], [type=checkbox])");
}

const language = document.getElementById("language");
language?.addEventListener("change", () => language.form.requestSubmit());
// Chosen before this script was there: the choice is not lost.
const given = language?.querySelector("option[selected]");
if (given && !given.selected) language.form.requestSubmit();

const rest = document.getElementById("rest");
if (rest) {
  const since = Date.parse(rest.dataset.since);
  const due = Number(rest.dataset.minutes) * 60000;
  const look = () => { rest.hidden = due === 0 || Date.now() - since < due; };
  look();
  setInterval(look, 15000);
}

for (const button of document.querySelectorAll("[data-confirm]")) {
  button.addEventListener("click", (event) => {
    if (!confirm(button.dataset.confirm)) event.preventDefault();
  });
}
