// The log, live: newer decisions are put on top every two seconds, unless the viewer pauses it or leaves the tab.

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
  let told;
  try {
    const answer = await fetch(address);
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    told = await answer.json();
    failures = 0;
  } catch {
    failures += 1;
    state.textContent = "Not live: the server does not answer";
    return;
  }
  state.textContent = "Live";
  if (!told.count) return;
  address = cursorIn(address, told.cursor);
  const made = document.createElement("template");
  made.innerHTML = told.rows;
  for (const row of made.content.querySelectorAll("tr")) {
    row.classList.add("came");
    setTimeout(() => row.classList.remove("came"), 500);
  }
  body.prepend(made.content);
  document.querySelector(".log + .empty")?.remove();
  while (body.rows.length > MOST) body.deleteRow(-1);
}

// A page that stays open must not go on saying "just now".
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
  pause.textContent = isPaused ? "Go on" : "Pause";
  state.textContent = isPaused ? "Paused" : "Live";
});
pause.hidden = state.hidden = false;
document.querySelector("#reload").hidden = true;
state.textContent = "Live";
run();
