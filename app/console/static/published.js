// Removes a draft that was published from the tab.

const kept = JSON.parse(sessionStorage.getItem("authz-draft") ?? "null");
if (kept?.parent === document.querySelector("#published").dataset.parent) sessionStorage.removeItem("authz-draft");
