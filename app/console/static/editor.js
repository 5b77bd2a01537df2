// The editor: numbers that follow the lines, a check while typing, and a draft that is kept in the tab.

const form = document.querySelector("#editor");
const text = document.querySelector("#text");
const gutter = document.querySelector("#gutter");
const backdrop = document.querySelector("#backdrop");
const state = document.querySelector("#state");
const list = document.querySelector("#faults");
const file = form.dataset.file;
const WAIT = 350; // milliseconds without a key, before it is checked
const SHOWN = 50;
const STORE = "authz-draft";
const csrf = form.elements.csrf.value;

let marks = [];
let timer;
let running;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Invisible characters and those that reorder text are replaced by their code points, as in the pages.
function visible(value) {
  const hidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  return value.replace(hidden, (found) => `⟨U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

function number() {
  if (!text) return;
  const lines = text.value.split("\n");
  const severity = new Map();
  for (const mark of marks.toReversed()) if (mark.file === file) severity.set(mark.line, mark.severity);
  while (gutter.childElementCount > lines.length) gutter.lastElementChild.remove();
  while (gutter.childElementCount < lines.length) {
    gutter.append(element("span", { textContent: String(gutter.childElementCount + 1) }));
  }
  for (const [index, line] of [...gutter.children].entries()) line.className = severity.get(index + 1) ?? "";
  text.rows = lines.length + 1;
  paint(lines);
}

// The same lines behind the text, transparent, with a wave under what is wrong.
function paint(lines) {
  const here = new Map();
  for (const mark of marks.toReversed()) if (mark.file === file && mark.line) here.set(mark.line, mark);
  const last = Math.max(0, ...here.keys());
  const parts = [];
  for (const [index, line] of lines.slice(0, last).entries()) {
    const mark = here.get(index + 1);
    const start = mark ? mark.column - 1 : 0;
    const end = mark ? start + Math.max(mark.length, 1) : 0;
    if (mark) parts.push(line.slice(0, start), element("mark", { className: mark.severity, textContent: line.slice(start, end) || " " }), line.slice(end), "\n");
    else parts.push(line, "\n");
  }
  backdrop.replaceChildren(...parts);
  backdrop.scrollLeft = text.scrollLeft;
}

function shown(mark) {
  const kind = { error: "bad", warning: "warn" }[mark.severity] ?? "";
  const place = mark.line ? `${mark.file}:${mark.line}:${mark.column}` : mark.file;
  const head = element("div", {}, element("span", { className: `pill ${kind}`, textContent: mark.severity }), " ",
    element("strong", { className: "place", textContent: visible(place) }), " ",
    element("span", { className: "quiet small", textContent: mark.code }));
  if (mark.file === file && mark.line && text) {
    const go = element("button", { type: "button", className: "plain small", textContent: "Go to the line" });
    go.addEventListener("click", () => select(mark));
    head.append(" ", go);
  } else if (mark.file !== file && [...form.querySelectorAll("button.file")].some((each) => each.value === mark.file)) {
    head.append(" ", element("button", { name: "open", value: mark.file, className: "plain small", textContent: "Go to the file" }));
  }
  const item = element("li", { className: `fault ${mark.severity}` }, head, element("div", { textContent: visible(mark.message) }));
  if (mark.line && mark.row) {
    const blank = " ".repeat(String(mark.line).length);
    item.append(element("pre", { className: "excerpt", tabIndex: 0, role: "group", ariaLabel: `Line ${mark.line}` },
      element("span", { className: "ln", textContent: String(mark.line) }), ` ${visible(mark.row)}\n`,
      element("span", { className: "ln", textContent: blank }), ` ${" ".repeat(mark.column - 1)}`,
      element("span", { className: "caret", textContent: "^".repeat(Math.min(Math.max(mark.length, 1), 120)) })));
  }
  if (mark.hint) item.append(element("div", { className: "hint", textContent: visible(mark.hint) }));
  return item;
}

function select(mark) {
  const before = text.value.split("\n").slice(0, mark.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
  text.focus();
  text.setSelectionRange(before + mark.column - 1, before + mark.column - 1 + Math.max(mark.length, 1));
  gutter.children[mark.line - 1]?.scrollIntoView({ block: "center" });
}

function say(kind, word, more = "") {
  state.replaceChildren(...(kind ? [element("span", { className: `pill ${kind}`, textContent: word })] : [word]), more);
}

function many(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

async function check() {
  running?.abort();
  running = new AbortController();
  say("", "Checking …");
  let answer;
  try {
    answer = await fetch("/console/policy/edit/check", {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { "X-CSRF-Token": csrf },
      signal: running.signal,
    });
    if (!answer.ok) throw new Error(String(answer.status));
    answer = await answer.json();
  } catch (error) {
    if (error.name !== "AbortError") say("warn", "not checked", " The server gave no valid answer. Press Check to try again.");
    return;
  }
  marks = answer.marks;
  list.replaceChildren(...marks.slice(0, SHOWN).map(shown));
  const findings = answer.findings;
  if (answer.faults) say("bad", many(answer.faults, "fault"), " It cannot be published.");
  else say("good", "no fault", findings ? ` ${many(findings, "finding")}.` : "");
  number();
}

function changed() {
  clearTimeout(timer);
  timer = setTimeout(check, WAIT);
  number();
  keep();
}

// The draft, kept for this tab alone: what the form carries, with the open file.
function carried() {
  const fields = new FormData(form);
  return {
    parent: fields.get("parent"),
    file,
    text: fields.get("text"),
    changes: fields.getAll("change"),
    gone: fields.getAll("gone"),
  };
}

function isChanged(draft) {
  const isTextChanged = form.dataset.status !== "" || (text !== null && text.value !== text.defaultValue);
  return isTextChanged || draft.changes.length > 0 || draft.gone.length > 0;
}

function keep() {
  const draft = carried();
  try {
    if (isChanged(draft)) sessionStorage.setItem(STORE, JSON.stringify(draft));
    else sessionStorage.removeItem(STORE);
  } catch {
    // The storage is full, and a partial draft is useless.
    sessionStorage.removeItem(STORE);
  }
}

function restore(kept) {
  for (const [name, values] of [["change", [...kept.changes, ...(kept.text === null ? [] : [`${kept.file}\n${kept.text}`])]], ["gone", kept.gone]]) {
    for (const old of form.querySelectorAll(`[name=${name}]`)) old.remove();
    for (const value of values) form.append(element("textarea", { name, value, hidden: true }));
  }
  form.elements.parent.value = kept.parent;
  if (text) text.disabled = true; // the saved draft replaces the text of this page
  form.append(element("input", { type: "hidden", name: "open", value: kept.file }));
  form.submit();
}

function offer() {
  const found = sessionStorage.getItem(STORE);
  if (found === null || document.querySelector("#kept") === null) return;
  const kept = JSON.parse(found);
  const notice = document.querySelector("#kept");
  notice.querySelector("span").textContent = `${kept.file} and ${many(kept.changes.length + kept.gone.length, "other change")}, from revision ${kept.parent}`;
  notice.hidden = false;
  document.querySelector("#restore").addEventListener("click", () => restore(kept));
  document.querySelector("#discard").addEventListener("click", () => {
    sessionStorage.removeItem(STORE);
    notice.hidden = true;
  });
}

const begun = carried();
const isFresh = begun.changes.length === 0 && begun.gone.length === 0 && document.querySelector("#state .pill") === null;
if (isFresh) offer();
else keep();
if (text) {
  text.addEventListener("input", changed);
  text.addEventListener("scroll", () => (backdrop.scrollLeft = text.scrollLeft));
  text.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") form.requestSubmit(form.querySelector(".primary"));
  });
}
if (!isFresh) check();
else if (text !== null && text.value !== text.defaultValue) changed(); // typed before this script ran
