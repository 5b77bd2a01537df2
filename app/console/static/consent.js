// Allows a click one second after the page is visible: a click that was meant for the page before, or for one that
// another site laid over this, does not allow anything.
const WAIT = 1000;
const allow = document.querySelector("[data-allow]");
let timer;

const watch = () => {
  clearTimeout(timer);
  if (!allow) return;
  allow.disabled = true;
  if (document.visibilityState === "visible") timer = setTimeout(() => { allow.disabled = false; }, WAIT);
};

document.addEventListener("visibilitychange", watch);
addEventListener("pageshow", watch);
watch();

// The button must send its value before the form is locked against a second click.
document.querySelector("#answer").addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
