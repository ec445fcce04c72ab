// "/" leads to the search from every page, and to its field on its own; not while somebody types or draws.

const TYPED = "input, textarea, select, [contenteditable]";

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.(TYPED) || document.querySelector("dialog[open]")) return;
  const link = document.querySelector("a[aria-keyshortcuts='/']"), field = document.getElementById("search-all");
  if (!link) return;
  event.preventDefault();
  if (field) field.focus();
  else location.assign(link.href);
});
