// Copies a secret that is shown once, and removes it when the page is left or reloaded.
const shown = document.querySelector("[data-secret-page]");
const secret = shown.querySelector("[data-secret]");
const result = shown.querySelector("[data-copy-result]");

// A reload shows the key page instead of sending the form again.
history.replaceState(null, "", shown.dataset.after);

shown.querySelector("[data-copy]").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(secret.textContent);
    result.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(secret);
    result.textContent = "Your browser does not allow copying. The key is selected: press Ctrl+C or ⌘C.";
  }
});

// The back button may show a cached page, which must not contain the secret.
addEventListener("pagehide", () => {
  secret.textContent = "It was shown once.";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
