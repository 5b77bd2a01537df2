// Adds new decisions at the top every two seconds, unless the page is paused or hidden.

const table = document.querySelector("#log");
const body = table.tBodies[0];
const state = document.querySelector("#live");
const pause = document.querySelector("#pause");
const EVERY = 2000; // milliseconds
const MOST = 200; // rows that are kept on the page

let address = table.dataset.live;
let isPaused = false;
let failures = 0;

function cursorIn(url, cursor) {
  const next = new URL(url, location.href);
  next.searchParams.set("cursor", cursor);
  return next.pathname + next.search;
}

async function poll() {
  // Keep the row in focus where it is.
  const isBusy = body.contains(document.activeElement) || body.matches(":hover");
  if (isPaused || isBusy || document.hidden) return;
  let answer;
  try {
    const response = await fetch(address);
    if (!response.ok || response.redirected) throw new Error(String(response.status));
    answer = await response.json();
    failures = 0;
  } catch {
    failures += 1;
    if (!isPaused) state.textContent = "Not live: the server does not answer";
    return;
  }
  if (isPaused) return; // since it was asked: the same rows are in the next answer
  state.textContent = "Live";
  if (!answer.count) return;
  address = cursorIn(address, answer.cursor);
  const made = document.createElement("template");
  made.innerHTML = answer.rows;
  for (const row of made.content.querySelectorAll("tr")) {
    row.classList.add("new");
    setTimeout(() => row.classList.remove("new"), 500);
  }
  body.prepend(made.content);
  document.querySelector(".log + .empty")?.remove();
  while (body.rows.length > MOST) body.deleteRow(-1);
}

// Update the relative times of a page that stays open.
function age() {
  for (const time of body.querySelectorAll("time")) {
    const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60_000);
    const [count, unit] = minutes < 60 ? [minutes, "minute"] : minutes < 1440 ? [Math.floor(minutes / 60), "hour"] : [0, ""];
    if (count > 0) time.textContent = `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }
}

async function run() {
  await poll();
  age();
  setTimeout(run, Math.min(EVERY * 2 ** failures, 60_000));
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  pause.textContent = isPaused ? "Resume" : "Pause";
  state.textContent = isPaused ? "Paused" : "Live";
});
pause.hidden = state.hidden = false;
document.querySelector("#reload").hidden = true;
state.textContent = "Live";
run();
