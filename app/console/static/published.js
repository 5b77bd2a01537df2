// A draft that was published is no draft any more.

const kept = JSON.parse(sessionStorage.getItem("authz-draft") ?? "null");
if (kept?.parent === document.querySelector("#published").dataset.parent) sessionStorage.removeItem("authz-draft");
