// Copies a secret that is shown once, and removes it when the page is left or reloaded.
const shown = document.querySelector("[data-once]");
const secret = shown.querySelector("[data-secret]");
const said = shown.querySelector("[data-said]");

// A reload shows the key page instead of sending the form again.
history.replaceState(null, "", shown.dataset.after);

shown.querySelector("[data-copy]").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(secret.textContent);
    said.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(secret);
    said.textContent = "Your browser does not allow copying. The key is selected: press Ctrl+C or ⌘C.";
  }
});

// The back button may show a cached page, which must not contain the secret.
addEventListener("pagehide", () => {
  secret.textContent = "It was shown once.";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
