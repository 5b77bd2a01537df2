// A secret that is shown once: copied by a button, and gone when the page is left or reloaded.
const shown = document.querySelector("[data-once]");
const secret = shown.querySelector("[data-secret]");
const said = shown.querySelector("[data-said]");

// To reload is to look at the key, not to send the form again.
history.replaceState(null, "", shown.dataset.after);

shown.querySelector("[data-copy]").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(secret.textContent);
    said.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(secret);
    said.textContent = "Your browser does not let a page copy. It is selected: press Ctrl or ⌘ and C.";
  }
});

// A page may be kept for the back button as it was; then it must not hold the secret.
addEventListener("pagehide", () => {
  secret.textContent = "It was shown once.";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
