// Completions in the editor: a list below the place where the author types. Without this script it is a plain text.
//
// A text of several lines cannot be a combobox in HTML, so it stays a textbox that refers to the list and its active
// option, and a status says how many there are. No option is active until an arrow key is pressed: Enter ends a line then.

const WAIT = 150; // milliseconds without a key, before the server is asked
const WIDTH = 22 * 16; // of the list, in pixels

const form = document.querySelector("#editor");
const text = document.querySelector("#text");
const list = document.querySelector("#completions");
const state = document.querySelector("#completions-state");
const measure = document.querySelector("#measure");

let options = [];
let active = -1;
let timer;
let running;
let isAccepting = false;
let placed; // the cursor of the list, and the column of what its options replace

// The line of the cursor, and the number of characters before it there; other than in scripts, a character is one.
function cursor() {
  const before = text.value.slice(0, text.selectionStart);
  const start = before.lastIndexOf("\n") + 1;
  const end = text.value.indexOf("\n", start);
  return {
    line: before.split("\n").length,
    start,
    typed: [...before.slice(start)].length,
    content: text.value.slice(start, end < 0 ? undefined : end),
  };
}

function close() {
  clearTimeout(timer);
  running?.abort();
  options = [];
  active = -1;
  list.hidden = true;
  list.replaceChildren();
  state.textContent = "";
  text.removeAttribute("aria-activedescendant");
}

async function ask(isRequested) {
  clearTimeout(timer);
  running?.abort();
  running = new AbortController();
  const at = cursor();
  const fields = new URLSearchParams(new FormData(form));
  fields.set("line", at.line);
  fields.set("column", at.typed + 1);
  let found;
  try {
    const answer = await fetch("/console/policy/edit/completions", {
      method: "POST",
      body: fields,
      headers: { "X-CSRF-Token": form.elements.csrf.value },
      signal: running.signal,
    });
    if (!answer.ok) throw new Error(String(answer.status));
    found = await answer.json();
  } catch (error) {
    if (error.name !== "AbortError") close();
    return;
  }
  const shown = found.completions.filter((each) => isRequested || !isTyped(each, at));
  if (!shown.length || document.activeElement !== text) close();
  else open(shown, found.left_out, at, isRequested);
}

// Whether it is there already, or nothing was typed at its place.
function isTyped(each, at) {
  const there = [...at.content].slice(each.column - 1, each.end - 1).join("");
  return there === each.text || at.typed < each.column;
}

function open(found, leftOut, at, isRequested) {
  options = found;
  active = -1;
  list.replaceChildren(...found.map(option));
  list.hidden = false;
  list.scrollTop = 0;
  placed = { at, column: found[0].column };
  place(placed);
  const more = leftOut ? `, and ${leftOut} more` : "";
  state.textContent = `${found.length} ${found.length === 1 ? "completion" : "completions"}${more}. Arrow keys choose.`;
  text.removeAttribute("aria-activedescendant");
  if (isRequested) choose(0);
}

function option(each, index) {
  const item = document.createElement("li");
  item.id = `completion-${index}`;
  item.role = "option";
  item.ariaSelected = "false";
  const word = document.createElement("span");
  word.className = "word";
  word.textContent = each.shown;
  item.append(word);
  if (each.detail) {
    const detail = document.createElement("span");
    detail.className = "quiet";
    detail.textContent = each.detail;
    item.append(" ", detail);
  }
  // Not `click`: the text must keep the focus.
  item.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    choose(index);
    accept();
  });
  return item;
}

// Below the characters that it replaces.
function place({ at, column }) {
  measure.textContent = [...at.content].slice(0, column - 1).join("");
  const style = getComputedStyle(text);
  const box = text.getBoundingClientRect();
  const around = list.offsetParent.getBoundingClientRect();
  const width = Math.min(WIDTH, around.width);
  const left = box.left - around.left + measure.getBoundingClientRect().width - text.scrollLeft - parseFloat(style.paddingRight);
  list.style.width = `${width}px`;
  list.style.left = `${Math.max(0, Math.min(left, around.width - width))}px`;
  list.style.top = `${box.top - around.top + parseFloat(style.paddingTop) + at.line * parseFloat(style.lineHeight)}px`;
}

function choose(index) {
  list.children[active]?.setAttribute("aria-selected", "false");
  active = (index + options.length) % options.length;
  const item = list.children[active];
  item.setAttribute("aria-selected", "true");
  item.scrollIntoView({ block: "nearest" });
  text.setAttribute("aria-activedescendant", item.id);
}

function accept() {
  const each = options[active];
  const at = cursor();
  const characters = [...at.content];
  const start = at.start + characters.slice(0, each.column - 1).join("").length;
  const end = at.start + characters.slice(0, each.end - 1).join("").length;
  close();
  text.setSelectionRange(start, end);
  isAccepting = true;
  // Unlike a new value, this can be undone. It fires `input`.
  if (!document.execCommand("insertText", false, each.text)) {
    text.setRangeText(each.text, start, end, "end");
    text.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
  isAccepting = false;
}

function pressed(event) {
  if (event.isComposing) return;
  if (event.ctrlKey && event.key === " ") {
    event.preventDefault();
    ask(true);
  } else if (!options.length || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    choose(active < 0 && step < 0 ? options.length - 1 : active + step);
  } else if (event.key === "Enter" && active >= 0) {
    event.preventDefault();
    accept();
  } else if (event.key === "Escape") {
    event.preventDefault();
    close();
  } else if (event.key === "Tab" || event.key === "ArrowLeft" || event.key === "ArrowRight" || event.key === "Enter") {
    close();
  }
}

if (text && list) {
  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-haspopup", "listbox");
  text.setAttribute("aria-controls", list.id);
  text.addEventListener("keydown", pressed);
  text.addEventListener("input", (event) => {
    close();
    if (isAccepting || event.isComposing || text.selectionStart !== text.selectionEnd) return;
    timer = setTimeout(() => ask(false), WAIT);
  });
  for (const name of ["blur", "pointerdown"]) text.addEventListener(name, close);
  // A long line scrolls while it is typed.
  text.addEventListener("scroll", () => options.length && place(placed));
  window.addEventListener("resize", () => options.length && place(placed));
}
