// Loads the replay after the preview, so that the preview does not wait for it.

const form = document.querySelector("#preview");

async function replay() {
  const box = document.querySelector("#replay");
  const button = document.querySelector("#again");
  button.disabled = true;
  const note = Object.assign(document.createElement("p"), { className: "quiet", textContent: "Replaying …" });
  box.querySelector("h2").after(note);
  try {
    const answer = await fetch("/console/policy/edit/replay", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("#replay");
    if (!answer.ok || found === null) throw new Error(String(answer.status));
    box.replaceChildren(...found.childNodes);
    listen();
  } catch {
    note.textContent = "The replay failed: press Replay to try again.";
    button.disabled = false;
  }
}

function listen() {
  document.querySelector("#again")?.addEventListener("click", (event) => {
    event.preventDefault();
    replay();
  });
}

listen();
if (document.querySelector("#replay").dataset.due) replay();
